"""Settings at which the arms of a gate were measured: image size, confidence and IoU, beside its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from liftgate.evaluation.metric_names import IMAGE_LEVEL
from liftgate.evaluation.records import Verdict
from liftgate.evaluation.spec import DEFAULT_CONF
from liftgate.ledger.results import MeasuredAt, PredictResult
from liftgate.study.records import Gate

_MATCH_IOU = 0.5
"""IoU from which a detection has found an object, for rates at a confidence threshold"""


def measured_at(gate: Gate, predicted: PredictResult) -> MeasuredAt:
    """Return the settings that a gate and its predictions have."""
    used = predicted.settings
    at_threshold = any(_is_rate(metric) for metric in (gate.metric, *(claim.metric for claim in gate.claims)))
    return MeasuredAt(
        arm=predicted.arm,
        imgsz=used.get("imgsz"),
        kept_conf=used.get("conf"),
        nms_iou=used.get("iou"),
        predictions=predicted.sha256,
        conf=(DEFAULT_CONF if gate.conf is None else gate.conf) if at_threshold else None,
        iou=_MATCH_IOU if at_threshold else None,
    )


def with_settings(verdict: Verdict, arms: Sequence[MeasuredAt]) -> Verdict:
    """Return the verdict with the settings of its arms in its sentence, and in the first row of its evidence."""
    settings = {"measured_at": [one.to_body() for one in arms]}
    evidence = tuple({**row, **settings} if number == 0 else row for number, row in enumerate(verdict.evidence))
    return replace(verdict, sentence=f"{verdict.sentence} {describe(arms)}", evidence=evidence)


def describe(arms: Sequence[MeasuredAt]) -> str:
    """Return the settings as a sentence; what differs between the arms is said for each.

    >>> describe([MeasuredAt("a", 640, 0.001, 0.7, "", 0.25, 0.5)])
    'Measured at image size 640, confidence 0.25, IoU 0.5 (detections kept from confidence 0.001, NMS IoU 0.7).'
    """
    first = arms[0]
    size = _each([(one.arm, _size(one)) for one in arms])
    kept = f"confidence {_each([(one.arm, _number(one.kept_conf)) for one in arms])}"
    nms = f"NMS IoU {_each([(one.arm, _number(one.nms_iou)) for one in arms])}"
    if first.conf is None:
        return f"Measured at image size {size}, all detections from {kept}, {nms}."
    rates = f"confidence {first.conf:g}, IoU {first.iou:g}"
    return f"Measured at image size {size}, {rates} (detections kept from {kept}, {nms})."


def _is_rate(metric: str | None) -> bool:
    """Return whether a metric depends on a confidence threshold; average precision and recall take all detections."""
    if metric is None or metric in IMAGE_LEVEL:
        return False
    return not metric.removeprefix("OKS-").startswith(("mAP", "AR"))


def _size(one: MeasuredAt) -> str:
    if not one.better_of:
        return _number(one.imgsz)
    values = " and ".join(
        f"{value:.4f} at {size}" if value is not None else f"undefined at {size}" for size, value in one.better_of
    )
    return f"{_number(one.imgsz)}, the better of {values}"


def _each(values: Sequence[tuple[str, str]]) -> str:
    """Return a value once if it is the same of all arms, else with the name of each."""
    if len({value for _, value in values}) == 1:
        return values[0][1]
    return "; ".join(f"{arm} {value}" for arm, value in values)


def _number(value: object) -> str:
    return "not recorded" if value is None else f"{value:g}" if isinstance(value, int | float) else str(value)
