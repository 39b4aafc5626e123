"""What is watched: addresses of cameras, files, and folders to which files are added."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from liftgate.data.video_frames.live import STREAMS, Camera, is_address
from liftgate.data.video_frames.sources import IMAGE_SUFFIXES, VIDEO_SUFFIXES, safe_name
from liftgate.errors import DataError, UsageError
from liftgate.files import require_no_device

_NAMED = re.compile(r"([\w.-]{1,60})=(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class WatchedSource:
    """One source, read by one thread."""

    name: str
    """Of its camera in the log"""
    place: Camera | Path
    """An address, a file or a folder"""


def parse_sources(texts: Sequence[str]) -> list[WatchedSource]:
    """Return the sources that are meant; `NAME=SOURCE` gives one a name.

    >>> [one.name for one in parse_sources(["gate=rtsp://10.0.0.7/live/1", "rtsp://10.0.0.8:554/main"])]
    ['gate', '10.0.0.8-554-main']

    Raises:
        UsageError: not an address of a stream, no source, or two of one name. No address is shown: it may hold a
            password.
        DataError: no such file or folder, or one that is neither a video nor an image.
    """
    found = [_parse(text) for text in texts]
    if not found:
        raise UsageError("nothing to watch", expected="an address, a file or a folder")
    seen: set[str] = set()
    for one in found:
        if one.name in seen:
            hint = "name them: gate=SOURCE yard=SOURCE"
            raise UsageError("two sources have one name", got=one.name, hint=hint)
        seen.add(one.name)
    return found


def _parse(text: str) -> WatchedSource:
    named = None if Path(text).exists() else _NAMED.fullmatch(text)
    name, place = ("", text) if named is None else (named[1], named[2])
    if is_address(place):
        camera = Camera.parse(place, STREAMS)
        return WatchedSource(name or camera.name, camera)
    path = Path(place)
    require_no_device(path)
    if not path.exists():
        raise DataError("no such file or folder", where=path)
    if path.is_file() and path.suffix.lower() not in VIDEO_SUFFIXES | IMAGE_SUFFIXES:
        known = " ".join(sorted(VIDEO_SUFFIXES | IMAGE_SUFFIXES))
        raise DataError("neither a video nor an image by its ending", where=path, hint=f"known endings: {known}")
    return WatchedSource(name or safe_name(path.resolve().stem), path)
