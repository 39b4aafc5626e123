"""Find videos and images, and read camera, category and day from their names."""

from __future__ import annotations

import hashlib
import re
import time
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from liftgate.data.video_frames.records import FrameSource
from liftgate.errors import DataError, UsageError
from liftgate.patterns import PatternError, compiled_pattern

_MPEG = (".m2ts", ".m4v", ".mp4", ".mpeg", ".mpg", ".mts", ".ts")
VIDEO_SUFFIXES = frozenset((*_MPEG, ".3gp", ".asf", ".avi", ".flv", ".mjpeg", ".mjpg", ".mkv", ".mov", ".webm", ".wmv"))
IMAGE_SUFFIXES = frozenset((".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))

_DAY = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-_.]?([01]\d)[-_.]?([0-3]\d)"
    r"(?:[-_.T ]{0,3}([0-2]\d)[-_.:h]?([0-5]\d)[-_.:m]?([0-5]\d))?(?!\d)",
    re.ASCII,
)
_CAMERA = re.compile(r"(?<![a-z])((?:cam(?:era)?|kamera)(?:[ ]?\d+|[-_][a-z0-9]+)|ch\d+)", re.IGNORECASE | re.ASCII)
_LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class NamingRules:
    """How camera and category of a file are named.

    Each is `folder` (the name of the file's folder), a regular expression with one group, searched in the path below
    the source, or any other text, which is the name itself.
    """

    camera: str | None = None
    """None: `cam…`, `camera…` or `ch<number>` in the file's name, if any"""
    category: str = "folder"


@dataclass(frozen=True, slots=True)
class RollingBuffer:
    """A folder to which a recorder adds segments while it deletes old ones.

    A segment is complete if it is not the newest of its folder, or was not written to for `settle` seconds.
    """

    newest: int | None = None
    """Number of newest complete segments to take from each folder; None: all."""
    settle: float = 30.0


def find_sources(
    paths: Sequence[Path],
    *,
    naming: NamingRules | None = None,
    buffer: RollingBuffer | None = None,
    now: float | None = None,
) -> list[FrameSource]:
    """Return the videos and images among `paths`, sorted by name; folders are searched recursively.

    Args:
        paths: files and folders.
        naming: how camera and category are named.
        buffer: given if the videos are segments of a rolling buffer.
        now: current time for `buffer`; default: the clock's.

    Raises:
        DataError: a path does not exist, or there is no video and no image.
    """
    found: dict[Path, FrameSource] = {}
    for path in paths:
        for file, relative in _files(path):
            source = _frame_source(file, relative, naming or NamingRules(), path)
            if source is not None and file.resolve() not in found:
                found[file.resolve()] = source
    if not found:
        raise DataError(
            "no video and no image here",
            where=", ".join(str(path) for path in paths),
            hint=f"known endings: {' '.join(sorted(VIDEO_SUFFIXES | IMAGE_SUFFIXES))}",
        )
    sources = sorted(found.values(), key=lambda source: (source.name, str(source.path)))
    if buffer is not None:
        sources = _complete_segments(sources, buffer, time.time() if now is None else now)
    return _with_unique_names(sources)


def safe_name(text: str) -> str:
    """Return `text` as a part of a file name: letters, digits, `.`, `_` and `-`, at most 120 characters.

    >>> safe_name("Büro 2/../Kamera (1)")
    'Büro_2_.._Kamera_1'
    """
    clean = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", text)).strip("_.-")
    if len(clean.encode()) > _LONGEST_NAME:  # file systems count bytes, 255 of them
        clean = clean.encode()[: _LONGEST_NAME - 9].decode(errors="ignore") + "-" + _digest(text, 8)
    return clean or "video"


def date_and_time(text: str) -> tuple[str, datetime | None]:
    """Return the day (YYYY-MM-DD, or empty) and the wall clock in a name, or None.

    >>> date_and_time("cam3_20260114-083000.mp4")
    ('2026-01-14', datetime.datetime(2026, 1, 14, 8, 30))
    >>> date_and_time("IMG_2026-01-14.jpg"), date_and_time("99999999.mp4")
    (('2026-01-14', None), ('', None))
    """
    for match in _DAY.finditer(text):
        year, month, day, *clock = match.groups()
        try:
            date = datetime(int(year), int(month), int(day))
            at = date.replace(hour=int(clock[0]), minute=int(clock[1]), second=int(clock[2])) if clock[0] else None
        except ValueError:  # the 31st of February, hour 27: some other number
            continue
        return f"{date:%Y-%m-%d}", at
    return "", None


