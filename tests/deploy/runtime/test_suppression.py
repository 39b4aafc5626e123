from __future__ import annotations

import numpy as np
import pytest

from liftgate.deploy.export.card import InputContract, OutputContract, UseSettings
from liftgate.deploy.runtime.letterbox import Placement, letterbox
from liftgate.deploy.runtime.suppression import choose_detections, nms
from liftgate.errors import DataError

CLASSES = ("cat", "dog")
WHOLE = Placement(100, 100, 1.0, 1.0, 0, 0)


def slow_nms(boxes: np.ndarray, cls: np.ndarray, iou: float) -> list[int]:
    """Return the kept boxes by the definition."""
    kept: list[int] = []
    for i, box in enumerate(boxes):
        for j in kept:
            low, high = np.maximum(box[:2], boxes[j, :2]), np.minimum(box[2:], boxes[j, 2:])
            overlap = np.prod(np.maximum(high - low, 0))
            union = np.prod(box[2:] - box[:2]) + np.prod(boxes[j, 2:] - boxes[j, :2]) - overlap
            if cls[i] == cls[j] and union > 0 and overlap / union > iou:
                break
        else:
            kept.append(i)
    return kept


@pytest.mark.parametrize("seed", range(5))
def test_suppression_is_that_of_the_definition(seed: int) -> None:
    random = np.random.default_rng(seed)
    corner = random.uniform(0, 80, (200, 2))
    boxes = np.concatenate([corner, corner + random.uniform(1, 40, (200, 2))], axis=1).astype(np.float32)
    cls = random.integers(0, 2, 200)
    kept = nms(boxes, cls, UseSettings(iou=0.5, max_det=300))
    assert kept.tolist() == slow_nms(boxes.astype(np.float64), cls, 0.5)


def test_at_most_so_many_detections_come_out_best_first() -> None:
    boxes = np.array([[i * 20, 0, i * 20 + 10, 10] for i in range(5)], np.float32)
    assert nms(boxes, np.zeros(5, np.int64), UseSettings(max_det=3)).tolist() == [0, 1, 2]


def test_no_candidate_is_no_detection() -> None:
    found = choose_detections(np.zeros((6, 10)), OutputContract("anchors", (1, 6, 10), CLASSES), WHOLE, UseSettings())
    assert (len(found.scores), found.boxes.shape) == (0, (0, 4))


def test_each_class_of_an_anchor_counts_for_itself() -> None:
    output = np.array([[50], [50], [20], [20], [0.9], [0.4]])
    found = choose_detections(output, OutputContract("anchors", (1, 6, 1), CLASSES), WHOLE, UseSettings(conf=0.25))
    assert found.cls.tolist() == [0, 1]
    assert found.boxes[0].tolist() == [40, 40, 60, 60]


def test_scores_of_another_scale_come_out_between_zero_and_one() -> None:
    output = np.array([[50], [50], [20], [20], [90], [10]])
    contract = OutputContract("anchors", (1, 6, 1), CLASSES, score_scale=100)
    found = choose_detections(output, contract, WHOLE, UseSettings(conf=0.25))
    assert found.scores.tolist() == [0.9]


def test_detections_from_inside_the_file_are_only_cut_and_sorted() -> None:
    rows = np.array([[0, 0, 9, 9, 0.3, 1], [0, 0, 9, 9, 0.8, 0], [0, 0, 9, 9, 0.1, 0]])
    contract = OutputContract("detections", (1, 3, 6), CLASSES, "xyxy", nms=True)
    found = choose_detections(rows, contract, WHOLE, UseSettings(conf=0.25))
    assert list(zip(found.cls.tolist(), found.scores.round(6).tolist(), strict=True)) == [(0, 0.8), (1, 0.3)]


def test_keypoints_go_back_to_the_image_with_their_confidence() -> None:
    placement = letterbox(np.zeros((50, 100, 3), np.uint8), InputContract(200, 200)).placement
    output = np.array([[100], [100], [40], [40], [0.9], [100], [100], [0.7]])
    contract = OutputContract("anchors", (1, 8, 1), ("cat",), keypoints=(1, 3))
    found = choose_detections(output, contract, placement, UseSettings())
    assert found.keypoints is not None
    assert found.keypoints[0, 0] == pytest.approx([50, 25, 0.7])


@pytest.mark.parametrize(
    ("output", "message"),
    [(np.zeros((7, 3)), "another shape"), (np.full((6, 3), np.nan), "no numbers"), (np.zeros(6), "another shape")],
)
def test_an_output_that_is_not_the_contracts_is_an_error(output: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        choose_detections(output, OutputContract("anchors", (1, 6, 3), CLASSES), WHOLE, UseSettings())


def test_classes_that_the_card_does_not_have_are_an_error() -> None:
    contract = OutputContract("detections", (1, 1, 6), CLASSES, "xyxy", nms=True)
    with pytest.raises(DataError, match="classes that its card does not have"):
        choose_detections(np.array([[0, 0, 9, 9, 0.9, 5]]), contract, WHOLE, UseSettings())
