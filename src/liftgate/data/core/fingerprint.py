"""Fingerprint: one hash of a dataset's content, the same wherever its files are stored.

It covers the bytes of every image, its labels, group and split, and the classes; not the folder, not the format, not
the order of files. Hashing the images is what costs, so a file's hash is remembered by path, size and time of change;
each row of that cache has a hash of its own, so that a damaged one costs time and changes nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np

from liftgate.data.core.dataset import Dataset, Image
from liftgate.files import cache_folder
from liftgate.hashing import content_hash, file_hash, row_hash
from liftgate.progress import Progress, silent

_THREADS = min(8, 2 * (os.cpu_count() or 1))
_Stamp = tuple[str, int, int]


def fingerprint(dataset: Dataset, *, progress: Progress = silent) -> str:
    """Return the SHA-256 of everything that training and evaluation on this dataset depend on.

    An image that is missing counts as missing, not as an error.
    """
    order = sorted(range(len(dataset.images)), key=lambda index: dataset.images[index].id)
    images = [dataset.images[index] for index in order]
    hashes = file_hashes([image.path for image in images], progress)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    rows = np.argsort(place[dataset.labels.image], kind="stable")
    labels = dataset.labels.take(rows)
    columns = [
        place[labels.image],
        labels.cls,
        labels.boxes,
        labels.area,
        labels.crowd,
        labels.ignore,
        labels.keypoints,
    ]
    return content_hash(
        {
            "classes": dataset.classes,
            "category_ids": dataset.category_ids,
            "keypoints": dataset.keypoints,
            "images": [
                (image.id, hash_, image.group, image.split, image.label is None)
                for image, hash_ in zip(images, hashes, strict=True)
            ],
            "labels": columns,
        }
    )


def image_signatures(dataset: Dataset, progress: Progress = silent) -> list[str]:
    """Return a signature of every image: 12 digits of a hash of id and size, 12 of its file's hash (`-`: no file).

    Signatures show whether two sets of images overlap; names such as frame_0001.jpg alone occur in many sets.
    """
    hashes = file_hashes([image.path for image in dataset.images], progress)
    return [
        name_signature(image) + (hash_ or "-" * 12)[:12] for image, hash_ in zip(dataset.images, hashes, strict=True)
    ]


def name_signature(image: Image) -> str:
    """Return the part of an image's signature that needs no file: 12 digits of a hash of id and size."""
    return content_hash((image.id, image.width, image.height))[:12]


def file_hashes(paths: Sequence[Path], progress: Progress = silent) -> list[str | None]:
    """Return the SHA-256 of every file, None for a missing one; unchanged files are not read again."""
    stamps = [_stamp_of(path) for path in paths]
    with closing(_open_cache()) as cache:
        known = _recall(cache, [stamp for stamp in stamps if stamp])
        todo = [stamp for stamp in dict.fromkeys(stamps) if stamp and stamp not in known]
        fresh: dict[_Stamp, str] = {}
        with ThreadPoolExecutor(_THREADS) as pool:  # hashlib lets go of the interpreter lock
            for stamp, hash_ in zip(todo, pool.map(lambda stamp: _try_hash(Path(stamp[0])), todo), strict=True):
                if hash_ is not None:
                    fresh[stamp] = hash_
                progress("hashing images", len(known) + len(fresh), len(known) + len(todo))
        _remember(cache, fresh)
    table: Mapping[_Stamp, str] = known | fresh
    return [table.get(stamp) if stamp else None for stamp in stamps]


def _stamp_of(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return str(path.absolute()), status.st_size, status.st_mtime_ns


def _try_hash(path: Path) -> str | None:
    try:
        return file_hash(path)
    except OSError:
        return None


def _open_cache() -> sqlite3.Connection:
    """The cache file, or a cache in memory where that cannot be opened: it saves time and decides nothing."""
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        return _create_table(sqlite3.connect(folder / "hashes.sqlite", timeout=5))
    except (OSError, RuntimeError, sqlite3.Error):  # RuntimeError: there is no home folder
        return _create_table(sqlite3.connect(":memory:"))


def _create_table(cache: sqlite3.Connection) -> sqlite3.Connection:
    cache.execute(
        "CREATE TABLE IF NOT EXISTS sealed (path TEXT PRIMARY KEY, size INT, mtime INT, sha256 TEXT, seal TEXT)"
    )
    return cache


def _recall(cache: sqlite3.Connection, stamps: Sequence[_Stamp]) -> dict[_Stamp, str]:
    known: dict[_Stamp, str] = {}
    for stamp in stamps:
        try:
            found = cache.execute("SELECT sha256, seal FROM sealed WHERE path=? AND size=? AND mtime=?", stamp)
            row = found.fetchone()
            if row and row[1] == row_hash(*stamp, row[0]):  # else a damaged cache: the file is hashed again
                known[stamp] = row[0]
        except (sqlite3.Error, UnicodeError, TypeError):
            continue
    return known


def _remember(cache: sqlite3.Connection, fresh: Mapping[_Stamp, str]) -> None:
    rows = [(*stamp, hash_, row_hash(*stamp, hash_)) for stamp, hash_ in fresh.items() if stamp[0].isprintable()]
    try:
        with cache:
            cache.executemany("INSERT OR REPLACE INTO sealed VALUES (?, ?, ?, ?, ?)", rows)
    except sqlite3.Error:
        pass
