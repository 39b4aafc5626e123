"""The names of the metrics, and what is known of each without any data. No arrays here: records and specs import it."""

from __future__ import annotations

from dataclasses import dataclass

from liftgate.errors import UsageError
from liftgate.suggestions import did_you_mean


@dataclass(frozen=True, slots=True)
class Averaged:
    """A metric that averages over classes and IoU thresholds."""

    kind: str
    """`AP` or `AR`"""
    size: str = "all"
    thresholds: tuple[int, ...] = tuple(range(10))
    """Indices into IOU_THRESHOLDS"""
    max_detections: int = 100


COCO: dict[str, Averaged] = {
    "mAP50-95": Averaged("AP"),
    "mAP50": Averaged("AP", thresholds=(0,)),
    "mAP75": Averaged("AP", thresholds=(5,)),
    "mAP_small": Averaged("AP", "small"),
    "mAP_medium": Averaged("AP", "medium"),
    "mAP_large": Averaged("AP", "large"),
    "AR_1": Averaged("AR", max_detections=1),
    "AR_10": Averaged("AR", max_detections=10),
    "AR_100": Averaged("AR"),
    "AR_small": Averaged("AR", "small"),
    "AR_medium": Averaged("AR", "medium"),
    "AR_large": Averaged("AR", "large"),
}
"""The twelve numbers of COCO's box evaluation, in its order."""

OKS: dict[str, Averaged] = {
    "OKS-mAP50-95": Averaged("AP"),
    "OKS-mAP50": Averaged("AP", thresholds=(0,)),
    "OKS-mAP75": Averaged("AP", thresholds=(5,)),
    "OKS-mAP_medium": Averaged("AP", "medium"),
    "OKS-mAP_large": Averaged("AP", "large"),
    "OKS-AR": Averaged("AR"),
    "OKS-AR50": Averaged("AR", thresholds=(0,)),
    "OKS-AR75": Averaged("AR", thresholds=(5,)),
    "OKS-AR_medium": Averaged("AR", "medium"),
    "OKS-AR_large": Averaged("AR", "large"),
}
"""The ten numbers of COCO's keypoint evaluation, in its order."""

RATES = ("recall", "precision", "best_confidence_median", "false_positives_per_image")
"""At the confidence threshold and IoU 0.5, over all classes together."""

IMAGE_LEVEL = ("accuracy", "detection_rate", "false_alarm_rate", "AUC")
"""Of whole images: is there a threat on it? AUC takes no threshold. See evaluation/image_level.py."""

LATENCY = "ms_per_image"
"""Median time per image as measured while predicting; it is no sample, so it has no interval."""

LESS_IS_BETTER = frozenset({"false_positives_per_image", "false_alarm_rate", LATENCY})


def comparable_metric(name: str, *, pose: bool = True) -> str:
    """Return the name of a metric that two models can be compared by, or raise with the nearest one.

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
