"""The keys of a gate in study.yaml, and the base of all keys (pydantic)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from liftgate.study.value_types import ArmName, ArmOrWinner, Fraction, Metric, Name, Text, one_or_more
from liftgate.study.vocabulary import EXPORT_FORMATS, EXPORT_PRECISIONS


class Keys(BaseModel):
    """A mapping of known keys."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class ClaimKeys(Keys):
    """A fixed number that an arm must reach, or stay under."""

    metric: Metric = Field(description="The metric.")
    at_least: float | None = Field(default=None, description="The arm's metric must be at least this.")
    at_most: float | None = Field(
        default=None, description="It must be at most this: for false_positives_per_image, where less is better."
    )


class ThresholdKeys(Keys):
    """A threshold that is chosen on another split, each arm's on its own predictions there, and then frozen."""

    on: Text = Field(description="Where it is chosen: DATASET.SPLIT, for example bench.val; never where it judges.")
    by: Literal["f1", "recall", "false_alarms"] = Field(
        default="f1",
        description="f1: the best F1. recall: the highest threshold whose detection rate reaches `target`. "
        "false_alarms: the lowest whose false-alarm rate stays within `target`.",
    )
    target: Fraction | None = Field(default=None, description="For recall and false_alarms.")


def _threshold_form(value: object) -> str:
    return "rule" if isinstance(value, dict | ThresholdKeys) else "number"


ThresholdKey = Annotated[
    Annotated[float, Tag("number")] | Annotated[ThresholdKeys, Tag("rule")], Discriminator(_threshold_form)
]


class GateKeys(Keys):
    """One gate: a rule written before the numbers exist.

    Either a comparison (`treatment`, `control`, `metric`, `margin`), or claims about one arm (`arm`, `claims`), or that
    its exports are equal to its weights (`arm`, `formats`, `precisions`, `margin`).
    """

    on: Text = Field(description="Where it is measured: DATASET.SPLIT, for example bench.test.")
    metric: Metric | None = Field(default=None, description="Comparison: the metric to compare.")
    treatment: ArmName | None = Field(default=None, description="Comparison: the arm that is to be better.")
    control: ArmName | None = Field(default=None, description="Comparison: the arm that it is compared with.")
    treatments: Annotated[list[ArmName], Field(min_length=2)] | None = Field(
        default=None,
        description="Instead of treatment: several arms against one control. One gate for each, GATE-ARM; with n of "
        "them, each at 1 − (1 − level) / n (Bonferroni), so that the best of many is no accident.",
    )
    ablation: Name | None = Field(
        default=None,
        description="Instead of treatment and control: an arm with `ablate`. One gate for each of its variants, "
        "GATE-ARGUMENT-VALUE, each against the arm itself; with n of them, each at 1 − (1 − level) / n (Bonferroni).",
    )
    margin: Annotated[float, Field(ge=-1, le=1)] = Field(
        default=0.0, description="Comparison: how much better it must be (0.01 is one point)."
    )
    claim: Literal["better", "equal"] = Field(
        default="better",
        description="Comparison: what is to be shown. equal: they differ by less than `margin`, by two one-sided tests "
        "at 1 − level each (no significant difference is not that).",
    )
    differ: Annotated[list[Text], BeforeValidator(one_or_more)] = Field(
        default=[],
        description="Comparison: the one thing in which the arms are meant to differ: stages, data, weights, select, "
        "recipe, recipe.NAME, or backend (and with it recipe and weights). "
        "Anything else that differs makes the comparison confounded.",
        json_schema_extra={"type": ["array", "string"]},
    )
    arm: ArmOrWinner | None = Field(
        default=None,
        description="Claims: the arm that they are about. winner(phase1, phase2): of these arms the one that is best "
        "on val, by the metric in `select` (else mAP50) at its best epoch; an arm that was stopped or never trained "
        "takes no part.",
    )
    claims: list[ClaimKeys] = Field(default=[], description="Claims: all must hold; the verdict is the worst of them.")
    formats: Annotated[list[Text], BeforeValidator(one_or_more)] | None = Field(
        default=None,
        description="Exports: formats in which the model of `arm` is exported, each of which has to differ from its "
        "weights by less than `margin` in mAP50-95 (and OKS-mAP50-95 of a pose model), on the same images: of "
        f"{', '.join(EXPORT_FORMATS)}.",
        json_schema_extra={"type": ["array", "string"]},
    )
    precisions: Annotated[list[Text], BeforeValidator(one_or_more)] | None = Field(
        default=None,
        description=f"Exports: of {', '.join(EXPORT_PRECISIONS)}, each of every format (default: fp32).",
        json_schema_extra={"type": ["array", "string"]},
    )
    rule: Literal["interval", "point"] = Field(
        default="interval",
        description="interval: the whole interval decides. point: point values only, for replaying published gates.",
    )
    published: Text | None = Field(
        default=None,
        description="With rule: point: where the rule was published, as the report names it. The gate is then replayed "
        "as it was, also on fewer than five groups, where point values do not pass otherwise; the verdict says so.",
    )
    level: Annotated[float, Field(ge=0.5, lt=1)] = Field(0.95, description="Confidence level of the interval.")
    conf: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        default=None, description="Confidence threshold of recall, precision and rates per image; default 0.25."
    )
    threats: list[Text] = Field(
        default=[],
        description="For metrics of whole images (accuracy, detection_rate, false_alarm_rate, AUC): the classes that "
        "are a threat. The score of an image is its best detection of one.",
    )
    threshold: ThresholdKey | None = Field(
        default=None,
        description="From which score on an image is flagged: a number, or a rule to choose it on another split: "
        "{on: bench.val, by: false_alarms, target: 0.05}.",
    )
    by: Text | None = Field(
        default=None,
        description="Slices in which every metric is measured too, for the report: FILE.csv#COLUMN, a regular "
        "expression with one (?P<name>…), folder, exif, name-time or group. They have no part in the verdict.",
    )
    forget_at_most: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None,
        description="How far the score on old data (see `remember`) may fall: FAIL when it surely falls further. "
        "Default: forgetting is reported with the verdict and not judged.",
    )
    label_errors: Annotated[float, Field(gt=0, lt=0.5)] | None = Field(
        default=None,
        description="Comparison: the largest share of the labels of each class that may be wrong (0.01 is 1%). The "
        "verdict then holds whatever these labels should have been, even if all are in one arm's favour; with several "
        "seeds, in each of them. For metrics of boxes, by the interval rule.",
    )
