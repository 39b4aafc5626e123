"""TensorBoard's event files, written without it: scalars are a dozen bytes of protobuf in a checksummed record.

Record: length (8 bytes), its checksum, the event, its checksum; CRC-32C, rotated and shifted by TFRecord's constant
(tensorflow/core/lib/io/record_writer.h). Event: wall_time 1 double, step 2 varint, file_version 3 string, summary 5
message; a summary's value 1 message: tag 1 string, simple_value 2 float (tensorflow/core/util/event.proto,
framework/summary.proto).
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path

_MASK = 0xA282EAD8


class TensorBoard:
    """Appends to one file of its own in a folder; TensorBoard reads all files of a folder as one run."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        stamp = f"{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{time.monotonic_ns()}"
        self._path = folder / f"events.out.tfevents.{stamp}"
        self._append(_field(3, b"brain.Event:2"))

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Append the numbers of one epoch, from 1."""
        summary = b"".join(
            _field(1, _field(1, name.encode()) + b"\x15" + struct.pack("<f", value)) for name, value in values.items()
        )
        self._append(b"\x10" + _varint(number) + _field(5, summary))

    def close(self, ended: str) -> None:
        """Do nothing: no file is held open."""

    def _append(self, rest: bytes) -> None:
        event = b"\x09" + struct.pack("<d", time.time()) + rest
        length = struct.pack("<Q", len(event))
        with self._path.open("ab") as file:
            file.write(length + _checked(length) + event + _checked(event))


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    done = bytearray()
    while value > 0x7F:
        done.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*done, value])


def _checked(content: bytes) -> bytes:
    crc = crc32c(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF)


def crc32c(content: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of some bytes, as RFC 3720 has it.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _row(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


_TABLE = [_row(value) for value in range(256)]
