"""Matching inside cells: the detections of one image and class with its objects, which no other cell has a part in.

So images can be matched apart from each other, in any number of parts, and the matches joined are those of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.evaluation.match_table import SIZE_RANGES
from liftgate.kernels.matching import (
    IOU_THRESHOLDS,
    box_similarity,
    boxes_with_sides,
    greedy_match,
    oks_similarity,
)
from liftgate.kernels.ordering import descending_keys, stable_order

_DETECTIONS_AT_ONCE = 1 << 16  # similarities and boxes of so many take a few megabytes


class MatchInputs(NamedTuple):
    """All that matching reads. Shapes: n detections, m objects, A size ranges, K keypoints (0: matched by box)."""

    image: NDArray[np.int64]
    """(n,) number of each detection's image; images are in the order that breaks ties"""
    cls: NDArray[np.int64]
    """(n,)"""
    scores: NDArray[np.float64]
    """(n,)"""
    boxes: NDArray[np.float64]
    """(n, 4)"""
    sides: NDArray[np.float64]
    """(n, 2) as `boxes_with_sides` takes them; (0, 2): not in the file"""
    points: NDArray[np.float64]
    """(n, K, 3)"""
    object_image: NDArray[np.int64]
    """(m,) as `image`"""
    object_cls: NDArray[np.int64]
    """(m,)"""
    object_boxes: NDArray[np.float64]
    """(m, 4)"""
    object_sides: NDArray[np.float64]
    """(m, 2), or (0, 2)"""
    object_points: NDArray[np.float64]
    """(m, K, 3)"""
    area: NDArray[np.float64]
    """(m,)"""
    crowd: NDArray[np.bool_]
    """(m,)"""
    uncounted: NDArray[np.bool_]
    """(A, m) whether the object does not count in this size range"""
    sigmas: NDArray[np.float64]
    """(K,)"""

    def take(self, rows: NDArray[np.int64], objects: NDArray[np.int64]) -> MatchInputs:
        """Return some detections and objects; of an image all or none."""
        of_rows = {name: getattr(self, name)[rows] for name in ("image", "cls", "scores", "boxes")}
        of_rows |= {name: _taken(getattr(self, name), rows) for name in ("sides", "points")}
        names = ("object_image", "object_cls", "object_boxes", "area", "crowd")
        of_objects = {name: getattr(self, name)[objects] for name in names}
        of_objects |= {name: _taken(getattr(self, name), objects) for name in ("object_sides", "object_points")}
        return MatchInputs(**of_rows, **of_objects, uncounted=self.uncounted[:, objects], sigmas=self.sigmas)


class Matches(NamedTuple):
    """What the detections were matched to."""

    hit: NDArray[np.uint16]
    """(A, n) bit t: matched at IOU_THRESHOLDS[t] in this size range"""
    skip: NDArray[np.uint16]
    """(A, n) bit t: neither right nor wrong (matched to a crowd, or outside the size range)"""
    found: NDArray[np.int32]
    """(n,) row of the object that it is matched to at IoU 0.5, or −1"""


CellMatcher = Callable[[MatchInputs], Matches]
"""Returns the matches of every detection, in the order of the inputs"""


def match_by_row(inputs: MatchInputs) -> Matches:
    """Return the matches of every detection, in the order of the inputs."""
    best_first = stable_order(descending_keys(inputs.scores))
    order = stable_order(inputs.cls, stable_order(inputs.image, best_first))
    return match_cells(inputs, order, order)


def match_cells(inputs: MatchInputs, order: NDArray[np.int32], to: NDArray[np.int32]) -> Matches:
    """Match the detections of every image and class, best first.

    Args:
        inputs: detections and objects.
        order: (n,) detections by class, image and score.
        to: (n,) where the match of each of `order` is written.
    """
    n_images = 1 + int(max(inputs.image.max(initial=0), inputs.object_image.max(initial=0)))
    cell = (inputs.cls * n_images + inputs.image)[order]
    object_cell = inputs.object_cls * n_images + inputs.object_image
    objects = np.argsort(object_cell, kind="stable").astype(np.int32)
    object_cell, object_boxes = object_cell[objects], _with_sides(inputs.object_boxes, inputs.object_sides, objects)
    crowd, area, uncounted = inputs.crowd[objects], inputs.area[objects], inputs.uncounted[:, objects]
    uncounted, by_points = np.ascontiguousarray(uncounted), len(inputs.sigmas) > 0
    object_points = np.ascontiguousarray(inputs.object_points[objects]) if by_points else inputs.object_points
    ranges = np.array(list(SIZE_RANGES.values()))
    hit, skip = (np.zeros((len(ranges), len(order)), dtype=np.uint16) for _ in range(2))
    found = np.zeros(len(order), dtype=np.int32)
    for some in _whole_cells(cell):
        rows, runs = order[some], _runs(cell[some], object_cell)
        width = runs[:, 3] - runs[:, 2]
        offsets = np.concatenate([[0], np.cumsum((runs[:, 1] - runs[:, 0]) * width)]).astype(np.int64)
        boxes, pairs = _with_sides(inputs.boxes, inputs.sides, rows), np.zeros(offsets[-1])
        if by_points:
            points = inputs.points[rows]
            oks_similarity(points, object_points, object_boxes, area, inputs.sigmas, runs, offsets, pairs)
        else:
            box_similarity(boxes, object_boxes, crowd, runs, offsets, pairs)
        greedy_match(
            pairs, runs, offsets, boxes[:, 4] * boxes[:, 5], uncounted, crowd, ranges, IOU_THRESHOLDS, to[some],
            np.empty(width.max(initial=0), dtype=np.int64), np.empty(width.max(initial=0), dtype=np.bool_),
            np.empty(len(rows)), hit, skip, found,
        )  # fmt: skip
    found -= 1
    of_object = objects[found] if len(objects) else np.int32(-1)
    return Matches(hit, skip, np.where(found >= 0, of_object, np.int32(-1)))


def _taken(column: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return rows of a column; of one that is left out, itself."""
    return column[rows] if column.size else column


def _whole_cells(cell: NDArray[np.int64]) -> Iterator[slice]:
    """Divide the detections, sorted by `cell` (n,), into parts of whole cells that bound the memory of matching."""
    begin = 0
    while begin < len(cell):
        end = begin + _DETECTIONS_AT_ONCE
        if end < len(cell):
            end = int(np.searchsorted(cell, cell[end], side="left"))
            if end <= begin:  # one cell is larger than a part
                end = int(np.searchsorted(cell, cell[begin], side="right"))
        yield slice(begin, min(end, len(cell)))
        begin = end


def _with_sides(
    boxes: NDArray[np.float64], file_sides: NDArray[np.float64], order: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Return (n, 6) boxes of the rows `order`, as `boxes_with_sides` writes them."""
    out = np.empty((len(order), 6))
    boxes_with_sides(np.ascontiguousarray(boxes), np.ascontiguousarray(file_sides), order, out)
    return out


def _runs(cell: NDArray[np.int64], label_cell: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (r, 4), a row per image and class with detections: first and last+1 detection, first and last+1 object."""
    if not len(cell):
        return np.empty((0, 4), dtype=np.int64)
    begin = np.flatnonzero(np.concatenate([[True], cell[1:] != cell[:-1]]))
    end = np.append(begin[1:], len(cell))
    cells = cell[begin]
    first, last = np.searchsorted(label_cell, cells), np.searchsorted(label_cell, cells, side="right")
    return np.stack([begin, end, first, last], axis=1).astype(np.int64)
