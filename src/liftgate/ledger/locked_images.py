"""Identities of locked images, stored next to the ledger, and the user's index of ledgers on this machine.

A run writes `locked/DATASET.SPLIT.json` into the folder of its study, so that copies of the locked images are known
wherever they lie. The index is one text file in the user's state folder ($XDG_STATE_HOME/liftgate/ledgers.txt), a path
on each line; LIFTGATE_LEDGER_INDEX=off neither writes nor reads it. Nothing of it leaves the machine.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.image_identity import ImageIdentities
from liftgate.errors import DataError, LedgerError, full_disk_hint
from liftgate.files import state_folder, write_bytes, write_text
from liftgate.hashing import file_hash
from liftgate.ledger.nearby import INDEX, LINE_BREAK, SWITCH
from liftgate.locks import waiting_lock
from liftgate.progress import Progress, silent


def record_locked_images(
    folder: Path,
    name: str,
    dataset: Dataset,
    splits: tuple[str, ...],
    fingerprint: str,
    known: Mapping[str, str | None],
    progress: Progress = silent,
) -> dict[str, str]:
    """Write the identities of the images of locked splits, once for every state of the data.

    Args:
        folder: of the study's results.
        name: of the data set in the study.
        dataset: with all its splits.
        splits: the locked ones.
        fingerprint: of the data set.
        known: split → SHA-256 of its file in the ledger; None: an older ledger without it. A file that is missing here
            or has another hash is written again.
        progress: called while images are read.

    Returns:
        dict[str, str]: split → SHA-256 of its file.
    """
    hashes = {}
    for split in (split for split in splits if split in dataset.splits):
        path = _file(folder, name, split, fingerprint)
        if not (split in known and path.is_file() and known[split] in (None, file_hash(path))):
            locked = np.array([image.split == split for image in dataset.images], dtype=np.bool_)
            others = dataset.take(~locked)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, ImageIdentities.of(dataset.take(locked), others, progress).to_json())
        hashes[split] = file_hash(path)
    return hashes


def read_locked_images(
    folder: Path, name: str, split: str, fingerprint: str, sha256: str | None
) -> ImageIdentities | None:
    """Return what `record_locked_images` wrote; None: an older run, whose ledger has no hash of the file.

    Args:
        folder: of the study's results.
        name: of the data set in the study.
        split: the locked one.
        fingerprint: of the data set.
        sha256: of the file, from the ledger; None: an older ledger.

    Raises:
        LedgerError: the file does not have the hash that is in the ledger.
    """
    path = _file(folder, name, split, fingerprint)
    try:
        text = path.read_bytes()
        if sha256 is None or hashlib.sha256(text).hexdigest() == sha256:
            return ImageIdentities.from_json(text.decode())
    except (OSError, ValueError):
        if sha256 is None:
            return None
    what = f"by which images of {name}.{split} are recognised is not what the ledger has the hash of"
    raise LedgerError(what, where=path, hint="restore the file from a copy; the study's next run writes it again")


def register_ledger(ledger: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Add a ledger to the user's index, so that its locks apply in every folder of this machine.

    Raises:
        OSError: the disk of the index is full: elsewhere the locks would silently not apply.
    """
    if environment.get(SWITCH, "").lower() == "off":
        return
    try:
        _add_to_index(ledger, state_folder(environment) / INDEX)
    except (OSError, RuntimeError, DataError) as error:  # a home that cannot be written has no index
        if full_disk_hint(error):
            raise


def _add_to_index(ledger: Path, index: Path) -> None:
    index.parent.mkdir(parents=True, exist_ok=True)
    line = os.fsencode(ledger.resolve()).replace(b"\n", LINE_BREAK)
    with waiting_lock(index.with_name(f"{INDEX}.lock")):
        lines = index.read_bytes().split(b"\n") if index.exists() else []
        if line not in lines:
            write_bytes(index, b"".join(known + b"\n" for known in (*filter(None, lines), line)))


def _file(folder: Path, name: str, split: str, fingerprint: str) -> Path:
    return folder / "locked" / f"{name}.{split}.{fingerprint[:12]}.json"
