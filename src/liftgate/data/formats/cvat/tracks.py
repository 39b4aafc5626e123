"""Tracks of a video's objects, for CVAT XML 1.1: which boxes are one object.

`Dataset.raw["tracks"]` maps each frame to the tracks of its objects; `Labels.line` is the object's index there, so the
mapping stays valid when classes or frames are selected.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset

TRACKS = "tracks"
_FRAME = re.compile(r"frame_(\d{6,})(?:\.\w+)?")


def track_of(dataset: Dataset) -> NDArray[np.int64] | None:
    """Return the track of every object, or None where a file of tracks cannot hold the data.

    Such a file cannot hold objects without a track, frames that are not numbered frames of one video, frames in
    splits, frames without an object, or keypoints.
    """
    known = dataset.raw.get(TRACKS)
    if not isinstance(known, Mapping) or not len(dataset.labels) or dataset.keypoints is not None:
        return None
    videos = {image.group for image in dataset.images}
    if len(videos) > 1 or any(image.split or not _FRAME.fullmatch(image.id) for image in dataset.images):
        return None
    if len({image.upright for image in dataset.images}) > 1:
        return None
    if len(np.unique(dataset.labels.image)) < len(dataset.images):
        return None
    owners = [known.get(image.id, ()) for image in dataset.images]
    places = zip(dataset.labels.image.tolist(), dataset.labels.line.tolist(), strict=True)
    found = [owners[image][line - 1] if 0 < line <= len(owners[image]) else -1 for image, line in places]
    return None if min(found) < 0 else np.array(found, dtype=np.int64)


def track_runs(dataset: Dataset, tracks: NDArray[np.int64]) -> Iterator[tuple[int, Sequence[tuple[int, int, bool]]]]:
    """Yield each track with its (frame, row of the labels, whether the track ends there), in order of frames."""
    numbers = [int(match[1]) if (match := _FRAME.fullmatch(image.id)) else 0 for image in dataset.images]
    rows: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for row, (track, image) in enumerate(zip(tracks.tolist(), dataset.labels.image.tolist(), strict=True)):
        rows[track].append((numbers[image], row))
    for track in sorted(rows):
        in_order = sorted(rows[track])
        after = [frame for frame, _ in in_order[1:]] + [-1]
        yield (
            track,
            [(frame, row, following != frame + 1) for (frame, row), following in zip(in_order, after, strict=True)],
        )
