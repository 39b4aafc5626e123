"""Detections of an export beside those of its checkpoint, where one of the two finds nothing in an image."""

from __future__ import annotations

import numpy as np
import pytest

from liftgate.data.core.predictions import Predictions
from liftgate.deploy.export.agreement import compare_detections


def found(*images: int, points: bool) -> Predictions:
    """Return one detection in each of these images, of three."""
    n = len(images)
    boxes = np.tile([10.0, 10.0, 50.0, 50.0], (n, 1))
    keypoints = np.full((n, 2, 3), 0.9) if points else None
    where = np.array(images, dtype=np.int64)
    return Predictions(
        ("a.jpg", "b.jpg", "c.jpg"), ("cat",), where, np.zeros(n, dtype=np.int64), boxes, np.full(n, 0.8), keypoints
    )


@pytest.mark.parametrize("points", [False, True])
def test_an_image_in_which_one_of_them_finds_nothing_is_no_error(points: bool) -> None:
    both, less = found(0, 1, points=points), found(0, points=points)
    assert compare_detections(both, both, 0.25).identical
    for reference, export in ((both, less), (less, both)):
        agreement = compare_detections(reference, export, 0.25)
        assert not agreement.identical and agreement.n_pairs == 1
