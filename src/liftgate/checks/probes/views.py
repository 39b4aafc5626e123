"""Select the images for the label geometry probe: reduced, with their own boxes and boxes of other images.

The boxes of other images are the null hypothesis: whatever all images of a data set share (where objects usually lie, a
fixed camera) fits those boxes as well as the image's own. Evidence is how much better its own boxes fit.

Images that look the same, or whose boxes all lie in the same places, are one *scene*. Statistics count scenes, not
images, so that a thousand frames of a fixed camera are not a thousand independent samples.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageOps

from liftgate.boxes import cxcywh_to_xyxy, iou
from liftgate.data.core.dataset import Dataset, Image

Floats = NDArray[np.float64]
MAX_IMAGES = 120
"""The most images that are used"""
MIN_SIDE = 10.0
"""Pixels in the reduced image: the edges of smaller boxes cannot be measured"""
_SIDE = 320  # pixels of the longer side
_THUMB = 16
_MAX_BOXES = 40  # of one image
_FAR_OUTSIDE = 5.0  # fractions of the image
_OTHER_IMAGES = 3  # whose boxes are the null hypothesis
_SAME_LAYOUT = 0.7  # IoU of every box from which two images have the same layout
_SAME_SCENE = 0.95  # correlation of the thumbnails


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A reduced image and the boxes to compare in it; boxes are (n, 4) cxcywh in fractions of the image."""

    image: Image
    pixels: NDArray[np.uint8]
    """(H, W, 3), 320 pixels on the longer side"""
    scene: int
    own: Floats
    others: Floats
    """boxes of three other images, with another layout"""
    next: Floats
    """boxes of the next image in the list of files"""
    previous: Floats

    @property
    def size(self) -> Floats:
        """Return width and height of the reduced image, shape (2,)."""
        return np.array([self.pixels.shape[1], self.pixels.shape[0]], dtype=np.float64)

    def large(self, boxes: Floats) -> Floats:
        """Return the boxes (n, 4) whose sides are at least 10 pixels in the reduced image, at most the first 40."""
        seen = (np.abs(boxes[:, 2:]) * self.size >= MIN_SIDE).all(axis=1)
        return boxes[seen][:_MAX_BOXES]


def choose_views(dataset: Dataset) -> list[View]:
    """Return views of at most 120 images, spread over the data set, each with a box that is large enough.

    The choice depends on the images' order and sizes and on which have boxes, so that the same data give the same
    views; images that cannot be read are left out.
    """
    boxes = _fractional_boxes(dataset)
    order = sorted(boxes, key=lambda i: (dataset.images[i].split or "", dataset.images[i].id))
    places = _evenly_spaced(len(order), MAX_IMAGES)
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")  # Pillow warns of large pictures, from many threads
        pictures = list(pool.map(_reduced, [dataset.images[order[at]] for at in places]))
    kept = [(at, pixels) for at, pixels in zip(places, pictures, strict=True) if pixels is not None]
    if not kept:
        return []
    own = [boxes[order[at]] for at, _ in kept]
    layouts = _same_layouts(own)
    scenes = _scenes([pixels for _, pixels in kept], layouts)
    rng = np.random.default_rng(0)
    views = []
    for index, (at, pixels) in enumerate(kept):
        others = [int(j) for j in rng.permutation(len(kept)) if not layouts[index, j]][:_OTHER_IMAGES]
        view = View(
            image=dataset.images[order[at]],
            pixels=pixels,
            scene=int(scenes[index]),
            own=own[index],
            others=np.concatenate([own[j] for j in others]) if others else own[index][:0],
            next=boxes[order[(at + 1) % len(order)]],
            previous=boxes[order[at - 1]],
        )
        if len(view.large(view.own)) and len(view.large(view.others)):
            views.append(view)
    return views


def _fractional_boxes(dataset: Dataset) -> dict[int, Floats]:
    """Return image index → (n, 4) its boxes, cxcywh in fractions; only images with boxes and a known size."""
    labels = dataset.labels
    usable = np.flatnonzero(~labels.crowd & np.isfinite(labels.boxes).all(axis=1))
    order = usable[np.argsort(labels.image[usable], kind="stable")]
    if not len(order):
        return {}
    images, starts = np.unique(labels.image[order], return_index=True)
    found: dict[int, Floats] = {}
    for image, rows in zip(images.tolist(), np.split(order, starts[1:]), strict=True):
        size = np.array(dataset.images[image].upright, dtype=np.float64)
        if size.min() > 0:
            box = labels.boxes[rows]
            boxes_of = np.concatenate([(box[:, :2] + box[:, 2:]) / 2 / size, (box[:, 2:] - box[:, :2]) / size], axis=1)
            if len(inside := boxes_of[(np.abs(boxes_of) < _FAR_OUTSIDE).all(axis=1)]):
                found[image] = inside
    return found


def _evenly_spaced(total: int, most: int) -> list[int]:
    """Return at most `most` of range(total), evenly spaced."""
    return sorted({round(at) for at in np.linspace(0, total - 1, min(most, total))}) if total else []


def _reduced(image: Image) -> NDArray[np.uint8] | None:
    try:
        with Picture.open(image.path) as picture:
            picture.draft("RGB", (_SIDE, _SIDE))
            upright = ImageOps.exif_transpose(picture).convert("RGB")
        upright.thumbnail((_SIDE, _SIDE), Picture.Resampling.BILINEAR)
        return np.asarray(upright)
    except Exception:  # images.unreadable reports it
        return None


def _same_layouts(boxes: Sequence[Floats]) -> NDArray[np.bool_]:
    """Return (n, n) whether two images have equally many boxes, each matching one of the other image."""
    corners = [cxcywh_to_xyxy(one, np.ones(2)) for one in boxes]
    same = np.eye(len(boxes), dtype=np.bool_)
    for i in range(len(boxes)):
        for j in range(i):
            if len(boxes[i]) == len(boxes[j]) and np.abs(boxes[i].mean(axis=0) - boxes[j].mean(axis=0)).max() < 0.2:
                same[i, j] = same[j, i] = (iou(corners[i], corners[j]).max(axis=1) >= _SAME_LAYOUT).all()
    return same


def _scenes(pictures: Sequence[NDArray[np.uint8]], layouts: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return (n,) scene numbers: images that look the same, or have the same layout of boxes, share one."""
    thumbs = np.array([_thumb(pixels) for pixels in pictures]).reshape(len(pictures), -1)
    centred = thumbs - thumbs.mean(axis=1, keepdims=True)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    alike = (unit @ unit.T >= _SAME_SCENE) | layouts
    scenes = np.full(len(pictures), -1, dtype=np.int64)
    leaders: list[int] = []
    for index in range(len(pictures)):
        found = [number for number, leader in enumerate(leaders) if alike[index, leader]]
        if not found:
            leaders.append(index)
        scenes[index] = found[0] if found else len(leaders) - 1
    return scenes


def _thumb(pixels: NDArray[np.uint8]) -> Floats:
    grey = Picture.fromarray(pixels).convert("L")
    return np.asarray(grey.resize((_THUMB, _THUMB), Picture.Resampling.BOX), dtype=np.float64)
