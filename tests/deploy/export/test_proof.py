"""No export passes without evidence: nothing found, too few groups, and keypoints that the boxes do not show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liftgate.data.core.dataset import Dataset, Keypoints
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


def ending(truth: Dataset, scores: list[float], away: float = 0.0, **settings: object) -> Predictions:
    """Return three detections of the first image, the last of them `away` pixels aside."""
    boxes = np.array([[0, 0, 10, 10], [20, 20, 40, 40], [50 + away, 50, 60 + away, 60]], dtype=np.float64)
    rows = len(scores)
    none = np.zeros(rows, dtype=np.int64)
    made = replace(found(truth), image=none, cls=none, boxes=boxes[:rows], scores=np.array(scores), sides=None)
    return replace(made, settings=settings)


def test_a_detection_just_where_a_list_ends_may_lie_beyond_its_end_in_the_other() -> None:
    """Rounding of the last bit decides what comes out as number 300, or just above the least confidence."""
    truth = factory.dataset(4)
    full = {"max_det": 3, "conf": 0.001}
    assert are_identical(ending(truth, [0.9, 0.5, 0.2], **full), ending(truth, [0.9, 0.5, 0.19999], 400, **full))
    assert are_identical(ending(truth, [0.9, 0.5, 0.00105], conf=0.001), ending(truth, [0.9, 0.5], conf=0.001))
    assert are_identical(ending(truth, [0.9, 0.5], conf=0.001), ending(truth, [0.9, 0.5, 0.00105], conf=0.001))


@pytest.mark.parametrize("settings", [{}, {"conf": 0.001}, {"conf": 0.001, "max_det": 4}])
def test_any_other_detection_without_a_partner_is_a_difference(settings: dict[str, object]) -> None:
    truth = factory.dataset(4)
    whole = ending(truth, [0.9, 0.5, 0.2], **settings)
    assert not are_identical(whole, ending(truth, [0.9, 0.5, 0.2], 400, **settings))
    assert not are_identical(whole, ending(truth, [0.9, 0.5], **settings))
    assert not are_identical(ending(truth, [0.9, 0.5], **settings), whole)


def test_the_same_detections_that_hit_nothing_do_not_pass() -> None:
    truth = factory.dataset(24, n_groups=8)
    beside = replace(found(truth), boxes=found(truth).boxes + 5_000.0)
    assert prove("beside", truth, beside, beside, ProofSpec()).word != "PASS"


@pytest.mark.parametrize("n_groups", [1, 4])
def test_the_same_detections_in_too_few_groups_do_not_pass(n_groups: int) -> None:
    truth = factory.dataset(24, n_groups=n_groups)
    assert prove("few", truth, found(truth), found(truth), ProofSpec()).word != "PASS"


def posed_truth(*, sigmas: tuple[float, ...] | None = (0.05, 0.05), n_groups: int = 12) -> Dataset:
    """Return a truth whose objects have two keypoints: the upper left and the lower right corner of their box."""
    truth = factory.dataset(48, n_groups=n_groups)
    points = np.full((len(truth.labels), 2, 3), 2.0)
    points[:, 0, :2], points[:, 1, :2] = truth.labels.boxes[:, :2], truth.labels.boxes[:, 2:]
    labels = replace(truth.labels, keypoints=points)
    return replace(truth, labels=labels, keypoints=Keypoints(("head", "tail"), sigmas=sigmas))


def posed(truth: Dataset, away: float = 0.0, *, loose: float = 0.0, seed: int = 3) -> Predictions:
    """Return detections near the truth: keypoints `away` box sides from theirs and boxes `loose` sides, at random."""
    points = truth.labels.keypoints
    assert points is not None
    random = np.random.default_rng(seed)
    sides = truth.labels.boxes[:, 2:] - truth.labels.boxes[:, :2]
    moved = points.copy()
    moved[..., :2] += away * random.normal(size=(*points.shape[:2], 2)) * sides[:, None, :]
    boxes = truth.labels.boxes + loose * random.normal(size=truth.labels.boxes.shape) * np.tile(sides, 2)
    return replace(found(truth), boxes=boxes, keypoints=moved)


def test_keypoints_that_moved_are_neither_the_same_nor_a_pass() -> None:
    truth = posed_truth()
    assert are_identical(posed(truth), posed(truth)) and not are_identical(posed(truth), posed(truth, 0.2))
    assert not are_identical(posed(truth), replace(posed(truth), keypoints=None))
    assert prove("pose", truth, posed(truth), posed(truth), ProofSpec()).word == "PASS"
    proof = prove("moved", truth, posed(truth), posed(truth, 0.2), ProofSpec())
    assert proof.cost is not None and proof.cost.delta.estimate == 0, "the boxes are the same"
    assert proof.keypoints is not None and proof.keypoints.metric == "OKS-mAP50-95"
    assert proof.keypoints.delta.estimate < -0.1
    assert proof.word == "FAIL" and "keypoints" in proof.reason and "OKS-mAP50-95" in proof.reason
    assert proof.to_dict()["keypoints"] == proof.keypoints.to_dict()


def test_boxes_and_keypoints_that_are_both_shown_to_be_equal_pass() -> None:
    truth = posed_truth()
    first, second = posed(truth, 0.02, loose=0.03), posed(truth, 0.02, loose=0.03, seed=4)
    proof = prove("near", truth, first, second, ProofSpec(margin=0.3))
    assert proof.cost is not None and proof.cost.verdict == "PASS"
    assert proof.keypoints is not None and proof.keypoints.verdict == "PASS" and proof.keypoints.delta.established
    assert proof.word == "PASS"


@pytest.mark.parametrize(
    ("truth", "why"),
    [
        pytest.param(factory.dataset(48, n_groups=12), "the truth has no keypoints", id="boxes only"),
        pytest.param(posed_truth(sigmas=None), "no OKS sigmas are given", id="no sigmas"),
    ],
)
def test_keypoints_that_cannot_be_measured_are_at_most_marginal(truth: Dataset, why: str) -> None:
    first, second = posed(posed_truth(), loose=0.03), posed(posed_truth(), 0.02, loose=0.03, seed=4)
    proof = prove("pose", truth, first, second, ProofSpec(margin=0.3))
    assert proof.cost is not None and proof.cost.verdict == "PASS"
    assert (proof.word, proof.keypoints) == ("MARGINAL", None)
    assert why in proof.reason


def test_sigmas_that_are_given_are_used() -> None:
    truth = posed_truth(sigmas=None)
    costs = [
        prove("pose", truth, posed(truth), posed(truth, 0.05), ProofSpec(sigmas=sigma)).keypoints
        for sigma in (0.02, 0.2)
    ]
    assert costs[0] is not None and costs[1] is not None
    assert costs[0].delta.estimate < costs[1].delta.estimate <= 0
