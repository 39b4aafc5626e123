"""Recognise video frames by number: are consecutively numbered images more alike than random pairs?"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.checks.images.copies import correlation
from liftgate.checks.images.scan import ImageScan
from liftgate.data.core.dataset import Dataset

_NUMBERED = re.compile(r"^(?P<stem>.*?)(?P<number>\d{2,})(?P<tail>\D*)$")
_VIDEO_FRAME = re.compile(
    r"^(?P<stem>.+[-_.](?:mp4|mov|avi|mkv|webm|mts|m4v|mpe?g|wmv|3gp))[-_]+(?:frame[-_]*)?(?P<number>\d+)(?P<tail>\D*)$",
    re.IGNORECASE,
)
_ROBOFLOW_SUFFIX = re.compile(r"\.rf\.(?:[0-9a-f]{32}|[0-9A-Za-z]{20})$")
_MAX_STEPS = 3  # between two neighbours, in units of the median step
_MIN_PAIRS = 20  # neighbouring pairs across splits
_MAX_PAIRS = 2000
_RANDOM_PAIRS = 32  # drawn for each neighbouring pair; most are rejected: too near, or in one split
MIN_Z, MIN_CORRELATION_GAP, MIN_SUPERIORITY = 6.0, 0.15, 0.8
"""Least z, and least gap in correlation or least probability of superiority, of neighbours over random pairs"""


class FrameName(NamedTuple):
    """The parts of a numbered file name: sequence, number, and the text after the number."""

    sequence: str
    number: int
    tail: str


def frame_name(stem: str) -> FrameName | None:
    """Return the parts of a numbered file name without its suffix; None where it has no number.

    A number needs two digits, a frame of a video only one. The suffix that Roboflow appends is ignored; among its
    exports only frames of videos are numbered in order.

    >>> frame_name("gate_mp4-7_jpg.rf.0123456789abcdef0123456789abcdef")
    FrameName(sequence='gate_mp4', number=7, tail='_jpg')
    >>> frame_name("IMG_20191208_112605").number, frame_name("cup")
    (112605, None)
    """
    bare = _ROBOFLOW_SUFFIX.sub("", stem)
    match = _VIDEO_FRAME.match(bare) or (_NUMBERED.match(bare) if bare == stem else None)
    return None if match is None else FrameName(match["stem"], int(match["number"][-18:]), match["tail"])


class NeighbourSimilarity(NamedTuple):
    """How alike neighbours in different splits are, compared with random pairs of the same sequences."""

    pairs: int
    neighbours: float
    """mean correlation of the grey thumbnails of neighbours in different splits"""
    random_pairs: float
    """the same of random pairs in different splits of the same sequences"""
    z: float
    """the difference in standard errors"""
    superiority: float
    """probability that a neighbouring pair is more alike than a random one (0.5: no difference)"""
    sequences: tuple[str, ...]
    example: tuple[str, str]

    @property
    def is_sequence(self) -> bool:
        """Return whether neighbours are significantly more alike than random pairs, by a large gap or nearly always.

        All images of a fixed camera resemble each other, so that their gap in correlation is small.
        """
        gap = self.neighbours - self.random_pairs
        return self.z >= MIN_Z and (gap >= MIN_CORRELATION_GAP or self.superiority >= MIN_SUPERIORITY)


def compare_neighbours(dataset: Dataset, scan: ImageScan) -> NeighbourSimilarity | None:
    """Compare numbered neighbours (frame_0012, frame_0013; IMG_20191208_112605) that lie in different splits.

    Numbers alone prove nothing (a shuffled archive is numbered too), so their pixels decide.

    Returns:
        None where there are fewer than 20 such pairs.

    """
    crossing: list[tuple[int, int]] = []
    sequences = []
    rng = np.random.default_rng(0)
    random_pairs: list[tuple[int, int]] = []
    for stem, members in sorted(_sequences(dataset, scan.readable).items()):
        found = _neighbours_across_splits(dataset, members)
        if not found:
            continue
        sequences.append(stem)
        crossing += found
        order = [index for _, index in members]
        # Random pairs from the same sequence, so that the two kinds of pairs do not differ in their scenes.
        for a, b in rng.integers(0, len(order), (_RANDOM_PAIRS * len(found), 2)):
            if abs(a - b) > 10 * _MAX_STEPS and dataset.images[order[a]].split != dataset.images[order[b]].split:
                random_pairs.append((order[a], order[b]))
    if len(crossing) < _MIN_PAIRS or len(random_pairs) < _MIN_PAIRS:
        return None
    near, far = (_correlations(scan, pairs[:_MAX_PAIRS]) for pairs in (crossing, random_pairs))
    error = np.sqrt(near.var(ddof=1) / len(near) + far.var(ddof=1) / len(far))
    a, b = crossing[int(near.argmax())]
    return NeighbourSimilarity(
        pairs=len(crossing),
        neighbours=float(near.mean()),
        random_pairs=float(far.mean()),
        z=float((near.mean() - far.mean()) / error) if error > 0 else 0.0,
        superiority=_superiority(near, far),
        sequences=tuple(sequences),
        example=(dataset.images[a].id, dataset.images[b].id),
    )


def _superiority(near: NDArray[np.float64], far: NDArray[np.float64]) -> float:
    """Return the share of (near, far) pairs in which near is larger; ties count half (Mann–Whitney).

    >>> _superiority(np.array([0.9, 0.8]), np.array([0.1, 0.8]))
    0.875
    """
    order = np.sort(far)
    below = np.searchsorted(order, near, side="left") + np.searchsorted(order, near, side="right")
    return float(below.mean() / (2 * len(far)))


def _sequences(dataset: Dataset, readable: NDArray[np.bool_]) -> dict[str, list[tuple[int, int]]]:
    """Return sequence → (number, image index) of its images, sorted; only sequences of more than 30 images."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for index, image in enumerate(dataset.images):
        name = frame_name(image.path.stem)
        if name and image.split is not None and readable[index]:
            found[name.sequence].append((name.number, index))
    return {stem: sorted(members) for stem, members in found.items() if len(members) > 10 * _MAX_STEPS}


def _neighbours_across_splits(dataset: Dataset, members: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the index pairs of consecutively numbered images, one in train and one in another split."""
    steps = [b - a for (a, _), (b, _) in pairwise(members)]
    median_step = float(np.median(steps)) or 1.0
    return [
        (first, second)
        for (a, first), (b, second) in pairwise(members)
        if b - a <= _MAX_STEPS * median_step
        and dataset.images[first].split != dataset.images[second].split
        and "train" in (dataset.images[first].split, dataset.images[second].split)
    ]


def _correlations(scan: ImageScan, pairs: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    return correlation(scan.thumbs, np.array(pairs, dtype=np.int64))
