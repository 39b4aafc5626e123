"""Collect labels as columns while reading: flat arrays, so that a million boxes take 100 MB and not a GB."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Labels


class LabelColumns:
    """Label columns to which rows are added; `table()` returns the Labels.

    >>> columns = LabelColumns()
    >>> columns.add(0, 2, (1, 2, 3, 6), area=None, line=7)
    >>> columns.table().area.tolist()
    [8.0]
    """

    def __init__(self, n_keypoints: int = 0) -> None:
        self.n_keypoints = n_keypoints
        self.image = array("q")
        self.cls = array("q")
        self.boxes = array("d")
        self.area = array("d")
        self.crowd = bytearray()
        self.ignore = bytearray()
        self.line = array("q")
        self.keypoints = array("d")

    def __len__(self) -> int:
        return len(self.image)

    def add(
        self,
        image: int,
        cls: int,
        box: Sequence[float],
        *,
        line: int,
        area: float | None = None,
        crowd: bool = False,
        ignore: bool = False,
        keypoints: Sequence[float] = (),
    ) -> None:
        """Append one object.

        Args:
            image: index into the dataset's images.
            cls: index into its classes.
            box: xyxy in pixels of the upright image.
            line: place in the file, see `Labels.line`.
            area: pixel²; None: the box's.
            crowd: a region of many objects.
            ignore: not to be counted.
            keypoints: K × (x, y, visibility), flat; empty: none is labelled.
        """
        self.image.append(image)
        self.cls.append(cls)
        self.boxes.extend(box)
        self.area.append(-1.0 if area is None else area)
        self.crowd.append(crowd)
        self.ignore.append(ignore)
        self.line.append(line)
        if self.n_keypoints:
            self.keypoints.extend(keypoints or (0.0,) * (3 * self.n_keypoints))

    def table(self) -> Labels:
        """Return the columns as Labels, boxes as they were added."""
        boxes = _floats(self.boxes).reshape(-1, 4)
        area = _floats(self.area)
        own = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        shape = (len(self), self.n_keypoints, 3)
        return Labels(
            image=np.array(self.image, dtype=np.int64),
            cls=np.array(self.cls, dtype=np.int64),
            boxes=boxes,
            area=np.where(area < 0, np.maximum(own, 0), area),
            crowd=np.frombuffer(bytes(self.crowd), dtype=np.bool_),
            ignore=np.frombuffer(bytes(self.ignore), dtype=np.bool_),
            line=np.array(self.line, dtype=np.int64),
            keypoints=_floats(self.keypoints).reshape(shape) if self.n_keypoints else None,
        )


def whole_visibility(labels: Labels) -> tuple[Labels, str]:
    """Return the labels with visibilities 0, 1 and 2 only, and a message on what was changed, or ''.

    Some tools write a model's confidence as visibility. Ultralytics trains on every keypoint that is not 0, so any
    above 0 counts as visible.
    """
    if labels.keypoints is None:
        return labels, ""
    seen = labels.keypoints[..., 2]
    odd = ~np.isin(seen, (0.0, 1.0, 2.0))
    if not odd.any():
        return labels, ""
    points = labels.keypoints.copy()
    points[..., 2] = np.where(odd, np.where(seen > 0, 2.0, 0.0), seen)
    rows = int(odd.any(axis=1).sum())
    return replace(labels, keypoints=points), f"{rows} objects, such as visibility {seen[odd][0]:g}: confidences?"


def _floats(column: array[float]) -> NDArray[np.float64]:
    return np.array(column, dtype=np.float64)
