"""Snapshot: a manifest with the hash of every file of a data set, to verify later that nothing has changed.

Every byte is read again each time: a file's time and size prove nothing (`fingerprint`, which is for caching, trusts
them). Names are relative to the data set's root, so the set may move. Verification reads the data set, not the
manifest's names, so an untrusted manifest cannot make it open other files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from liftgate.data.core.dataset import Dataset
from liftgate.documents import LARGE, DocumentError, read_limited
from liftgate.errors import DataError
from liftgate.files import replacing
from liftgate.hashing import content_hash, file_hash
from liftgate.progress import Progress, silent

FORMAT = "liftgate-snapshot-1"
_THREADS = min(8, 2 * (os.cpu_count() or 1))
_BATCH = 256


class FileState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size and hash of one file."""

    bytes: int
    sha256: str


class Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Manifest of a data set. `sha256` is the hash of all other fields."""

    format: str
    name: str
    n_images: int
    n_objects: int
    classes: tuple[str, ...]
    splits: dict[str, int]
    """split → images"""
    labels: str
    """Dataset.truth_hash(): hash of the labels, the same in any format"""
    assignment: str
    """Hash of which image belongs to which split and group"""
    files: dict[str, FileState]
    """POSIX path relative to the data set's root → size and hash"""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class SnapshotDifference:
    """Changes of a data set since its snapshot; all empty: none."""

    changed: tuple[str, ...]
    vanished: tuple[str, ...]
    appeared: tuple[str, ...]
    sentences: tuple[str, ...]
    """Changes in the contents of the data set, such as classes or splits"""
    n_files: int
    """Number of files that were compared"""

    @property
    def same(self) -> bool:
        """Whether nothing has changed."""
        return not (self.changed or self.vanished or self.appeared or self.sentences)

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"ok": self.same, **asdict(self)}


def take_snapshot(dataset: Dataset, *, progress: Progress = silent) -> Snapshot:
    """Read every image, label file and source file of `dataset` and return their manifest.

    Raises:
        DataError: a file cannot be read.
    """
    files = _hash_all(_files_of(dataset), dataset.root, progress)
    by_split: dict[str, int] = {}
    for image in dataset.images:
        by_split[image.split or ""] = by_split.get(image.split or "", 0) + 1
    made = Snapshot(
        format=FORMAT,
        name=dataset.name,
        n_images=len(dataset.images),
        n_objects=len(dataset.labels),
        classes=dataset.classes,
        splits=by_split,
        labels=dataset.truth_hash(),
        assignment=content_hash([(image.id, image.split, image.group) for image in dataset.images]),
        files=files,
    )
    return msgspec.structs.replace(made, sha256=_manifest_hash(made))


def write_snapshot(snapshot: Snapshot, path: Path) -> Path:
    """Write a manifest, one line for each file, in one atomic step; the same data give the same bytes."""
    encoder = msgspec.json.Encoder(order="sorted")
    with replacing(path, "wb") as file:
        file.write(msgspec.json.format(encoder.encode(snapshot), indent=1) + b"\n")
    return path


