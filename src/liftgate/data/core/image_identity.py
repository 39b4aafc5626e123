"""Recognise images of one data set in another by content (bytes, pixels, labels), whatever their names.

An image is the same if its file has the same bytes, or if its labels have the same coordinates (within 0.4% of the
image's sides) and the pictures look alike (at most 24 of 256 bits of their perceptual hashes differ, as after saving
or scaling). Where one of the two files is away, labels alone decide, once at least four boxes in all agree. A picture
without objects is recognised by its bytes only. Pictures that were padded, cropped, mirrored or turned upside down, and
label sets that lack or add boxes, are recognised by their pictures where labels say to look (`changed_copies`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.changed_copies import Suspicion, hash_windows, tried
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.fingerprint import file_hashes
from liftgate.progress import Progress, silent

BOX_TOLERANCE = 0.004
"""Of the image's width and height: a box that was converted and rounded is still the same"""
BIT_TOLERANCE = 24
"""Of the 256 bits of a perceptual hash. Saved again as JPEG (quality 60 and up) or at half or twice the size, 50 photos
differ in at most 9 and noise in up to 28; different scenes in 80 and more, frames of one camera in less."""
LEAST_BITS = 48
"""Of the 256, so many must be set where labels agree in part only: a flat picture looks like any other flat one"""
NEARER_BITS = 4
"""By so many a part of the picture must be nearer than the whole where a single box gave it"""
LEAST_BOXES = 4
"""Boxes that must agree in all where labels alone decide"""


@dataclass(frozen=True, slots=True)
class ImageIdentity:
    """Properties by which one image is recognised."""

    id: str
    n_bytes: int | None
    """Size of its file; None: there is no file"""
    sha256: str | None
    picture: str | None
    """Perceptual hash, 64 hexadecimal digits; None: the file cannot be read"""
    boxes: Sequence[Sequence[float]]
    """(n, 4): x1, y1, x2, y2 as shares of width and height (before 0.2.0 with every column sorted)"""


