"""Box formats convert back and forth, and IoU is what a drawing says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from liftgate.boxes import (
    areas,
    as_boxes,
    cxcywh_to_xyxy,
    iou,
    xywh_to_xyxy,
    xyxy_to_cxcywh,
    xyxy_to_xywh,
)

corners = arrays(np.float64, st.tuples(st.integers(0, 6), st.just(4)), elements=st.floats(0, 1000))


@given(corners)
def test_formats_round_trip_to_a_millionth_of_a_pixel(raw: np.ndarray) -> None:
    boxes = xywh_to_xyxy(raw)
    size = np.array([640.0, 480.0])
    assert np.allclose(xywh_to_xyxy(xyxy_to_xywh(boxes)), boxes, atol=1e-6)
    assert np.allclose(cxcywh_to_xyxy(xyxy_to_cxcywh(boxes, size), size), boxes, atol=1e-6)


@given(corners, corners)
def test_iou_agrees_with_counting_by_hand(first: np.ndarray, second: np.ndarray) -> None:
    a, b = xywh_to_xyxy(first), xywh_to_xyxy(second)
    table = iou(a, b)
    assert table.shape == (len(a), len(b))
    for i, j in np.ndindex(*table.shape):
        width = min(a[i, 2], b[j, 2]) - max(a[i, 0], b[j, 0])
        height = min(a[i, 3], b[j, 3]) - max(a[i, 1], b[j, 1])
        overlap = max(width, 0) * max(height, 0)
        union = areas(a)[i] + areas(b)[j] - overlap
        assert table[i, j] == pytest.approx(overlap / union if union > 0 else 0)


def test_a_box_turned_inside_out_has_no_area() -> None:
    assert areas(np.array([[5.0, 5.0, 1.0, 9.0]])).tolist() == [0]


def test_a_wrong_shape_is_named() -> None:
    with pytest.raises(ValueError, match=r"expected truth of shape \(n, 4\), got \(1, 3\)"):
        as_boxes([[1, 2, 3]], "truth")
    assert as_boxes([]).shape == (0, 4)
