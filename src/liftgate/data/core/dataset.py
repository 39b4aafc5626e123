"""The `Dataset` record: images and one table of labels, the same for every format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import Boxes, areas
from liftgate.hashing import content_hash

Origin = Literal["real", "synthetic"]


@dataclass(frozen=True, slots=True)
class Image:
    """One image of a dataset. Its pixels stay on disk."""

    id: str
    """Name of the image inside its dataset: the POSIX path below the dataset's root, unique."""
    path: Path
    """Where the pixels are, absolute."""
    width: int
    """Pixels as stored in the file, before any EXIF rotation; 0 when the file cannot be read."""
    height: int
    split: str | None = None
    group: str | None = None
    """Group that must not be divided between splits; None: the image is a group of its own."""
    label: Path | None = None
    """Label file; None: there is none, so the objects in the image are unknown."""
    coco_id: int | str | None = None
    """Image id in COCO results; None: the same as `id`."""
    orientation: int = 1
    """EXIF orientation 1 … 8; 5 to 8 turn the image by a quarter"""

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height as seen, which boxes count: after EXIF rotation, as OpenCV and Ultralytics load it."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)

    @property
    def key(self) -> str:
        """The group, or the image itself where no group is known."""
        return self.group if self.group is not None else f"image:{self.id}"


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """One row per labelled object; every column has the same length n."""

    image: NDArray[np.int64]
    """(n,) index into Dataset.images"""
    cls: NDArray[np.int64]
    """(n,) index into Dataset.classes"""
    boxes: Boxes
    """(n, 4) xyxy in pixels of the image upright (Image.upright)"""
    area: NDArray[np.float64]
    """(n,) pixel², of the outline where the file gives it (COCO), else of the box; COCO's size ranges use it"""
    crowd: NDArray[np.bool_]
    """(n,) a region of many objects: detections inside are neither right nor wrong"""
    ignore: NDArray[np.bool_]
    """(n,) objects that are not counted (VOC difficult, COCO ignore)"""
    line: NDArray[np.int64]
    """(n,) place in the file: line of the label file (YOLO), index of the object (VOC) or annotation id (COCO)"""
    keypoints: NDArray[np.float64] | None = None
    """(n, K, 3) x, y in pixels and visibility 0 unlabelled, 1 hidden, 2 visible; None: a detection dataset"""
    sides: NDArray[np.float64] | None = field(default=None, compare=False)
    """(n, 2) width and height as the file has them, where it has: right − left may differ from them in the last bit"""

    def __len__(self) -> int:
        return len(self.image)

    @classmethod
    def build(
        cls,
        image: Sequence[int] | NDArray[np.int64],
        classes: Sequence[int] | NDArray[np.int64],
        boxes: Sequence[Sequence[float]] | Boxes,
        **columns: Any,
    ) -> Labels:
        """Make a table from three columns; the others default to the box's area, no crowd, no ignore, row number."""
        count = len(image)
        shaped = np.asarray(boxes, dtype=np.float64).reshape(count, 4)
        defaults: dict[str, Any] = {
            "area": areas(shaped),
            "crowd": np.zeros(count, dtype=np.bool_),
            "ignore": np.zeros(count, dtype=np.bool_),
            "line": np.arange(1, count + 1, dtype=np.int64),
        }
        dtypes = {"area": np.float64, "crowd": np.bool_, "ignore": np.bool_, "line": np.int64}
        given = {
            name: value if value is None or name not in dtypes else np.asarray(value, dtype=dtypes[name])
            for name, value in (defaults | columns).items()
        }
        table = cls(np.asarray(image, dtype=np.int64), np.asarray(classes, dtype=np.int64), shaped, **given)
        for name in ("cls", "boxes", "area", "crowd", "ignore", "line", "keypoints", "sides"):
            column = getattr(table, name)
            if column is not None and len(column) != count:
                raise ValueError(f"expected {name} of length {count}, got {len(column)}")
        return table

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Labels:
        """Return the rows that a mask or an index array selects."""
        return Labels(
            self.image[rows],
            self.cls[rows],
            self.boxes[rows],
            self.area[rows],
            self.crowd[rows],
            self.ignore[rows],
            self.line[rows],
            None if self.keypoints is None else self.keypoints[rows],
            None if self.sides is None else self.sides[rows],
        )


