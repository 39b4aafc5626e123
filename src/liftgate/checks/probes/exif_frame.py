"""Decide whether the boxes of images with an EXIF rotation are drawn on the rotated image or on the stored one."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np

from liftgate.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from liftgate.checks.messages import plural
from liftgate.checks.probes.box_conventions import Floats, read_boxes
from liftgate.checks.probes.label_geometry import probe
from liftgate.data.core.dataset import Dataset

_READINGS = {
    2: ("mirrored",),
    3: ("rotated by 180°",),
    4: ("upside down",),
    5: ("transposed",),
    6: ("rotated by 90° anticlockwise",),
    7: ("transposed", "rotated by 180°"),
    8: ("rotated by 90° clockwise",),
}
"""EXIF orientation → readings that move boxes from the stored image to the rotated one"""
_SLACK = 0.01  # of a side, and one pixel: a box may reach as far over the border


class Frame(NamedTuple):
    """The image that boxes are drawn on."""

    name: Literal["upright", "stored", "unknown"]
    why: str
    """the evidence, as the end of a sentence; empty where it is unknown"""


def frame_of_labels(dataset: Dataset) -> Frame:
    """Return the frame of the boxes on images with an EXIF rotation.

    Boxes that fit into one of the two frames only decide, unless they contradict each other; else the geometry probe,
    on these images alone, where it says that the boxes fit in one frame and not that they fit in the other too.
    """
    rotated = np.array([image.orientation in _READINGS for image in dataset.images], dtype=np.bool_)
    own = dataset.labels.take(rotated[dataset.labels.image]) if len(rotated) else dataset.labels
    if not len(own):
        return Frame("unknown", "")
    as_read = replace(dataset, labels=own)
    if dataset.format != "yolo" and (inside := _inside_one_frame(as_read)) is not None:
        return inside
    upright, stored = probe(as_read), probe(replace(as_read, labels=replace(own, boxes=_from_stored(as_read))))
    fits = [found is not None and found.answer == "fits" for found in (upright, stored)]
    if upright is None or stored is None or all(fits) or not any(fits):
        return Frame("unknown", "")
    if fits[0]:
        return Frame("upright", f"the label geometry fits on {upright.n_images} of these images")
    return Frame("stored", f"turned with their images they fit on {stored.n_images} of these images")


def _sizes(dataset: Dataset) -> Floats:
    """Return (n, 2) the upright size of each label's image."""
    return np.array([image.upright for image in dataset.images], dtype=np.float64)[dataset.labels.image]


def _quarter(dataset: Dataset) -> np.ndarray:
    """Return (n,) whether each label's image is rotated by a quarter."""
    turned: np.ndarray = np.array([image.orientation >= 5 for image in dataset.images])[dataset.labels.image]
    return turned


def _inside_one_frame(dataset: Dataset) -> Frame | None:
    """Return the frame into which alone some boxes fit; None where there is none, or both."""
    upright, ends = _sizes(dataset), dataset.labels.boxes[:, 2:]
    limit = upright * (1 + _SLACK) + 1
    in_upright, in_stored = (ends <= limit).all(axis=1), (ends <= limit[:, ::-1]).all(axis=1)
    quarter = _quarter(dataset)
    only_upright, only_stored = (
        int((quarter & in_upright & ~in_stored).sum()),
        int((quarter & in_stored & ~in_upright).sum()),
    )
    if bool(only_upright) == bool(only_stored):
        return None
    why = f"{plural(only_upright or only_stored, 'box fits', 'boxes fit')} into no other frame"
    return Frame("upright" if only_upright else "stored", why)


def _from_stored(dataset: Dataset) -> Floats:
    """Return the boxes (n, 4), read as drawn on the stored image, on the rotated one; xyxy in pixels.

    YOLO rows are fractions, and were multiplied by the upright size; other formats give pixels of the stored image.
    """
    upright = _sizes(dataset)
    stored = upright if dataset.format == "yolo" else np.where(_quarter(dataset)[:, None], upright[:, ::-1], upright)
    boxes = xyxy_to_cxcywh(dataset.labels.boxes / np.tile(stored, 2), np.ones(2))
    orientation = np.array([image.orientation for image in dataset.images])[dataset.labels.image]
    for value, readings in _READINGS.items():
        rows = orientation == value
        for reading in readings:
            boxes[rows] = read_boxes(boxes[rows], reading)
    turned: Floats = cxcywh_to_xyxy(boxes, np.ones(2)) * np.tile(upright, 2)
    return turned
