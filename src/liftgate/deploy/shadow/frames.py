"""What a server and its challenger's process say to each other: frames one way, a line for each the other way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from liftgate.data.production_log.records import LoggedBox

READY, SETTLED = b"ready\n", b"settled\n"
_SEEN = b"seen "


class ShadowFrame(msgspec.Struct, frozen=True):
    """What the champion's server hands over."""

    elapsed: float
    time: float
    camera: str
    image: str
    content: bytes
    champion_version: str
    threshold: float
    brightness: float
    boxes: tuple[LoggedBox, ...]
    """The champion's"""

    def without_content(self) -> ShadowFrame:
        """Return the frame without its image, to be remembered."""
        return msgspec.structs.replace(self, content=b"")


def seen_line(disagreements: int) -> bytes:
    """Return what a worker says when it has seen a frame.

    Args:
        disagreements: objects that only one of the models reports.
    """
    return _SEEN + str(disagreements).encode() + b"\n"


def parse_seen(line: bytes) -> int | None:
    """Return the disagreements of a frame that was seen; None: the line says something else.

    >>> parse_seen(seen_line(3)), parse_seen(READY)
    (3, None)
    """
    number = line.removeprefix(_SEEN).strip()
    return int(number) if line.startswith(_SEEN) and number.isdigit() else None


def frame_name(content: bytes) -> str:
    """Return the name of a frame that is kept, by which one that was damaged is known.

    >>> frame_name(b"")
    'e3b0c44298fc1c149afbf4c8.png'
    """
    return hashlib.sha256(content).hexdigest()[:24] + (".jpg" if content.startswith(b"\xff\xd8") else ".png")


def write_frame(stream: BinaryIO, frame: ShadowFrame) -> None:
    """Write a frame to a worker."""
    data = msgspec.msgpack.encode(frame)
    stream.write(len(data).to_bytes(4, "big") + data)
    stream.flush()


def read_frames(stream: BinaryIO) -> Iterator[ShadowFrame]:
    """Yield frames until the stream ends; one that is cut off is none."""
    decoder = msgspec.msgpack.Decoder(ShadowFrame)
    while len(head := stream.read(4)) == 4:
        length = int.from_bytes(head, "big")
        data = stream.read(length)
        if len(data) < length:
            return
        yield decoder.decode(data)
