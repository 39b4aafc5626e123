"""Read the frames that could be labelled, from a manifest (`frames.csv`) or a folder of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath

from liftgate.data.core.csv_tables import read_table
from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.core.image_headers import SUFFIXES, read_headers
from liftgate.data.sampling.records import CandidateFrame
from liftgate.errors import DataError
from liftgate.progress import Progress, silent

MANIFEST = "frames.csv"


def read_frames(source: Path) -> list[CandidateFrame]:
    """Return the frames of a CSV with a column `image` (paths relative to it), or of a folder, sorted by name.

    Optional columns: group, video, camera, day, taken (ISO 8601), time (seconds in the video). In a folder with a
    `frames.csv`, that file is read; of another folder only the names are known.

    Raises:
        DataError: no frames, an image twice, or a path outside the CSV's folder.
    """
    if source.is_dir() and not (source / MANIFEST).is_file():
        files = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        frames = [CandidateFrame(path.relative_to(source).as_posix(), path) for path in files]
    else:
        frames = _from_manifest(source / MANIFEST if source.is_dir() else source)
    if not frames:
        raise DataError("no frames here", where=source, hint="a folder of images, or a CSV with a column image")
    return sorted(frames, key=lambda frame: frame.image)


def unlabelled_dataset(source: Path, classes: Sequence[str] = (), *, progress: Progress = silent) -> Dataset:
    """Return unlabelled frames as a data set without labels; groups are the manifest's.

    Raises:
        DataError: as `read_frames`.
    """
    frames = read_frames(source)
    headers = read_headers([frame.path for frame in frames], progress)
    images = [
        Image(
            id=frame.image,
            path=frame.path,
            width=header.width,
            height=header.height,
            group=frame.group or None,
            orientation=header.orientation,
        )
        for frame, header in zip(frames, headers, strict=True)
    ]
    faults = [header.fault(image.path, image.id) for header, image in zip(headers, images, strict=True)]
    root = source if source.is_dir() else source.parent
    return Dataset(
        name=root.resolve().name,
        root=root,
        source=source,
        format="frames",
        classes=tuple(dict.fromkeys(classes)),
        images=tuple(images),
        labels=Labels.build([], [], []),
        faults=tuple(fault for fault in faults if fault),
    )


def _from_manifest(path: Path) -> list[CandidateFrame]:
    frames: dict[str, CandidateFrame] = {}
    for line, row in read_table(path, ("image",)):
        name, where = row["image"], f"{path}:{line}"
        if not name:
            raise DataError("a row without an image", where=where)
        if name in frames:
            raise DataError("an image twice", where=where, got=name)
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise DataError("an image outside of the manifest's folder", where=where, got=name)
        frames[name] = _frame(name, path.parent / name, row)
    return list(frames.values())


def _frame(name: str, file: Path, row: Mapping[str, str]) -> CandidateFrame:
    camera, day, video = row.get("camera", ""), row.get("day", ""), row.get("video", "")
    taken = parse_time(row.get("taken", ""))
    if not day and taken is not None:
        day = f"{taken:%Y-%m-%d}"
    try:
        at = float(row.get("time", "")) if taken is None else taken.timestamp()
    except ValueError:
        at = None
    # Wall clock orders the segments of a camera; a video's own time orders only its frames.
    sequence = f"{camera} {day}".strip() or video if taken is not None else video
    return CandidateFrame(name, file, row.get("group", ""), sequence, camera, day, at)


def parse_time(text: str) -> datetime | None:
    """Return an ISO 8601 time without its zone, or None if it is not a time.

    >>> parse_time("2026-01-14T08:30:05")
    datetime.datetime(2026, 1, 14, 8, 30, 5)
    """
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError:
        return None