def read_snapshot(path: Path) -> Snapshot:
    """Read a manifest.

    Raises:
        DataError: not a manifest, or changed after it was written.
    """
    try:
        snapshot = msgspec.json.decode(read_limited(path, LARGE), type=Snapshot)
    except (OSError, DocumentError) as error:
        raise DataError(
            "the manifest cannot be read", where=path, got=error.strerror if isinstance(error, OSError) else error
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError("not a snapshot's manifest", where=path, got=str(error)) from error
    if snapshot.format != FORMAT:
        raise DataError("another format of manifest", where=path, expected=FORMAT, got=snapshot.format)
    if snapshot.sha256 != _manifest_hash(snapshot):
        raise DataError(
            "the manifest was changed after it was written",
            where=path,
            expected=f"sha256 {snapshot.sha256[:12]}…",
            got=f"{_manifest_hash(snapshot)[:12]}…",
            hint="it proves nothing any more: take it from where you kept a copy",
        )
    return snapshot


def verify_snapshot(snapshot: Snapshot, dataset: Dataset, *, progress: Progress = silent) -> SnapshotDifference:
    """Read `dataset` again and return all changes.

    Raises:
        DataError: a file cannot be read.
    """
    now = take_snapshot(dataset, progress=progress)
    before, after = snapshot.files, now.files
    return SnapshotDifference(
        changed=tuple(sorted(name for name in before.keys() & after.keys() if before[name] != after[name])),
        vanished=tuple(sorted(before.keys() - after.keys())),
        appeared=tuple(sorted(after.keys() - before.keys())),
        sentences=tuple(_sentences(snapshot, now)),
        n_files=len(after),
    )


def _sentences(before: Snapshot, after: Snapshot) -> Iterable[str]:
    if before.classes != after.classes:
        yield f"the classes were {', '.join(before.classes)} and are {', '.join(after.classes)}"
    for what, one, other in (
        ("images", before.n_images, after.n_images),
        ("objects", before.n_objects, after.n_objects),
    ):
        if one != other:
            yield f"there were {one:,} {what} and are {other:,}"
    if before.splits != after.splits:
        yield f"the splits were {_split_text(before.splits)} and are {_split_text(after.splits)}"
    elif before.assignment != after.assignment:
        yield "images belong to other splits or groups than they did"
    if before.labels != after.labels:
        yield "the labels, or the images' sizes or names, mean something else than they did"


def _split_text(splits: Mapping[str, int]) -> str:
    return ", ".join(f"{name or 'unsplit'} {count:,}" for name, count in sorted(splits.items())) or "none"


def _manifest_hash(snapshot: Snapshot) -> str:
    return content_hash(msgspec.to_builtins(msgspec.structs.replace(snapshot, sha256="")))


def _files_of(dataset: Dataset) -> list[Path]:
    """Return the images, label files, source and its lists, each once; missing files are left out."""
    found = {image.path for image in dataset.images}
    found |= {image.label for image in dataset.images if image.label is not None}
    if dataset.source.is_file():
        found.add(dataset.source)
    found |= set(_lists(dataset))
    return sorted(path for path in found if path.is_file())


def _lists(dataset: Dataset) -> Iterable[Path]:
    """Yield the files that assign images to splits: YOLO lists, VOC's ImageSets."""
    if dataset.format == "voc":
        yield from (dataset.root / "ImageSets" / "Main").glob("*.txt")
    for split in ("train", "val", "test"):
        value = dataset.raw.get(split)
        for name in [value] if isinstance(value, str) else value if isinstance(value, list) else []:
            if isinstance(name, str) and name.endswith(".txt"):
                yield from (folder / name for folder in {dataset.root, dataset.source.parent})


def _hash_all(paths: list[Path], root: Path, progress: Progress) -> dict[str, FileState]:
    states: dict[str, FileState] = {}
    with ThreadPoolExecutor(_THREADS) as pool:  # hashing releases the GIL
        for start in range(0, len(paths), _BATCH):
            part = paths[start : start + _BATCH]
            for path, state in zip(part, pool.map(_file_state, part), strict=True):
                states[_relative_name(path, root)] = state
            progress("hashing files", len(states), len(paths))
    return dict(sorted(states.items()))


def _relative_name(path: Path, root: Path) -> str:
    """Return the POSIX path relative to the root, also with `..`; bytes that are not UTF-8 become escapes."""
    return os.fsencode(Path(os.path.relpath(path, root)).as_posix()).decode("utf-8", "backslashreplace")


def _file_state(path: Path) -> FileState:
    try:
        return FileState(path.stat().st_size, file_hash(path))
    except OSError as error:
        raise DataError("a file of the data set cannot be read", where=path, got=error.strerror) from error