class SoughtImages:
    """Images that are looked for among known ones: what is read of them is read once for all sets that are searched."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self.paths = [image.path for image in dataset.images]

    @cached_property
    def rows(self) -> list[NDArray[np.float64]]:
        """For each image its boxes as shares of its sides, shape (n, 4)."""
        return _rows(self._dataset)

    @cached_property
    def n_boxes(self) -> NDArray[np.int64]:
        """Of each image."""
        return np.array([len(rows) for rows in self.rows], dtype=np.int64)

    @cached_property
    def n_bytes(self) -> NDArray[np.int64]:
        """Size of the file of each image, -1 where there is none."""
        sizes = map(_n_bytes, self.paths)
        return np.array([-1 if size is None else size for size in sizes], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class ImageIdentities:
    """Identities of a set of images, and hashes of files that are known not to be among them."""

    images: tuple[ImageIdentity, ...]
    others: frozenset[str] = frozenset()
    """SHA-256 of images in other splits of the same data set; an image with such a hash never matches by labels"""

    @classmethod
    def of(cls, dataset: Dataset, others: Dataset | None = None, progress: Progress = silent) -> ImageIdentities:
        """Return the identities of all images of a data set.

        Args:
            dataset: images to recognise.
            others: images that are known to be different ones.
            progress: called while files are read.
        """
        from liftgate.data.core.perceptual_hash import hash_files  # with Pillow

        paths = [image.path for image in dataset.images]
        pictures, readable = hash_files(paths, progress)
        images = tuple(
            ImageIdentity(
                image.id,
                _n_bytes(image.path),
                sha256,
                pictures[index].tobytes().hex() if readable[index] else None,
                np.round(boxes, 6).tolist(),
            )
            for index, (image, sha256, boxes) in enumerate(
                zip(dataset.images, file_hashes(paths, progress), _rows(dataset), strict=True)
            )
        )
        known = () if others is None else file_hashes([image.path for image in others.images], progress)
        return cls(images, frozenset(one for one in known if one) - {one.sha256 for one in images if one.sha256})

    def shared_with(self, images: Dataset | SoughtImages) -> NDArray[np.bool_]:
        """Return the mask (images,) of those of a data set that are among these."""
        sought = images if isinstance(images, SoughtImages) else SoughtImages(images)
        found = self._same_bytes(sought)
        by_labels, by_labels_alone = self._same_labels(sought, ~found)
        if sum(len(sought.rows[index]) for index in np.flatnonzero(by_labels_alone)) < LEAST_BOXES:
            by_labels_alone[:] = False
        same: NDArray[np.bool_] = found | by_labels | by_labels_alone
        return np.asarray(same | self._changed(sought, ~same), dtype=np.bool_)

    def _changed(self, sought: SoughtImages, todo: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the mask of the images whose picture or label set was changed."""
        found = np.zeros(len(sought.paths), dtype=np.bool_)
        known = [np.array(one.boxes, dtype=np.float64).reshape(-1, 4) for one in self.images]
        candidates = dict(tried(known, sought.rows, todo & (sought.n_bytes >= 0), BOX_TOLERANCE))
        paths = [sought.paths[index] for index in candidates]
        for (index, some), path, sha256 in zip(candidates.items(), paths, file_hashes(paths), strict=True):
            if sha256 in self.others:
                continue
            hashes = hash_windows(path, some)
            if hashes is not None:
                whole = hashes[-1]
                found[index] = any(self._looks_alike(one, part, whole) for one, part in zip(some, hashes, strict=False))
        return found

    def _looks_alike(self, one: Suspicion, part: NDArray[np.uint64], whole: NDArray[np.uint64]) -> bool:
        """Return whether the part of a picture that would be a known one has a hash like it.

        Where a single box gave the window, the part must also be nearer than the whole picture, which frames of one
        camera resemble whatever moved in them.
        """
        from liftgate.data.core.perceptual_hash import hamming_distances  # with Pillow

        picture = self.images[one.known].picture
        if picture is None:
            return False
        known = np.frombuffer(bytes.fromhex(picture), dtype=np.uint64)
        apart, of_whole = (int(bits) for bits in hamming_distances(np.stack([part, whole]), known))
        most = BIT_TOLERANCE // 2 if one.by_part or one.by_one_box else BIT_TOLERANCE
        if int(np.bitwise_count(known).sum()) < LEAST_BITS or (one.by_one_box and apart + NEARER_BITS > of_whole):
            return False
        return apart <= most

    def _same_bytes(self, sought: SoughtImages) -> NDArray[np.bool_]:
        sizes = [one.n_bytes for one in self.images if one.n_bytes is not None]
        at = np.flatnonzero(np.isin(sought.n_bytes, sizes)).tolist()
        known = {one.sha256 for one in self.images} - {None}
        found = np.zeros(len(sought.paths), dtype=np.bool_)
        hashes = file_hashes([sought.paths[index] for index in at])
        found[[index for index, hash_ in zip(at, hashes, strict=True) if hash_ in known]] = True
        return found

    def _same_labels(
        self, sought: SoughtImages, todo: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return masks of the images that match in labels and pixels, and of those that match in labels alone."""
        both = np.zeros(len(sought.paths), dtype=np.bool_)
        alone = both.copy()
        candidates = dict(self._candidates(sought, todo))
        if not candidates:
            return both, alone
        from liftgate.data.core.perceptual_hash import hamming_distances, hash_files  # with Pillow

        places = list(candidates)
        files = [sought.paths[index] for index in places]
        pictures, readable = hash_files(files)
        for index, picture, is_readable, sha256 in zip(
            places, pictures, readable.tolist(), file_hashes(files), strict=True
        ):
            if sha256 is not None and sha256 in self.others:
                continue
            known = [self.images[one].picture for one in candidates[index]]
            hashes = [np.frombuffer(bytes.fromhex(one), dtype=np.uint64) for one in known if one is not None]
            if is_readable and hashes:
                both[index] = bool((hamming_distances(np.stack(hashes), picture) <= BIT_TOLERANCE).any())
            else:
                alone[index] = True
        return both, alone

    def _candidates(self, sought: SoughtImages, todo: NDArray[np.bool_]) -> Iterator[tuple[int, Sequence[int]]]:
        """Yield (image, indices of the identities with the same boxes)."""
        by_count: Mapping[int, list[int]] = defaultdict(list)
        for index, one in enumerate(self.images):
            if one.boxes:
                by_count[len(one.boxes)].append(index)
        for count, some in by_count.items():
            table = np.sort([self.images[index].boxes for index in some], axis=1)
            for index in np.flatnonzero(todo & (sought.n_boxes == count)).tolist():
                # Every column sorted, so that the order of boxes does not matter.
                near = np.abs(table - np.sort(sought.rows[index], axis=0)).max(axis=(1, 2)) <= BOX_TOLERANCE
                if near.any():
                    yield index, [some[one] for one in np.flatnonzero(near).tolist()]

    def to_json(self) -> str:
        """Return the text of a file that `from_json` reads."""
        return json.dumps({"images": [asdict(one) for one in self.images], "others": sorted(self.others)})

    @classmethod
    def from_json(cls, text: str) -> ImageIdentities:
        """Return what `to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            document = json.loads(text)
            images = tuple(ImageIdentity(**row) for row in document["images"])
            return cls(images, frozenset(document["others"]))
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"no image identities: {error}") from error


def images_in_both(first: Dataset, second: Dataset) -> tuple[str, ...]:
    """Return the ids of the images of one data set that are in another too, whatever they are called there.

    By content, as a locked split is recognised; and by name, where both are parts of one data set.
    """
    names = {image.id for image in second.images} if first.root == second.root else set()
    same = ImageIdentities.of(second).shared_with(first)
    return tuple(image.id for image, found in zip(first.images, same, strict=True) if found or image.id in names)


def _rows(dataset: Dataset) -> list[NDArray[np.float64]]:
    """Return for each image its boxes as shares of its sides, shape (n, 4)."""
    sides = np.array([(image.width, image.height) * 2 for image in dataset.images], dtype=np.float64).reshape(-1, 4)
    order = np.argsort(dataset.labels.image, kind="stable")
    image = dataset.labels.image[order]
    shares = dataset.labels.boxes[order] / np.maximum(sides[image], 1)
    parts = np.split(shares, np.searchsorted(image, np.arange(1, len(dataset.images))))
    return parts if dataset.images else []


def _n_bytes(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