def _files(path: Path) -> list[tuple[Path, Path]]:
    """Return (file, its path below the source); for a file given by itself, that is its name."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        below = [(file, file.relative_to(path)) for file in files]
        return [(file, relative) for file, relative in below if not any(p.startswith(".") for p in relative.parts)]
    if not path.exists():
        raise DataError("no such file or folder", where=path)
    if path.suffix.lower() not in VIDEO_SUFFIXES | IMAGE_SUFFIXES:
        raise DataError(
            "neither a video nor an image by its ending",
            where=path,
            hint=f"known endings: {' '.join(sorted(VIDEO_SUFFIXES | IMAGE_SUFFIXES))}",
        )
    return [(path, Path(path.name))]


def _frame_source(file: Path, relative: Path, naming: NamingRules, root: Path) -> FrameSource | None:
    suffix = file.suffix.lower()
    if suffix not in VIDEO_SUFFIXES | IMAGE_SUFFIXES:
        return None
    day, started = date_and_time(relative.name)
    day = day or date_and_time(relative.as_posix())[0]
    folder = relative.parent.name or (root.name if root.is_dir() else root.resolve().parent.name)
    text = relative.as_posix()
    guess = _CAMERA.search(relative.name) or _CAMERA.search(text)
    camera = guess[1].lower() if guess else ""
    return FrameSource(
        path=file,
        name=safe_name("--".join(relative.with_suffix("").parts)),
        kind="image" if suffix in IMAGE_SUFFIXES else "video",
        camera=safe_name(_named(naming.camera, text, folder, "camera"))
        if naming.camera
        else camera and safe_name(camera),
        category=_named(naming.category, text, folder, "category"),
        day=day,
        started=started,
        folder=folder if suffix in IMAGE_SUFFIXES else "",
    )


def _named(rule: str, text: str, folder: str, what: str) -> str:
    if rule == "folder":
        return folder
    if "(" not in rule:
        return rule
    try:
        pattern = compiled_pattern(rule)
    except PatternError as error:
        raise UsageError(f"the rule for {what} is no regular expression", where=rule, got=error) from error
    if pattern.groups != 1:
        raise UsageError(f"the rule for {what} needs one group", where=rule, got=f"{pattern.groups} groups")
    match = pattern.search(text)
    return (match[1] or "") if match else ""


def _complete_segments(sources: list[FrameSource], buffer: RollingBuffer, now: float) -> list[FrameSource]:
    """Return the segments that the recorder has finished, the newest of each folder and camera."""
    places: dict[tuple[Path, str], list[tuple[float, FrameSource]]] = {}
    for source in sources:
        try:
            changed = source.path.stat().st_mtime
        except FileNotFoundError:  # the recorder has just deleted it
            continue
        places.setdefault((source.path.parent, source.camera), []).append((changed, source))
    kept: list[FrameSource] = []
    for segments in places.values():
        segments.sort(key=lambda pair: (pair[1].started or datetime.min, pair[0], pair[1].name))
        if now - segments[-1][0] < buffer.settle:
            segments.pop()
        newest = segments if buffer.newest is None else segments[len(segments) - min(buffer.newest, len(segments)) :]
        kept += [replace(source, kind="segment") for _, source in newest if source.kind == "video"]
    return sorted(kept, key=lambda source: (source.name, str(source.path)))


def _with_unique_names(sources: list[FrameSource]) -> list[FrameSource]:
    """Give sources of the same name (`a/op1.mp4` and `b/op1.mp4`, `op1.mp4` and `op1.mov`) names of their own.

    Each is derived from the shortest end of its path that distinguishes it: the same from any working directory,
    wherever all of them are copied to, and mostly also if another source is added.
    """
    alike: dict[str, list[int]] = defaultdict(list)
    for index, source in enumerate(sources):
        alike[source.name.casefold()].append(index)  # some file systems ignore case
    named = list(sources)
    for indices in alike.values():
        ends = _distinct_ends([sources[index].path.resolve() for index in indices]) if len(indices) > 1 else ()
        for index, end in zip(indices, ends, strict=False):
            named[index] = replace(sources[index], name=f"{sources[index].name}-{_digest(end, 6)}")
    return named


def _distinct_ends(paths: Sequence[Path]) -> list[str]:
    """Return the last parts of each path, at least two, as many as make all of them different."""
    deepest = max(len(path.parts) for path in paths)
    for depth in range(2, deepest):
        ends = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(ends)) == len(set(paths)):
            return ends
    return [path.as_posix() for path in paths]


def _digest(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:digits]
