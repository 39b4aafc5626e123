"""Image-level thresholds of a gate: given, or chosen on another split from the arm's predictions there."""

from __future__ import annotations

from dataclasses import replace

from liftgate.backends.events import Json
from liftgate.data.core.image_identity import images_in_both
from liftgate.errors import StudyError
from liftgate.evaluation.image_level import ImageLevelThreshold, ThresholdRule, choose_image_threshold
from liftgate.pipeline.context import Context
from liftgate.pipeline.step import Results
from liftgate.pipeline.steps.predicting import PredictStep
from liftgate.study.records import Arm, Gate


def threshold_step(
    context: Context, arm: Arm, seed: int, gate: Gate, settings: Json | None = None
) -> PredictStep | None:
    """Return the step that predicts the split on which the threshold is chosen; None: it is given.

    Args:
        context: the study.
        arm: the arm.
        seed: of its training.
        gate: the gate.
        settings: of the predictions; None: those of the arm.
    """
    if gate.threshold is None or gate.threshold.on is None:
        return None
    return PredictStep(context, arm, seed, replace(gate, on=gate.threshold.on), settings=settings)


def require_unjudged_images(context: Context, gate: Gate) -> None:
    """Refuse a threshold that would be chosen on images that it judges, whatever data set and names they come by.

    Raises:
        StudyError: which images.
    """
    rule = gate.threshold
    if rule is None or rule.on is None:
        return
    shared = images_in_both(context.datasets.truth(rule.on), context.datasets.truth(gate.on))
    if shared:
        raise StudyError(
            f"the threshold of the gate `{gate.name}` would be chosen on images that it judges",
            where=context.study.place("gates", gate.name, "threshold", "on"),
            expected=f"images of {rule.on} that are not in {gate.on}",
            got=f"{len(shared)} in both, such as {shared[0]}",
            hint="choose it on a split of other images",
        )


def image_threshold(
    context: Context, gate: Gate, chosen_by: PredictStep | None, results: Results
) -> ImageLevelThreshold | None:
    """Return the image-level threshold of one arm; None: the gate has no image-level metric.

    Args:
        context: the study.
        gate: the gate.
        chosen_by: the arm's `threshold_step`.
        results: of finished steps.
    """
    if not gate.threats:
        return None
    rule = gate.threshold
    if rule is None:
        return ImageLevelThreshold(gate.threats, 1.0, "none: AUC takes no threshold")
    if chosen_by is None or rule.on is None:
        assert rule.at is not None
        return ImageLevelThreshold(gate.threats, rule.at)
    found = chosen_by.predictions(results)
    return choose_image_threshold(
        context.datasets.truth(rule.on), found, gate.threats, ThresholdRule(rule.by, rule.target)
    )
