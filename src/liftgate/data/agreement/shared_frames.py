"""Find the frames that two annotators both have labelled, whatever format each of them saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset, Image
from liftgate.data.core.faults import unread_images
from liftgate.data.core.image_names import ImageNames
from liftgate.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class SharedFrames:
    """Frames and classes that two label sets have in common."""

    a: NDArray[np.int64]
    """(F,) index into a.images"""
    b: NDArray[np.int64]
    """(F,) index into b.images of the same frame"""
    classes: tuple[str, ...]
    """Class names of both: a's in their order, then those that only b has"""
    only_a: tuple[str, ...]
    """Ids of a's images that b does not have"""
    only_b: tuple[str, ...]
    unlabelled_a: tuple[str, ...]
    """Ids (in a) of shared frames that a has no labels for, or none that can be read"""
    unlabelled_b: tuple[str, ...]
    look_alikes: tuple[tuple[str, str], ...]
    """Class names that differ in case, accents or spaces only; they count as different classes"""

    def __len__(self) -> int:
        return len(self.a)


def shared_frames(a: Dataset, b: Dataset, *, missing_is_empty: bool = False) -> SharedFrames:
    """Pair the images of two label sets by id, else by file name, else by stem.

    A frame for which one of them has no labels at all is left out: in a set of 2,500 with 50 labelled,
    the others are not empty. With `missing_is_empty` they count as labelled and empty, for tools that write no file
    for an empty frame.

    Raises:
        DataError: nothing in common, or a frame has two sizes (one was exported scaled, so boxes cannot be compared).
    """
    places = ImageNames(a.images).find_all([image.id for image in b.images])
    found: dict[int, int] = {}
    only_b: list[str] = []
    for place, (image, index) in enumerate(zip(b.images, places, strict=True)):
        if index is None or index in found:
            only_b.append(image.id)
        else:
            found[index] = place
    pairs = [(index, found[index]) for index in sorted(found)]
    if not pairs:
        raise DataError(
            "the label sets have no frame in common",
            where=f"{a.source} and {b.source}",
            expected="the same file names in both",
            got=f"{_example(a.images)} and {_example(b.images)}",
        )
    _same_sizes(a, b, pairs)
    known_a, known_b = (_is_labelled(one, missing_is_empty=missing_is_empty) for one in (a, b))
    kept = [(i, j) for i, j in pairs if known_a[i] and known_b[j]]
    return SharedFrames(
        a=np.array([i for i, _ in kept], dtype=np.int64),
        b=np.array([j for _, j in kept], dtype=np.int64),
        classes=tuple(dict.fromkeys([*a.classes, *b.classes])),
        only_a=tuple(image.id for index, image in enumerate(a.images) if index not in found),
        only_b=tuple(only_b),
        unlabelled_a=tuple(a.images[i].id for i, _ in pairs if not known_a[i]),
        unlabelled_b=tuple(a.images[i].id for i, j in pairs if not known_b[j]),
        look_alikes=_look_alikes(a.classes, b.classes),
    )


def _is_labelled(dataset: Dataset, *, missing_is_empty: bool) -> NDArray[np.bool_]:
    """Return the mask (images,) of known labels: an image whose labels could not be read is not an empty one."""
    labelled = np.array([missing_is_empty or image.label is not None for image in dataset.images], dtype=np.bool_)
    labelled[dataset.labels.image] = True
    return labelled & ~unread_images(dataset)


def _same_sizes(a: Dataset, b: Dataset, pairs: Sequence[tuple[int, int]]) -> None:
    for i, j in pairs:
        one, other = a.images[i].upright, b.images[j].upright
        if 0 not in (*one, *other) and one != other:
            raise DataError(
                "a frame has two sizes, so its boxes cannot be compared",
                where=a.images[i].id,
                expected=f"{one[0]}×{one[1]} as in {a.source}",
                got=f"{other[0]}×{other[1]} in {b.source}",
                hint="export both label sets with the frames' own size",
            )


def _look_alikes(a: Sequence[str], b: Sequence[str]) -> tuple[tuple[str, str], ...]:
    import unicodedata

    def plain(name: str) -> str:
        letters = unicodedata.normalize("NFKD", name).casefold()
        return "".join(c for c in letters if c.isalnum())

    known = {plain(name): name for name in a}
    return tuple((known[plain(name)], name) for name in b if name not in a and plain(name) in known)


def _example(images: Sequence[Image]) -> str:
    return images[0].id if images else "no image"
