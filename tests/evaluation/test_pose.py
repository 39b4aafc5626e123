"""OKS by its formula, PCK by a named normaliser."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from evaluation.test_evaluate import BOX, said, truth
from liftgate.data.core.dataset import Dataset, Keypoints
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.pck import Pck, pck
from liftgate.evaluation.spec import EvaluationSpec
from liftgate.kernels.matching import oks_similarity


@pytest.mark.parametrize(("sigma", "expected"), [(0.026, 0.1574), (0.107, 0.8966), (1 / 14, 0.7827)])
def test_oks_equals_the_published_figures(sigma: float, expected: float) -> None:
    one, run = np.array([[[0.0, 0.0, 2.0]]]), np.array([[0, 1, 0, 1]])
    moved = np.array([[[10.0, 0.0, 1.0]]])
    boxes = np.array([[0.0, 0.0, 100.0, 100.0, 100.0, 100.0]])
    area, sigmas = np.array([1e4]), np.array([sigma])
    value = np.zeros(1)
    oks_similarity(moved, one, boxes, area, sigmas, run, np.array([0, 1]), value)
    assert value[0] == pytest.approx(expected, abs=5e-5)


def pose() -> tuple[Dataset, Predictions]:
    """Ten images with one object of 40 × 40; the first keypoint is 2 pixels off, the second 4, the third unlabelled."""
    data = truth([1] * 10)
    points = np.tile(np.array([[20.0, 20.0, 2.0], [40.0, 20.0, 1.0], [30.0, 40.0, 0.0]]), (10, 1, 1))
    data = replace(data, keypoints=Keypoints(("a", "b", "c")), labels=replace(data.labels, keypoints=points))
    placed = points + np.array([[2.0, 0, 0], [0, 4.0, 0], [0, 0, 0]])
    return data, replace(said([(i, BOX, 0.9) for i in range(10)], data), keypoints=placed)


def test_pck_depends_on_the_normaliser_that_was_named() -> None:
    data, model = pose()
    diagonal = pck(data, model, Pck("box_diagonal", 0.05))  # 5% of 56.6 is 2.8: the first is in, the second out
    assert {name: interval.estimate for name, interval in diagonal.items()} == {"all": 0.5, "a": 1.0, "b": 0.0}
    wide = pck(data, model, Pck("max_side", 0.1))  # 4 pixels, and at the limit is in
    assert wide["all"].estimate == 1.0
    torso = pck(data, model, Pck("torso", 0.1, ("a", "b")))  # 10% of 20
    assert torso["all"].estimate == 0.5
    assert math.isclose(diagonal["all"].level, 0.95) and diagonal["all"].n_groups == 10


def test_keypoints_of_objects_that_were_not_found_are_missed() -> None:
    data, model = pose()
    some = np.arange(10) < 6
    fewer = replace(
        model, image=model.image[some], cls=model.cls[some], boxes=model.boxes[some], scores=model.scores[some],
        keypoints=model.keypoints[some],  # type: ignore[index]
    )  # fmt: skip
    assert pck(data, fewer, Pck("max_side", 0.1))["all"].estimate == 0.6


def test_a_pose_model_that_finds_nothing_scores_zero_and_is_not_taken_for_a_box_model() -> None:
    data, _ = pose()
    nothing = said([], data)
    assert nothing.keypoints is None, "an empty file cannot say that it would have held keypoints"
    result = evaluate(data, nothing, EvaluationSpec(sigmas=(0.05, 0.05, 0.05), pck=(Pck("max_side", 0.1),)))
    assert {name: result.metrics[name] for name in ("OKS-mAP50", "OKS-mAP50-95")} == {"OKS-mAP50": 0, "OKS-mAP50-95": 0}


def test_an_unknown_torso_is_refused() -> None:
    data, model = pose()
    with pytest.raises(UsageError, match="torso"):
        pck(data, model, Pck("torso", 0.05, ("a", "hip")))
    with pytest.raises(UsageError, match="no labelled keypoint"):
        pck(data, model, Pck("torso", 0.05, ("a", "c")))


def test_images_are_ranked_by_the_oks_thresholds_that_their_objects_reach() -> None:
    data, model = pose()
    points = model.keypoints
    assert points is not None
    placed = points.copy()
    placed[:, :2, :2] = [[20.0, 20.0], [40.0, 20.0]]  # where they are
    placed[3, :2, 0] += 4.0
    placed[7, :2, 0] += 400.0
    found = evaluate(data, replace(model, keypoints=placed), EvaluationSpec(sigmas=0.1))
    oks = {row["id"]: row["oks"] for row in found.images}
    names = [image.id for image in data.images]
    assert oks[names[0]] == 1.0 and oks[names[7]] == 0.0
    assert 0 < oks[names[3]] < 1
    assert "oks" not in evaluate(replace(data, keypoints=None, labels=replace(data.labels, keypoints=None)),
                                 replace(model, keypoints=None)).images[0]  # fmt: skip
