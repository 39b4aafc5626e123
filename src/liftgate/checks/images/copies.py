"""Find copies and near-copies of images across all data sets: candidates by perceptual hash, confirmed by pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
"""dHash distance, in bits, up to which two images are compared further"""
_CERTAIN_BITS = 4
_REDUCED_SIZE_BITS = 4  # by which the distance of reduced images may exceed that of full-size images
_CONFIRMED_CORRELATION = 0.97  # of the grey thumbnails: from here on a near-copy is confirmed
_REFUTED_CORRELATION = 0.7  # below it a near-copy is refuted even where the hashes agree
_LOW_CONTRAST = 6.0  # standard deviation in grey levels below which a correlation means nothing
_LOW_CONTRAST_SAME_HASH = 2.0  # the same where the hashes agree
_MAX_PAIRS = 200_000  # frames of a fixed camera are all near-copies of each other: a million pairs are of no use
_SAMPLE = 3000
_BLOCK = 65_536  # pairs that are correlated at once: 128 MiB
_EQUAL_GREY_TOLERANCE = 16  # grey levels by which thumbnails of equal images differ: rounding, reduced JPEG decoding


class LocatedImage(NamedTuple):
    """An image and the data set that it is in."""

    dataset: str
    image: Image

    @property
    def name(self) -> str:
        """Return data set and image id, for messages."""
        return f"{self.dataset}: {self.image.id}"


@dataclass(frozen=True, slots=True)
class CopyPair:
    """Two images that are copies or near-copies."""

    first: LocatedImage
    second: LocatedImage
    bits: int
    """dHash distance"""
    similarity: float
    """correlation of the grey thumbnails"""
    exact: bool
    """whether the decoded pixels are equal"""


def find_copies(datasets: Mapping[str, Dataset], scans: Mapping[str, ImageScan]) -> tuple[CopyPair, ...]:
    """Return every pair of images, within a data set or across two, that are copies or near-copies.

    Two images are near-copies when their dHashes differ in at most 4 of 64 bits, or in at most 10 while their grey
    thumbnails correlate by 0.97: beyond 4 bits the hash alone pairs any two dark images. One file listed in two data
    sets is not a copy. Where this would give more than about 200,000 pairs, fewer bits are allowed, in the end only
    equal hashes, each paired with the next: the groups are then complete, the list of pairs is not.

    Args:
        datasets: data sets by name.
        scans: facts of their images, by the same names.
    """
    images = [LocatedImage(name, image) for name, dataset in datasets.items() for image in dataset.images]
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
    # A copy darkened to a few grey levels keeps its hash, so its correlation is computed at low contrast too.
    sure = bits <= _CERTAIN_BITS
    alike[sure] = correlation(thumbs, pairs[sure], flat=_LOW_CONTRAST_SAME_HASH)
    doubtful = (
        (alike < _CONFIRMED_CORRELATION)
        & (alike >= _REFUTED_CORRELATION)
        & (bits <= _CERTAIN_BITS + _REDUCED_SIZE_BITS)
    )
    bits[doubtful] = _full_size_bits([i.image.path for i in images], pairs[doubtful])
    kept = (alike >= _CONFIRMED_CORRELATION) | ((bits <= _CERTAIN_BITS) & (alike >= _REFUTED_CORRELATION))
    pairs, alike, bits = pairs[kept], alike[kept], bits[kept]
    grey_apart = np.abs(thumbs[pairs[:, 0]].astype(np.int16) - thumbs[pairs[:, 1]]).max(axis=1, initial=0)
    may_equal = [
        (facts[a].width, facts[a].height) == (facts[b].width, facts[b].height) and apart <= _EQUAL_GREY_TOLERANCE
        for (a, b), apart in zip(pairs, grey_apart, strict=True)
    ]
    # Only images of equal size and thumbnail are decoded in full for their pixel hash: few of a fixed camera's frames.
    suspects = sorted({images[i].image.path for pair, may in zip(pairs, may_equal, strict=True) if may for i in pair})
    exact = _pixel_hashes(suspects)
    return tuple(
        CopyPair(
            first=images[a],
            second=images[b],
            bits=int(distance),
            similarity=float(score),
            exact=bool(may) and exact[images[a].image.path] == exact[images[b].image.path],
        )
        for (a, b), distance, score, may in zip(pairs, bits, alike, may_equal, strict=True)
        if images[a].image.path != images[b].image.path
    )


def correlation(
    thumbs: NDArray[np.uint8], pairs: NDArray[np.int64], *, flat: float = _LOW_CONTRAST
) -> NDArray[np.float64]:
    """Return the correlation of the grey thumbnails of each pair; shape (pairs,).

    Correlation ignores brightness and contrast, which copies often change.

    Args:
        thumbs: (n, THUMB²) grey values.
        pairs: (pairs, 2) indices into `thumbs`.
        flat: standard deviation in grey levels below which an image has no contrast; its correlations are 0.

    """
    centred = thumbs.astype(np.float32)
    centred -= centred.mean(axis=1, keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=1))
    low_contrast = norm < flat * THUMB
    unit = centred / np.where(norm > 0, norm, 1)[:, None]
    scores = np.zeros(len(pairs))
    for begin in range(0, len(pairs), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        scores[block] = np.einsum("ij,ij->i", unit[pairs[block, 0]], unit[pairs[block, 1]])
    scores[low_contrast[pairs].any(axis=1)] = 0.0
    return scores


def best_turned_correlation(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return the best correlation of two thumbnails over mirroring and rotation by multiples of 90°."""
    square = second.reshape(THUMB, THUMB)
    turned = [np.rot90(side, quarter).ravel() for side in (square, square[:, ::-1]) for quarter in range(4)]
    thumbs = np.stack([first.ravel(), *turned])
    return float(correlation(thumbs, np.array([(0, i) for i in range(1, 9)])).max())


