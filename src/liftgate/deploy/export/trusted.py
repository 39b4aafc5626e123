"""Weights of others: read without being loaded, and refused if loading them could run code."""

from __future__ import annotations

from pathlib import Path

from liftgate.checks.ultralytics.checkpoints import Checkpoint, read_checkpoint
from liftgate.deploy.export.card import Source, Task
from liftgate.deploy.export.card_file import find_card, read_card
from liftgate.errors import DataError, Refused
from liftgate.hashing import file_hash

CHECKPOINTS = frozenset((".pt", ".pth"))


def trusted_task(path: Path) -> tuple[Task, tuple[str, ...]]:
    """Return the task of a checkpoint whose loading runs nothing, and notes for the user.

    Raises:
        Refused: loading it could run code.
        DataError: it is no checkpoint, or of another task.
    """
    exported = path.is_dir() and find_card(path) is not None and read_card(path).format == "executorch"
    if exported or path.suffix.lower() == ".torchscript":
        card = None if find_card(path) is None else read_card(path)
        return ("detect", ("a TorchScript file says no task: boxes are taken",)) if card is None else (card.task, ())
    held = harmless_checkpoint(path)
    notes: tuple[str, ...] = ()
    if held.unknown:
        notes = (f"loading would import {', '.join(held.unknown[:4])}, which detectors do not need",)
    if held.task not in (None, "detect", "pose"):
        raise DataError("a model of another task", where=path, expected="detect or pose", got=held.task)
    return ("pose" if held.task == "pose" else "detect"), notes


def harmless_checkpoint(path: Path) -> Checkpoint:
    """Return what a checkpoint holds, read without loading it.

    Raises:
        Refused: loading it could run code.
        DataError: it is no checkpoint.
    """
    held = read_checkpoint(path)
    if held.hostile:
        hint = "`liftgate check` lists all of it; take the weights from their author's own page"
        raise Refused("loading these weights could run code", where=path, got=", ".join(held.hostile[:4]), hint=hint)
    return held


def weights_source(path: Path) -> Source:
    """Return name, hash and licence of a checkpoint."""
    return Source(path.name, file_hash(path), stated_licence(read_checkpoint(path)))


def stated_licence(held: Checkpoint) -> str | None:
    """Return the licence that a checkpoint says of itself; None: it says none."""
    return held.about.get("license", "").partition(" ")[0] or None
