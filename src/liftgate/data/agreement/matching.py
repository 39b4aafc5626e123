"""Match the boxes of two annotators: the best one-to-one assignment in each frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import Boxes, areas, iou
from liftgate.data.agreement.shared_frames import SharedFrames
from liftgate.data.core.dataset import Dataset, Labels

NONE = -1
"""In place of a class or row index: the other annotator has no box there."""


@dataclass(frozen=True, slots=True, eq=False)
class ObjectMatches:
    """Matched and unmatched objects of two annotators: one row per object that at least one of them drew."""

    frame: NDArray[np.int64]
    """(n,) index into Frames.a and .b"""
    class_a: NDArray[np.int64]
    """(n,) index into Frames.classes, NONE where only b drew it"""
    class_b: NDArray[np.int64]
    iou: NDArray[np.float64]
    """(n,) of the matched pair; 0 where only one drew it"""
    row_a: NDArray[np.int64]
    """(n,) row of a.labels, or NONE"""
    row_b: NDArray[np.int64]
    n_left_out: int
    """Boxes that were not compared: crowd or ignore regions of either and what the other drew inside, boxes without
    an area"""

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def matched(self) -> NDArray[np.bool_]:
        """(n,) objects that both have drawn."""
        both: NDArray[np.bool_] = (self.class_a != NONE) & (self.class_b != NONE)
        return both

    @property
    def agreed(self) -> NDArray[np.bool_]:
        """Drawn by both, and with the same class."""
        same: NDArray[np.bool_] = self.class_a == self.class_b  # never both NONE
        return same


def match_boxes(
    a: Boxes,
    b: Boxes,
    class_a: NDArray[np.int64] | None = None,
    class_b: NDArray[np.int64] | None = None,
    *,
    at_least: float = 0.5,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Pair (n, 4) with (m, 4) xyxy boxes: rows of a, rows of b and the IoU of each pair, ordered by a's rows.

    The assignment (Kuhn 1955, Munkres 1957) has as many pairs with IoU ≥ `at_least` as there can be, and among those
    the greatest sum of IoU. The class plays no part, or a confusion of classes could not be seen; only where places are
    equal (to 1e-6 of IoU) do boxes of one class go together.

    >>> one = np.array([[0., 0., 10., 10.], [20., 0., 30., 10.]])
    >>> match_boxes(one, one[::-1])[:2]
    (array([0, 1]), array([1, 0]))
    """
    overlap = iou(a, b)
    # The tolerance keeps a pair whose IoU equals `at_least` but is a rounding error below it.
    fits = overlap >= at_least - 1e-9
    value = overlap
    if class_a is not None and class_b is not None:
        value = overlap + 1e-6 * (class_a[:, None] == class_b[None, :])
    # One more pair must be worth more than any gain in IoU: plain "maximal IoU, then drop those under 0.5" loses pairs.
    gain = np.where(fits, min(len(a), len(b)) * (1 + 1e-6) + 1 + value, 0.0)
    rows, columns = _assign(gain, fits)
    return rows, columns, overlap[rows, columns]


