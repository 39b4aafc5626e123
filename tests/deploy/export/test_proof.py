"""No export passes without evidence: nothing found, too few groups, and keypoints that the boxes do not show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.deploy.export.agreement import are_identical
from liftgate.deploy.export.proof import ProofSpec, prove
from liftgate.errors import UsageError
from liftgate.testing import data as factory


def found(truth: Dataset, *, keypoints: bool = False) -> Predictions:
    """Return detections that are the truth's own boxes."""
    labels = truth.labels
    return Predictions(
        images=tuple(image.id for image in truth.images),
        classes=truth.classes,
        image=labels.image,
        cls=labels.cls,
        boxes=labels.boxes.copy(),
        scores=np.linspace(0.9, 0.5, len(labels)),
        keypoints=np.tile(labels.boxes[:, None, [0, 1, 1]], (1, 4, 1)) if keypoints else None,
    )


def nothing(truth: Dataset) -> Predictions:
    none = np.zeros(0, dtype=np.int64)
    return replace(found(truth), image=none, cls=none, boxes=np.zeros((0, 4)), scores=np.zeros(0), sides=None)


def test_the_same_detections_that_hit_objects_in_many_groups_pass() -> None:
    truth = factory.dataset(24, n_groups=8)
    assert prove("same", truth, found(truth), found(truth), ProofSpec()).word == "PASS"


def test_two_models_that_find_nothing_are_not_equal() -> None:
    truth = factory.dataset(24, n_groups=8)
    assert not are_identical(nothing(truth), nothing(truth))
    with pytest.raises(UsageError, match="undefined here"):
        prove("dead", truth, nothing(truth), nothing(truth), ProofSpec())


def test_the_same_detections_that_hit_nothing_do_not_pass() -> None:
    truth = factory.dataset(24, n_groups=8)
    beside = replace(found(truth), boxes=found(truth).boxes + 5_000.0)
    assert prove("beside", truth, beside, beside, ProofSpec()).word != "PASS"


@pytest.mark.parametrize("n_groups", [1, 4])
def test_the_same_detections_in_too_few_groups_do_not_pass(n_groups: int) -> None:
    truth = factory.dataset(24, n_groups=n_groups)
    assert prove("few", truth, found(truth), found(truth), ProofSpec()).word != "PASS"


def test_keypoints_that_moved_are_neither_the_same_nor_a_pass() -> None:
    truth = factory.dataset(24, n_groups=8)
    posed = found(truth, keypoints=True)
    assert posed.keypoints is not None
    moved = replace(posed, keypoints=posed.keypoints + np.array([9.0, 0.0, 0.0]))
    assert are_identical(posed, posed) and not are_identical(posed, moved)
    assert not are_identical(posed, replace(posed, keypoints=None))
    assert prove("pose", truth, posed, posed, ProofSpec()).word == "PASS"
    assert prove("moved", truth, posed, moved, ProofSpec()).word != "PASS"
