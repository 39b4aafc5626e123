"""Neighbours in time: do pictures with consecutive numbers resemble each other more than others do?"""

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

_LAST_NUMBER = re.compile(r"^(?P<stem>.*?)(?P<number>\d{2,})(?P<tail>\D*)$")
_FRAME = re.compile(
    r"^(?P<stem>.+[_.](?:mp4|mov|avi|mkv|webm|mts|m4v|mpe?g|wmv|3gp))[-_]+(?:frame[-_]*)?(?P<number>\d+)(?P<tail>\D*)$",
    re.IGNORECASE,
)
_EXPORTED = re.compile(r"\.rf\.(?:[0-9a-f]{32}|[0-9A-Za-z]{20})$")
_LONGEST = 3  # steps of the usual distance that still count as neighbours
_FEWEST = 20  # neighbouring pairs across splits
_MOST = 2000
_DRAWN = 32  # strangers drawn for each neighbouring pair: most lie too near or on one side
SURE, MUCH_MORE_ALIKE, MOSTLY = 6.0, 0.15, 0.8
"""How many standard errors, and how much in correlation or how often, neighbours must be more alike than strangers"""


class FrameName(NamedTuple):
    """What a numbered file name says: its sequence, its place in it, and what follows the number."""

    sequence: str
    number: int
    tail: str


def frame_name(stem: str) -> FrameName | None:
    """Return the sequence and the number in a file name without its suffix; None: it is not numbered.

    A frame of a video may have a number of one digit, elsewhere two are needed. What Roboflow appends is left out;
    of its exports only frames of videos are numbered in order.

    >>> frame_name("gate_mp4-7_jpg.rf.0123456789abcdef0123456789abcdef")
    FrameName(sequence='gate_mp4', number=7, tail='_jpg')
    >>> frame_name("IMG_20191208_112605").number, frame_name("cup")
    (112605, None)
    """
    bare = _EXPORTED.sub("", stem)
    match = _FRAME.match(bare) or (_LAST_NUMBER.match(bare) if bare == stem else None)
    return None if match is None else FrameName(match["stem"], int(match["number"][-18:]), match["tail"])


class NeighbourSimilarity(NamedTuple):
    """How alike numbered neighbours on different sides of a split are, against strangers."""

    pairs: int
    neighbours: float
    """mean correlation of grey thumbnails of neighbours across splits"""
    strangers: float
    """the same of random pairs across splits of the same sequences"""
    z: float
    """the difference in standard errors"""
    ahead: float
    """how often a neighbouring pair is more alike than one of strangers; 0.5: as often as not"""
    sequences: tuple[str, ...]
    example: tuple[str, str]

    @property
    def is_sequence(self) -> bool:
        """Whether neighbours are surely more alike than strangers, by much or nearly always.

        Before a still camera all pictures resemble each other, so that the correlation has little room above that of
        strangers.
        """
        gap = self.neighbours - self.strangers
        return self.z >= SURE and (gap >= MUCH_MORE_ALIKE or self.ahead >= MOSTLY)


def compare_neighbours(dataset: Dataset, scan: ImageScan) -> NeighbourSimilarity | None:
    """Compare numbered neighbours (frame_0012, frame_0013; IMG_20191208_112605) that lie in different splits.

    None: fewer than 20 of them. Numbers alone prove nothing (a shuffled archive is numbered too): pixels decide.
    """
    crossing: list[tuple[int, int]] = []
    sequences = []
    rng = np.random.default_rng(0)
    strangers: list[tuple[int, int]] = []
    for stem, members in sorted(_sequences(dataset, scan.readable).items()):
        found = _crossing(dataset, members)
        if not found:
            continue
        sequences.append(stem)
        crossing += found
        order = [index for _, index in members]
        # Strangers from the same sequence, so that the two kinds of pairs do not differ in their scenes.
        for a, b in rng.integers(0, len(order), (_DRAWN * len(found), 2)):
            if abs(a - b) > 10 * _LONGEST and dataset.images[order[a]].split != dataset.images[order[b]].split:
                strangers.append((order[a], order[b]))
    if len(crossing) < _FEWEST or len(strangers) < _FEWEST:
        return None
    near, far = (_alike(scan, pairs[:_MOST]) for pairs in (crossing, strangers))
    error = np.sqrt(near.var(ddof=1) / len(near) + far.var(ddof=1) / len(far))
    a, b = crossing[int(near.argmax())]
    return NeighbourSimilarity(
        pairs=len(crossing),
        neighbours=float(near.mean()),
        strangers=float(far.mean()),
        z=float((near.mean() - far.mean()) / error) if error > 0 else 0.0,
        ahead=_ahead(near, far),
        sequences=tuple(sequences),
        example=(dataset.images[a].id, dataset.images[b].id),
    )


def _ahead(near: NDArray[np.float64], far: NDArray[np.float64]) -> float:
    """Share of (neighbours, strangers) in which the neighbours are more alike; ties count half (Mann–Whitney).

    >>> _ahead(np.array([0.9, 0.8]), np.array([0.1, 0.8]))
    0.875
    """
    order = np.sort(far)
    below = np.searchsorted(order, near, side="left") + np.searchsorted(order, near, side="right")
    return float(below.mean() / (2 * len(far)))


def _sequences(dataset: Dataset, readable: NDArray[np.bool_]) -> dict[str, list[tuple[int, int]]]:
    """Images by what stands before their last number, each list sorted by that number: (number, index)."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for index, image in enumerate(dataset.images):
        name = frame_name(image.path.stem)
        if name and image.split is not None and readable[index]:
            found[name.sequence].append((name.number, index))
    return {stem: sorted(members) for stem, members in found.items() if len(members) > 10 * _LONGEST}


def _crossing(dataset: Dataset, members: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pairs of images next to each other in number, one in train and one in what is measured."""
    steps = [b - a for (a, _), (b, _) in pairwise(members)]
    usual = float(np.median(steps)) or 1.0
    return [
        (first, second)
        for (a, first), (b, second) in pairwise(members)
        if b - a <= _LONGEST * usual
        and dataset.images[first].split != dataset.images[second].split
        and "train" in (dataset.images[first].split, dataset.images[second].split)
    ]


def _alike(scan: ImageScan, pairs: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    return correlation(scan.thumbs, np.array(pairs, dtype=np.int64))