def stack_labels(parts: Sequence[Labels]) -> Labels:
    """Return the rows of several tables as one; `image` and `cls` have to count the same images and classes already."""

    def column(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    names = ["image", "cls", "boxes", "area", "crowd", "ignore", "line"]
    names += [] if parts[0].keypoints is None else ["keypoints"]
    names += [] if any(part.sides is None for part in parts) else ["sides"]
    return Labels(**{name: column(name) for name in names})


@dataclass(frozen=True, slots=True)
class Keypoints:
    """Names and properties of the K keypoints of a pose dataset."""

    names: tuple[str, ...]
    flip_idx: tuple[int, ...] | None = None
    """Index of the keypoint that each becomes when the image is mirrored; None: unknown"""
    sigmas: tuple[float, ...] | None = None
    """OKS sigma of each keypoint; None: unknown"""
    dims: Literal[2, 3] = 3
    """2: the file has no visibility column"""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in the source that a reader could not read as given. `checks` turns it into a finding."""

    kind: str
    """Short stable word, such as `row_columns` or `class_out_of_range`; core/faults.py lists them"""
    where: str
    """file, or file:line"""
    message: str
    image: str | None = None
    """Id of the image that it concerns; None: it concerns no single image"""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Images and labels in one place."""

    name: str
    root: Path
    """Folder that image ids are relative to."""
    source: Path
    """The file or folder that was read: data.yaml, COCO JSON, VOC folder."""
    format: str
    """`yolo`, `coco`, `voc`, `cvat`, …: the format that it was read from"""
    classes: tuple[str, ...]
    images: tuple[Image, ...]
    labels: Labels
    category_ids: tuple[int, ...] = ()
    """COCO category id of each class; default 1 … n (as Ultralytics writes in predictions.json)."""
    keypoints: Keypoints | None = None
    faults: tuple[Fault, ...] = ()
    origin: Origin = "real"
    licence: str | None = None
    confidential: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict)
    """The source's own settings as found (data.yaml's keys), for the checks; never hashed."""

    def __post_init__(self) -> None:
        if not self.category_ids:
            object.__setattr__(self, "category_ids", tuple(range(1, len(self.classes) + 1)))

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that occur, in the order train, val, test, others."""
        order = {"train": 0, "val": 1, "test": 2}
        present = {image.split for image in self.images if image.split is not None}
        return tuple(sorted(present, key=lambda name: (order.get(name, 3), name)))

    @property
    def groups(self) -> tuple[str, ...]:
        """Key of the group of every image, in the order of `images`."""
        return tuple(image.key for image in self.images)

    def split(self, name: str) -> Dataset:
        """Return the images of one split, with their labels."""
        return self.take(np.array([image.split == name for image in self.images], dtype=np.bool_))

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Dataset:
        """Return the images that a mask or an index array selects (in its order), with their labels."""
        index = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen
        place = np.full(len(self.images), -1, dtype=np.int64)
        place[index] = np.arange(len(index))
        rows = place[self.labels.image] >= 0
        labels = self.labels.take(rows)
        return replace(
            self,
            images=tuple(self.images[i] for i in index),
            labels=replace(labels, image=place[labels.image]),
        )

    def with_images(self, images: Sequence[Image]) -> Dataset:
        """Return the dataset with its image records replaced in order, for example with new groups or splits."""
        if len(images) != len(self.images):
            raise ValueError(f"expected {len(self.images)} images, got {len(images)}")
        return replace(self, images=tuple(images))

    def images_hash(self) -> str:
        """Return the hash of image ids and sizes, in any order; labels and classes do not count."""
        return content_hash(sorted((image.id, image.width, image.height) for image in self.images))

    def truth_hash(self) -> str:
        """Return the hash of what an evaluation depends on: ids, sizes, labels, classes; not pixels."""
        return content_hash(
            {
                "classes": self.classes,
                "images": [(image.id, image.width, image.height) for image in self.images],
                "labels": self.labels,
            }
        )
