"""Settings of evaluations and comparisons, shared by command line, Python API and gates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

from liftgate.data.core.dataset import Dataset
from liftgate.errors import UsageError
from liftgate.evaluation.metric_names import IMAGE_LEVEL, comparable_metric
from liftgate.evaluation.metric_options import ImageLevelThreshold, Pck, Sigmas
from liftgate.stats.interval import LEAST_LEVEL
from liftgate.study.vocabulary import ClaimWord, Rule
from liftgate.suggestions import suggestion

if TYPE_CHECKING:
    from liftgate.study.records import Gate

STATISTICS = 8
"""Version of intervals and verdict rules. It is part of the key of every evaluation and verdict of a study, so that
those of another version are judged again, from the stored predictions; 1: Liftgate 0.1.0, 2: before decision 24, 3:
before decision 44, 4: before decision 51, 5: before decision 53, 6: before decision 55, 7:
before decision 57"""
DEFAULT_CONF = 0.25
"""Confidence threshold of rates where none is given."""


def require_reachable_margin(metric: str, margin: float, claim: ClaimWord = "better") -> None:
    """Refuse a margin that decides by itself, such as 2 for two points: no two models differ by that much.

    Studies are told by the finding `gate.vacuous`, before anything is trained.

    Raises:
        UsageError: not a number, or 1 or more of a metric that lies between 0 and 1.
    """
    if not math.isfinite(margin):
        raise UsageError("a margin is a number", got=margin)
    if _may_differ_by(metric, margin):
        return
    outcome = "fails" if claim == "better" and margin > 0 else "passes"
    raise UsageError(
        f"{metric} lies between 0 and 1: a gate with this margin {outcome} whatever is measured",
        expected="a margin between -1 and 1", got=margin, hint="two points are 0.02",
    )  # fmt: skip


def require_possible_difference(metric: str, difference: float) -> None:
    """Refuse a difference that no two models have, such as 2 for two points.

    Raises:
        UsageError: not a number, or 1 or more of a metric that lies between 0 and 1.
    """
    if not math.isfinite(difference):
        raise UsageError("a difference is a number", got=difference)
    if not _may_differ_by(metric, difference):
        what = f"{metric} lies between 0 and 1: no two models differ by that much"
        raise UsageError(what, expected="a difference between -1 and 1", got=difference, hint="two points are 0.02")


def _may_differ_by(metric: str, difference: float) -> bool:
    return metric == "false_positives_per_image" or abs(difference) < 1


@dataclass(frozen=True, slots=True)
class EvaluationSpec:
    """Settings of the evaluation of one model."""

    level: float = 0.95
    """Level of every interval"""
    conf: float = DEFAULT_CONF
    """Confidence threshold of recall, precision and false positives"""
    sigmas: Sigmas = None
    """OKS sigmas: `coco`, one number, or one for each keypoint"""
    threshold: ImageLevelThreshold | None = None
    """If given, image-level metrics are added"""
    slices: Mapping[str, str] | None = None
    """Image id → slice; if given, metrics of each slice are added"""
    errors: bool = False
    """Whether error types and the confusion matrix are added"""
    pck: tuple[Pck, ...] = ()
    """The PCK metrics to add, overall and for each keypoint"""

    def validate(self) -> None:
        """Check the settings that can be checked without data.

        Raises:
            UsageError: level or confidence threshold out of range.
        """
        _validate_numbers(self.level, self.conf)

    @classmethod
    def of_gate(cls, gate: Gate, threshold: ImageLevelThreshold | None = None) -> EvaluationSpec:
        """Return the evaluation that a gate of a study rests on."""
        conf = DEFAULT_CONF if gate.conf is None else gate.conf
        return cls(level=gate.level, conf=conf, threshold=threshold, errors=True)


@dataclass(frozen=True, slots=True)
class ComparisonSpec:
    """Settings of the comparison of two models: metric, margin and rule of the verdict."""

    metric: str = "mAP50-95"
    margin: float = 0.0
    """The least gain that counts; with `claim="equal"` the largest difference that counts as none"""
    rule: Rule = "interval"
    claim: ClaimWord = "better"
    level: float = 0.95
    conf: float = DEFAULT_CONF
    """Confidence threshold of recall, precision and false positives"""
    sigmas: Sigmas = None
    """OKS sigmas: `coco`, one number, or one for each keypoint"""
    thresholds: tuple[ImageLevelThreshold, ...] = ()
    """For image-level metrics: one for each model, the control first; with several seeds the two in turn"""
    slices: Mapping[str, str] | None = None
    """Image id → slice; if given, the difference in each slice is added"""
    weights: Mapping[str, float] | None = None
    """Group → inverse inclusion probability, of a drawn sample; None: the images are all that there are"""

    @property
    def interval_level(self) -> float:
        """Level of the interval that decides; equality takes two one-sided tests at 1 − level each.

        >>> ComparisonSpec(claim="equal", margin=0.01).interval_level
        0.9
        """
        return self.level if self.claim == "better" else round(2 * self.level - 1, 12)

    def validate(self) -> None:
        """Check the settings that can be checked without data.

        Raises:
            UsageError: no such metric (with the nearest one), a number out of range, or a claim of equality without a
                margin.
        """
        comparable_metric(self.metric)
        for name, word, known in (("rule", self.rule, get_args(Rule)), ("claim", self.claim, get_args(ClaimWord))):
            if word not in known:
                raise UsageError(f"no {name} {word!r}", hint=suggestion(word, known))
        _validate_numbers(self.level, self.conf)
        if not math.isfinite(self.margin):
            raise UsageError("a margin is a number", got=self.margin)
        if self.claim == "equal" and not (self.margin > 0 and self.rule == "interval" and self.level > 0.5):
            raise UsageError(
                "to be equal means to differ by less than a margin, shown by an interval",
                expected="margin above 0, rule interval, level above 0.5", got=(self.margin, self.rule, self.level),
                hint="--claim equal --margin 0.01",
            )  # fmt: skip

    def validate_for(self, truth: Dataset, models: int) -> None:
        """Check the settings against the data and the number of models.

        Raises:
            UsageError: as `validate`; a pose metric or sigmas without keypoints; missing image-level thresholds.
        """
        self.validate()
        pose = truth.labels.keypoints is not None
        comparable_metric(self.metric, pose=pose)
        if self.sigmas is not None and not pose:
            raise UsageError("sigmas need keypoints, and the truth has none", where=truth.source, got=self.sigmas)
        if self.metric in IMAGE_LEVEL and not self.thresholds:
            hint = "--threats gun,knife --threshold 0.4 (in Python: threats=, threshold=)"
            raise UsageError(f"{self.metric} is about whole images: name the classes that are a threat", hint=hint)
        if self.thresholds and len(self.thresholds) != models:
            raise UsageError("every model needs its own threshold", expected=models, got=len(self.thresholds))

    def threshold(self, model: int) -> ImageLevelThreshold | None:
        """Return the image-level threshold of one model, by its index; None where there are none."""
        return self.thresholds[model] if self.thresholds else None

    def of_models(self, *models: int) -> ComparisonSpec:
        """Return the settings restricted to the thresholds of some models, by their indices."""
        return replace(self, thresholds=tuple(self.thresholds[i] for i in models)) if self.thresholds else self

    @classmethod
    def of_gate(cls, gate: Gate, thresholds: tuple[ImageLevelThreshold, ...] = ()) -> ComparisonSpec:
        """Return the comparison that a gate of a study asks for."""
        conf = DEFAULT_CONF if gate.conf is None else gate.conf
        return cls(str(gate.metric), gate.margin, gate.rule, gate.claim, gate.level, conf, thresholds=thresholds)


def _validate_numbers(level: float, conf: float) -> None:
    if not LEAST_LEVEL <= level < 1:
        raise UsageError(f"a level lies between {LEAST_LEVEL:g} and 1", got=level, hint="95% is 0.95, not 0.05")
    if not 0 <= conf <= 1:
        raise UsageError("a confidence threshold lies in 0 … 1", got=conf)
