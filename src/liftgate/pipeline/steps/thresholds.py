"""From which score on a gate's images are flagged: given, or chosen on another split by the arm's predictions there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from liftgate.evaluation.image_level import ImageLevelThreshold, ThresholdRule, choose_image_threshold
from liftgate.pipeline.context import Context
from liftgate.pipeline.step import Result, Step
from liftgate.pipeline.steps.predicting import predict_step, read_predicted
from liftgate.study.records import Arm, Gate


def screen_needs(context: Context, arm: Arm, seed: int, gate: Gate) -> tuple[Step, ...]:
    """The arm's predictions on the split that its threshold is chosen on; none where it is a number."""
    if gate.threshold is None or gate.threshold.on is None:
        return ()
    return (predict_step(context, arm, seed, replace(gate, on=gate.threshold.on)),)


def screen_of(context: Context, gate: Gate, results: Sequence[Result]) -> ImageLevelThreshold | None:
    """What one arm is screened by, from the results of its `screen_needs`; None: the gate is not about whole images."""
    if not gate.threats:
        return None
    rule = gate.threshold
    if rule is None:
        return ImageLevelThreshold(gate.threats, 1.0, "none: AUC takes no threshold")
    if rule.on is None:
        assert rule.at is not None
        return ImageLevelThreshold(gate.threats, rule.at)
    val = context.datasets.truth(rule.on)
    found = read_predicted(context, rule.on, results[0])
    return choose_image_threshold(val, found, gate.threats, ThresholdRule(rule.by, rule.target))
