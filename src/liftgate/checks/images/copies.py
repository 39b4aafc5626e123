"""Copies: images that are the same picture, found by hash, confirmed by pixels, over all data sets together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from liftgate.checks.images.near_duplicates import near_pairs
from liftgate.checks.images.scan import THUMB, ImageScan, full_dhash, pixel_hash
from liftgate.data.core.dataset import Dataset, Image

T = TypeVar("T")
NEAR_BITS = 10
"""dHash distance up to which two images are looked at more closely"""
_SURE_BITS = 4
_BITS_OF_A_FRACTION = 4  # by how much the distance at a fraction of the size may exceed that of the whole pictures
_ALIKE = 0.97  # correlation of the grey thumbnails that confirms a near copy
_UNLIKE = 0.7  # and that refutes one even when the hashes agree
_FLAT = 6.0  # grey levels of spread below which any two pictures correlate
_DARKENED = 2.0  # the same where the hashes agree: those of pictures without contrast are noise
_MOST_PAIRS = (
    200_000  # frames of a camera that never moves are copies of each other, and a list of a million pairs is of no use
)
_SAMPLE = 3000
_BLOCK = 65_536  # pairs that are correlated at once: 128 MiB
_SAME_GREY = 16  # equal pixels have equal thumbnails but for rounding, and for JPEG being decoded at a fraction


class LocatedImage(NamedTuple):
    """An image and the data set that it is in."""

    dataset: str
    image: Image

    @property
    def name(self) -> str:
        """Data set and image, for messages."""
        return f"{self.dataset}: {self.image.id}"


@dataclass(frozen=True, slots=True)
class CopyPair:
    """Two images that show the same."""

    first: LocatedImage
    second: LocatedImage
    bits: int
    """dHash distance"""
    alike: float
    """correlation of the grey thumbnails"""
    exact: bool
    """the decoded pixels are equal"""


def find_copies(datasets: Mapping[str, Dataset], scans: Mapping[str, ImageScan]) -> tuple[CopyPair, ...]:
    """Return every pair of images, within a data set or across two, that are copies or near-copies.

    Two pictures are near-copies when their dHashes differ in at most 4 of 64 bits, or in about 10 at most and their
    grey thumbnails correlate by 0.97: beyond 4 bits the hash alone pairs any two dark pictures. One file listed in two
    data sets is not a copy. Where that would be more than some 200,000 pairs, fewer bits are allowed, at last equal
    hashes in a chain: the groups stay, the list of pairs is not complete.
    """
    everyone = [LocatedImage(name, image) for name, dataset in datasets.items() for image in dataset.images]
    facts = [fact for name in datasets for fact in scans[name].facts]
    usable = np.flatnonzero([fact.error is None and fact.spread > 0 for fact in facts])
    every = np.array([fact.dhash for fact in facts], dtype=np.uint64)
    thumbs = (
        np.concatenate([scans[name].thumbs for name in datasets])
        if datasets
        else np.zeros((0, THUMB * THUMB), dtype=np.uint8)
    )
    pairs = usable[candidate_pairs(every[usable], thumbs[usable])]
    alike = correlation(thumbs, pairs)
    bits = np.bitwise_count(every[pairs[:, 0]] ^ every[pairs[:, 1]]).astype(np.int64)
    # A copy that was darkened to a few grey levels keeps its hash: there correlation is computed at low contrast too.
    sure = bits <= _SURE_BITS
    alike[sure] = correlation(thumbs, pairs[sure], flat=_DARKENED)
    doubtful = (alike < _ALIKE) & (alike >= _UNLIKE) & (bits <= _SURE_BITS + _BITS_OF_A_FRACTION)
    bits[doubtful] = _bits_of_whole_pictures([i.image.path for i in everyone], pairs[doubtful])
    kept = (alike >= _ALIKE) | ((bits <= _SURE_BITS) & (alike >= _UNLIKE))
    pairs, alike, bits = pairs[kept], alike[kept], bits[kept]
    grey_apart = np.abs(thumbs[pairs[:, 0]].astype(np.int16) - thumbs[pairs[:, 1]]).max(axis=1, initial=0)
    may_equal = [
        (facts[a].width, facts[a].height) == (facts[b].width, facts[b].height) and apart <= _SAME_GREY
        for (a, b), apart in zip(pairs, grey_apart, strict=True)
    ]
    # Same size and the same thumbnail: only then are both decoded in full for their pixel hash. A day of frames of one
    # camera is all near-copies, and hardly one of them is decoded again.
    suspects = sorted({everyone[i].image.path for pair, may in zip(pairs, may_equal, strict=True) if may for i in pair})
    exact = _pixel_hashes(suspects)
    return tuple(
        CopyPair(
            first=everyone[a],
            second=everyone[b],
            bits=int(distance),
            alike=float(score),
            exact=may and exact[everyone[a].image.path] == exact[everyone[b].image.path],
        )
        for (a, b), distance, score, may in zip(pairs, bits, alike, may_equal, strict=True)
        if everyone[a].image.path != everyone[b].image.path
    )


def correlation(thumbs: NDArray[np.uint8], pairs: NDArray[np.int64], *, flat: float = _FLAT) -> NDArray[np.float64]:
    """Return the correlation of the grey thumbnails of each pair; shape (pairs,).

    It is 0 where one is nearly of one colour, with less than `flat` grey levels of spread. Correlation does not see
    brightness and contrast, which copies often change.
    """
    centred = thumbs.astype(np.float32)
    centred -= centred.mean(axis=1, keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=1))
    bare = norm < flat * THUMB
    unit = centred / np.where(norm > 0, norm, 1)[:, None]
    scores = np.zeros(len(pairs))
    for begin in range(0, len(pairs), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        scores[block] = np.einsum("ij,ij->i", unit[pairs[block, 0]], unit[pairs[block, 1]])
    scores[bare[pairs].any(axis=1)] = 0.0
    return scores


def best_turned_correlation(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return the best correlation of two thumbnails when one may be mirrored and turned by quarters."""
    square = second.reshape(THUMB, THUMB)
    turned = [np.rot90(side, quarter).ravel() for side in (square, square[:, ::-1]) for quarter in range(4)]
    everyone = np.stack([first.ravel(), *turned])
    return float(correlation(everyone, np.array([(0, i) for i in range(1, 9)])).max())