def copy_groups(pairs: Sequence[CopyPair]) -> dict[str, str]:
    """Return image name → name of its group: the first image of those that pairs connect."""
    return components((pair.first.name, pair.second.name) for pair in pairs)


def components(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return name → the first name, in alphabetical order, of its connected component (union-find).

    >>> components([("b", "c"), ("a", "b"), ("d", "d")])
    {'a': 'a', 'b': 'a', 'c': 'a', 'd': 'd'}
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = name = parent[parent[name]]
        return name

    for pair in pairs:
        first, second = sorted(map(root, pair))
        parent[second] = first
    return {name: root(name) for name in sorted(parent)}


def candidate_pairs(hashes: NDArray[np.uint64], thumbs: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return index pairs of images that may be copies, by dHash; shape (pairs, 2)."""
    n = len(hashes)
    rows = hashes if n <= _SAMPLE else np.random.default_rng(0).choice(hashes, _SAMPLE, replace=False)
    bits = np.bitwise_count(rows[:, None] ^ rows[None, :])[np.triu_indices(len(rows), k=1)]
    expected = np.cumsum(np.bincount(bits, minlength=65)) * (n / max(len(rows), 1)) ** 2
    for within in range(NEAR_BITS, -1, -1):
        if expected[within] <= _MAX_PAIRS:
            return near_pairs(hashes, within)
    order = np.lexsort(
        (thumbs.view(f"S{THUMB * THUMB}").ravel(), hashes)
    )  # equal pixels have equal thumbnails, so they are neighbours
    chain = np.sort(np.column_stack([order[:-1], order[1:]]), axis=1)
    equal: NDArray[np.int64] = chain[hashes[chain[:, 0]] == hashes[chain[:, 1]]]
    return equal


def _full_size_bits(paths: Sequence[Path], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the dHash distance of each pair from the full-size images; shape (pairs,).

    Needed where thumbnails do not decide: reduced decoding changes about two bits of a hash.
    """
    indices = np.unique(pairs).tolist()
    hashes = dict(zip(indices, _map_paths(full_dhash, [paths[i] for i in indices], lambda _: 0), strict=True))
    distances = [(hashes[a] ^ hashes[b]).bit_count() for a, b in pairs.tolist()]
    return np.array(distances, dtype=np.int64)


def _pixel_hashes(paths: Sequence[Path]) -> dict[Path, str]:
    return dict(zip(paths, _map_paths(pixel_hash, paths, lambda path: f"unreadable {path}"), strict=True))


def _map_paths(function: Callable[[Path], T], paths: Sequence[Path], default: Callable[[Path], T]) -> list[T]:
    def call(path: Path) -> T:
        try:
            return function(path)
        except Exception:  # images.unreadable reports the reason
            return default(path)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(call, paths))
