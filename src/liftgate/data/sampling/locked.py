"""Exclude frames of locked splits, and of their groups, from sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from liftgate.data.sampling.records import CandidateFrame
from liftgate.data.splits.split import read_split
from liftgate.errors import DataError, Refused


@dataclass(frozen=True, slots=True)
class LockedSplit:
    """The images and groups of a locked split."""

    source: str
    groups: frozenset[str]
    images: frozenset[str]
    """ids, file names and stems"""

    def holds(self, frame: CandidateFrame) -> bool:
        """Return whether a frame is one of the images, or of one of the groups."""
        path = PurePosixPath(frame.image)
        return frame.group in self.groups or not self.images.isdisjoint((frame.image, path.name, path.stem))


def read_locked(text: str) -> LockedSplit:
    """Read `split.csv` or `split.csv:NAME` (default: test).

    Raises:
        DataError: not a split, or the named split has no image.
    """
    path, split = Path(text), "test"
    if not path.exists() and ":" in text:
        head, _, split = text.rpartition(":")
        path = Path(head)
    frozen = read_split(path)
    images = [image for image, name in frozen.assignment.items() if name == split]
    if not images:
        raise DataError(
            "nothing is locked by this split", where=path, expected=f"images in {split}",
            got=", ".join(sorted(set(frozen.assignment.values()))), hint="--never split.csv:NAME names another split",
        )  # fmt: skip
    groups = {frozen.groups[image] for image in images}
    names = {name for image in images for name in (image, PurePosixPath(image).name, PurePosixPath(image).stem)}
    # Without a group column every image is a group of its own, `image:<id>`: the images alone identify it.
    return LockedSplit(
        str(path), frozenset(group for group in groups if not group.startswith("image:")), frozenset(names)
    )


def locked_frames(frames: Sequence[CandidateFrame], locked: Sequence[LockedSplit]) -> NDArray[np.bool_]:
    """Return the mask (n,) of locked frames: by themselves, by their group, or by another frame of their group."""
    held = [any(lock.holds(frame) for lock in locked) for frame in frames]
    groups = {frame.group for frame, is_held in zip(frames, held, strict=True) if is_held and frame.group}
    return np.array(
        [is_held or frame.group in groups for frame, is_held in zip(frames, held, strict=True)], dtype=np.bool_
    )


def refuse_unknown_groups(frames: Sequence[CandidateFrame], locked: Sequence[LockedSplit]) -> None:
    """Refuse frames if it is unknown whether they belong to a locked group.

    Raises:
        Refused: a group is locked and a frame's group is not known.
    """
    if not any(lock.groups for lock in locked):
        return
    loose = [frame.image for frame in frames if not frame.group]
    if loose:
        raise Refused(
            "frames whose group is not known could come from a locked group",
            where=next(lock.source for lock in locked if lock.groups),
            got=f"{len(loose)} of {len(frames)} frames, such as {loose[0]}",
            hint="give a manifest with a column group (`liftgate data frames` writes one)",
        )


def refuse_locked(frames: Sequence[CandidateFrame], locked: Sequence[LockedSplit]) -> None:
    """Check the chosen frames once more, before they are written.

    Raises:
        Refused: a frame of a locked group is among them.
    """
    for lock in locked:
        for frame in frames:
            if lock.holds(frame):
                raise Refused(
                    "a frame of a locked group was chosen", where=lock.source, got=f"{frame.image}, {frame.group}"
                )