def copy_groups(pairs: Sequence[CopyPair]) -> dict[str, str]:
    """Return image name → the first name of everything that it is, by way of others, a copy of (union-find)."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = name = parent[parent[name]]
        return name

    for pair in pairs:
        a, b = sorted((root(pair.first.name), root(pair.second.name)))
        parent[b] = a
    return {name: root(name) for name in sorted(parent)}


def candidate_pairs(hashes: NDArray[np.uint64], thumbs: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the pairs to look at more closely; shape (pairs, 2)."""
    n = len(hashes)
    rows = hashes if n <= _SAMPLE else np.random.default_rng(0).choice(hashes, _SAMPLE, replace=False)
    bits = np.bitwise_count(rows[:, None] ^ rows[None, :])[np.triu_indices(len(rows), k=1)]
    expected = np.cumsum(np.bincount(bits, minlength=65)) * (n / max(len(rows), 1)) ** 2
    for within in range(NEAR_BITS, -1, -1):
        if expected[within] <= _MOST_PAIRS:
            return near_pairs(hashes, within)
    order = np.lexsort(
        (thumbs.view(f"S{THUMB * THUMB}").ravel(), hashes)
    )  # equal pixels have equal thumbnails, so they are neighbours
    chain = np.sort(np.column_stack([order[:-1], order[1:]]), axis=1)
    equal: NDArray[np.int64] = chain[hashes[chain[:, 0]] == hashes[chain[:, 1]]]
    return equal


def _bits_of_whole_pictures(paths: Sequence[Path], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the dHash distance of each pair, of the whole pictures; shape (pairs,).

    Where the thumbnails do not decide, four bits do, and a picture decoded at a fraction may have another two.
    """
    indices = np.unique(pairs).tolist()
    hashes = dict(zip(indices, _of_each(full_dhash, [paths[i] for i in indices], lambda _: 0), strict=True))
    distances = [(hashes[a] ^ hashes[b]).bit_count() for a, b in pairs.tolist()]
    return np.array(distances, dtype=np.int64)


def _pixel_hashes(paths: Sequence[Path]) -> dict[Path, str]:
    return dict(zip(paths, _of_each(pixel_hash, paths, lambda path: f"unreadable {path}"), strict=True))


def _of_each(look: Callable[[Path], T], paths: Sequence[Path], otherwise: Callable[[Path], T]) -> list[T]:
    def looked(path: Path) -> T:
        try:
            return look(path)
        except Exception:  # the scan reports what is wrong with it
            return otherwise(path)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(looked, paths))
