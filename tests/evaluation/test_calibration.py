"""Calibration: what a confidence is worth."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.test_evaluate import BOX, FAR, said, truth
from liftgate.evaluation.evaluate import evaluate


def test_a_model_that_is_right_as_often_as_it_says_is_calibrated() -> None:
    data = truth([1] * 100)
    rows = [(i, BOX if i % 5 else FAR, 0.8) for i in range(100)]  # says 0.8, and 80 of 100 are right
    found = evaluate(data, said(rows, data)).calibration
    assert found["ece"] == pytest.approx(0) and found["n_detections"] == 100
    assert found["n"][8] == 100 and found["precision"][8] == pytest.approx(0.8)
    assert found["precision"][0] is None and sum(found["n"]) == 100


def test_overconfidence_costs_its_distance() -> None:
    data = truth([1] * 100)
    sure = [(i, BOX if i % 2 else FAR, 1.0) for i in range(100)]
    assert evaluate(data, said(sure, data)).calibration["ece"] == pytest.approx(0.5)
    assert evaluate(data, said([], data)).calibration["ece"] is None


def test_the_error_is_the_mean_gap_over_detections() -> None:
    rng = np.random.default_rng(0)
    data = truth([1] * 300)
    rows = [(i, BOX if rng.random() < 0.6 else FAR, float(rng.random())) for i in range(300)]
    found = evaluate(data, said(rows, data)).calibration
    slow = 0.0
    for k in range(10):
        inside = [row for row in rows if k / 10 <= row[2] < (k + 1) / 10]
        slow += abs(sum(row[2] for row in inside) - sum(row[1] == BOX for row in inside)) / 300
    assert found["ece"] == pytest.approx(slow)