def _assign(gain: NDArray[np.float64], fits: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the assignment of greatest gain among pairs in `fits`, solved one connected group of boxes at a time."""
    if not fits.any():
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    if fits.sum(axis=0).max() <= 1 and fits.sum(axis=1).max() <= 1:
        rows, columns = np.nonzero(fits)  # nothing to decide
        return rows, columns
    # Imported here: scipy takes a second to import, and a report does not need it.
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    count_a, count_b = fits.shape
    i, j = np.nonzero(fits)
    links = csr_array((np.ones(len(i)), (i, j + count_a)), shape=(count_a + count_b, count_a + count_b))
    _, piece = connected_components(links, directed=False)
    pairs: list[tuple[int, int]] = []
    for number in np.unique(piece[i]):
        of_a, of_b = np.flatnonzero(piece[:count_a] == number), np.flatnonzero(piece[count_a:] == number)
        chosen_a, chosen_b = linear_sum_assignment(gain[np.ix_(of_a, of_b)], maximize=True)
        pairs += [(x, y) for x, y in zip(of_a[chosen_a].tolist(), of_b[chosen_b].tolist(), strict=True) if fits[x, y]]
    ordered = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
    return ordered[:, 0], ordered[:, 1]


def match_objects(a: Dataset, b: Dataset, frames: SharedFrames, *, at_least: float = 0.5) -> ObjectMatches:
    """Match the boxes of every shared frame at IoU `at_least`.

    Boxes that lie on a crowd or ignore region of either annotator are left out of the comparison.

    Args:
        a: labels of the first annotator.
        b: labels of the second annotator.
        frames: the frames that both have labelled.
        at_least: least IoU of a match.
    """
    of_a, of_b = _rows_by_image(a), _rows_by_image(b)
    class_a, class_b = _common_classes(a, frames), _common_classes(b, frames)
    parts: list[NDArray[np.float64]] = []
    left_out = 0
    for number, (i, j) in enumerate(zip(frames.a.tolist(), frames.b.tolist(), strict=True)):
        rows_a, rows_b = of_a[i], of_b[j]
        boxes_a, boxes_b = a.labels.boxes[rows_a], b.labels.boxes[rows_b]
        matched_a, matched_b, overlap = match_boxes(
            boxes_a, boxes_b, class_a[rows_a], class_b[rows_b], at_least=at_least
        )
        out_a, out_b = _outside_comparison(a.labels, rows_a, b.labels, rows_b, matched_a, matched_b)
        left_out += int(out_a.sum()) + int(out_b.sum())
        both = ~(out_a[matched_a] | out_b[matched_b])
        alone_a = np.setdiff1d(np.flatnonzero(~out_a), matched_a)
        alone_b = np.setdiff1d(np.flatnonzero(~out_b), matched_b)
        parts += [
            _columns(number, rows_a[matched_a[both]], rows_b[matched_b[both]], overlap[both]),
            _columns(number, rows_a[alone_a], np.full(len(alone_a), NONE), np.zeros(len(alone_a))),
            _columns(number, np.full(len(alone_b), NONE), rows_b[alone_b], np.zeros(len(alone_b))),
        ]
    table = np.concatenate(parts) if parts else np.zeros((0, 4))
    row_a, row_b = table[:, 1].astype(np.int64), table[:, 2].astype(np.int64)
    return ObjectMatches(
        frame=table[:, 0].astype(np.int64),
        class_a=_class_of(class_a, row_a),
        class_b=_class_of(class_b, row_b),
        iou=table[:, 3],
        row_a=row_a,
        row_b=row_b,
        n_left_out=left_out,
    )


def _columns(
    frame: int, rows_a: NDArray[np.int64], rows_b: NDArray[np.int64], overlap: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.column_stack([np.full(len(rows_a), float(frame)), rows_a, rows_b, overlap])


def _class_of(classes: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.append(classes, NONE)[rows]  # row NONE is the last


def _outside_comparison(
    a: Labels,
    rows_a: NDArray[np.int64],
    b: Labels,
    rows_b: NDArray[np.int64],
    matched_a: NDArray[np.int64],
    matched_b: NDArray[np.int64],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return masks of the boxes of one frame that are not compared.

    These have no area, are crowd or ignore, are matched with such a box, or lie on one.
    """
    # A box without an area overlaps nothing, not even itself.
    out_a, out_b = (areas(boxes) <= 0 for boxes in (a.boxes[rows_a], b.boxes[rows_b]))
    flagged_a, flagged_b = (a.crowd | a.ignore)[rows_a], (b.crowd | b.ignore)[rows_b]
    if not (flagged_a.any() or flagged_b.any()):
        return out_a, out_b
    on_a = _share_inside(b.boxes[rows_b], a.boxes[rows_a][flagged_a]) >= 0.5
    on_b = _share_inside(a.boxes[rows_a], b.boxes[rows_b][flagged_b]) >= 0.5
    alone_a = ~np.isin(np.arange(len(rows_a)), matched_a)
    alone_b = ~np.isin(np.arange(len(rows_b)), matched_b)
    out_a[matched_a[flagged_b[matched_b]]] = True
    out_b[matched_b[flagged_a[matched_a]]] = True
    return out_a | flagged_a | (on_b & alone_a), out_b | flagged_b | (on_a & alone_b)


def _share_inside(boxes: Boxes, regions: Boxes) -> NDArray[np.float64]:
    """Return the greatest share of each box's area that is inside one of the regions, shape (len(boxes),)."""
    if not len(regions):
        return np.zeros(len(boxes))
    low = np.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    overlap = np.prod(np.maximum(high - low, 0), axis=2)
    share: NDArray[np.float64] = (overlap / np.maximum(areas(boxes), 1e-12)[:, None]).max(axis=1)
    return share


def _rows_by_image(dataset: Dataset) -> list[NDArray[np.int64]]:
    order = np.argsort(dataset.labels.image, kind="stable")
    ends = np.searchsorted(dataset.labels.image[order], np.arange(1, len(dataset.images)))
    return np.split(order, ends) if dataset.images else []


def _common_classes(dataset: Dataset, frames: SharedFrames) -> NDArray[np.int64]:
    number = {name: index for index, name in enumerate(frames.classes)}
    names = np.array([number[name] for name in dataset.classes] or [0], dtype=np.int64)
    return names[dataset.labels.cls] if len(dataset.labels) else np.zeros(0, dtype=np.int64)
