"""Bytes of checkpoints: instructions of pickle, and the three containers that torch has used.

Written by hand, so that ways are tried that no pickler writes.
"""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
CALL = b"\x85R"  # of what lies below, with the topmost value as its only argument


def text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def named(name: str, protocol: int) -> bytes:
    """Instructions that put `module:attribute` on the stack."""
    module, attribute = name.split(":")
    return f"c{module}\n{attribute}\n".encode() if protocol < 4 else text(module) + text(attribute) + b"\x93"


def program(body: bytes, protocol: int) -> bytes:
    return (b"\x80" + bytes([protocol]) if protocol >= 2 else b"") + body + b"."


def called(name: str, argument: bytes, protocol: int = 4) -> bytes:
    return named(name, protocol) + argument + CALL


def zipped(data: bytes, **others: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("w/data.pkl", data)
        archive.writestr("w/version", "3\n")
        for name, content in others.items():
            archive.writestr(f"w/{name}", content)
    return out.getvalue()


def legacy(model: bytes, magic: bytes = b"", keys: bytes = b"") -> bytes:
    """The checkpoint of torch 0.1.10 to 1.5: five pickles, then numbers."""
    system = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    first = [magic or pickle.dumps(MAGIC, 2), pickle.dumps(PROTOCOL, 2), pickle.dumps(system, 2)]
    return b"".join([*first, model, keys or pickle.dumps([], 2)])


def tarred(**parts: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()
