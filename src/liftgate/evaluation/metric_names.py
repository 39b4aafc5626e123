"""Names of the metrics and their definitions. No arrays here: records and specs import this module."""

from __future__ import annotations

from typing import NamedTuple

from liftgate.errors import UsageError
from liftgate.suggestions import did_you_mean


class AveragedMetric(NamedTuple):
    """A metric that averages over classes and IoU thresholds."""

    kind: str
    """`AP` or `AR`"""
    size: str = "all"
    thresholds: tuple[int, ...] = tuple(range(10))
    """Indices into IOU_THRESHOLDS"""
    max_detections: int = 100

    @property
    def computed(self) -> Computed:
        """What it is a mean of, by class and IoU threshold; several metrics share it."""
        return Computed(self.kind, self.size, self.max_detections)


class Computed(NamedTuple):
    """AP or recall in a size range, of every class and at every IoU threshold."""

    kind: str
    """`AP` or `AR`"""
    size: str
    max_detections: int


COCO: dict[str, AveragedMetric] = {
    "mAP50-95": AveragedMetric("AP"),
    "mAP50": AveragedMetric("AP", thresholds=(0,)),
    "mAP75": AveragedMetric("AP", thresholds=(5,)),
    "mAP_small": AveragedMetric("AP", "small"),
    "mAP_medium": AveragedMetric("AP", "medium"),
    "mAP_large": AveragedMetric("AP", "large"),
    "AR_1": AveragedMetric("AR", max_detections=1),
    "AR_10": AveragedMetric("AR", max_detections=10),
    "AR_100": AveragedMetric("AR"),
    "AR_small": AveragedMetric("AR", "small"),
    "AR_medium": AveragedMetric("AR", "medium"),
    "AR_large": AveragedMetric("AR", "large"),
}
"""The twelve numbers of COCO's box evaluation, in its order."""

OKS: dict[str, AveragedMetric] = {
    "OKS-mAP50-95": AveragedMetric("AP"),
    "OKS-mAP50": AveragedMetric("AP", thresholds=(0,)),
    "OKS-mAP75": AveragedMetric("AP", thresholds=(5,)),
    "OKS-mAP_medium": AveragedMetric("AP", "medium"),
    "OKS-mAP_large": AveragedMetric("AP", "large"),
    "OKS-AR": AveragedMetric("AR"),
    "OKS-AR50": AveragedMetric("AR", thresholds=(0,)),
    "OKS-AR75": AveragedMetric("AR", thresholds=(5,)),
    "OKS-AR_medium": AveragedMetric("AR", "medium"),
    "OKS-AR_large": AveragedMetric("AR", "large"),
}
"""The ten numbers of COCO's keypoint evaluation, in its order."""

RATES = ("recall", "precision", "best_confidence_median", "false_positives_per_image")
"""Rates at the confidence threshold and IoU 0.5, over all classes together."""

IMAGE_LEVEL = ("accuracy", "detection_rate", "false_alarm_rate", "AUC")
"""Metrics of whole images: is there an object of a positive class? AUC needs no threshold. See image_level.py."""

LATENCY = "ms_per_image"
"""Median time per image, in ms, as measured during prediction; one number, so it has no interval."""

LESS_IS_BETTER = frozenset({"false_positives_per_image", "false_alarm_rate", LATENCY})


def comparable_metric(name: str, *, pose: bool = True) -> str:
    """Return `name` if two models can be compared by this metric; else raise, with the nearest name.

    Args:
        name: as in `Evaluation.metrics`.
        pose: whether the metrics of keypoints are among them.

    Raises:
        UsageError: no such metric.
    """
    names = [*COCO, *RATES, *IMAGE_LEVEL, *(OKS if pose else ())]
    if name in names:
        return name
    raise UsageError(f"no metric {name!r}", expected=", ".join(names), hint=did_you_mean(name, names, cutoff=0.4))
