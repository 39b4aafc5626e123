"""What each metric says in words without a term of statistics: one row for each metric that a gate may name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MetricWords:
    """Sentences about one metric: `{range}` becomes an amount (`8 to 18 more`), `{objects}` what is looked for."""

    difference: str
    """`{range} of 100 {objects} are found`; ` with A than with B` follows."""
    value: str
    """`{range} of 100 {objects} are found`; ` with A` follows."""
    blind_to: str
    """What the metric does not look at, as the end of `it does not say …`"""
    more: str = "more"
    fewer: str = "fewer"
    scale: float = 100.0
    """Factor from the metric to the amount: a share becomes a count out of a hundred"""
    unit: str = ""
    """Unit of a value that stands alone"""


def _share(things: str, outcome: str, blind_to: str) -> MetricWords:
    text = f"{{range}} of 100 {things} {outcome}"
    return MetricWords(text, text, blind_to)


def _points(name: str, blind_to: str) -> MetricWords:
    text = f"the score for {name} (0 to 100) is {{range}}"
    return MetricWords(text, text, blind_to, "points higher", "points lower")


_AP = "how many objects it misses and how many of its finds are false: both depend on how sure it must be"
_AR = "how many false finds come with them"
_OKS = "how far single points are off, or which of them"
_FOUND = "how many false finds come with them"

METRIC_WORDS: dict[str, MetricWords] = {
    "mAP50-95": _points("finding objects and placing boxes", _AP),
    "mAP50": _points("finding objects", f"how tightly boxes fit, {_AP}"),
    "mAP75": _points("finding objects with tight boxes", _AP),
    "mAP_small": _points("finding small objects", _AP),
    "mAP_medium": _points("finding objects of middle size", _AP),
    "mAP_large": _points("finding large objects", _AP),
    "AR_1": _points("finding objects with one find for each image", _AR),
    "AR_10": _points("finding objects with ten finds for each image", _AR),
    "AR_100": _points("finding objects at all", _AR),
    "AR_small": _points("finding small objects at all", _AR),
    "AR_medium": _points("finding objects of middle size at all", _AR),
    "AR_large": _points("finding large objects at all", _AR),
    "recall": _share("{objects}", "are found", _FOUND),
    "precision": _share("finds", "are right", "how many objects are missed"),
    "best_confidence_median": MetricWords(
        "the model's typical sureness of its best find in an image (0 to 100) is {range}",
        "the model's typical sureness of its best find in an image (0 to 100) is {range}",
        "whether these finds are right",
        "points higher",
        "points lower",
    ),
    "false_positives_per_image": MetricWords(
        "there are {range} false finds in 100 images",
        "there are {range} false finds in 100 images",
        "how many objects are missed",
    ),
    "accuracy": _share("images", "are judged right", "which mistakes are made, missed images or false alarms"),
    "detection_rate": _share(
        "images that hold what is looked for", "are noticed", "how many false alarms come with it"
    ),
    "false_alarm_rate": _share(
        "images without what is looked for", "raise a false alarm", "how many images are missed that should raise one"
    ),
    "AUC": _points("telling images with it from images without", "how many are missed, once the model is in use"),
    "ms_per_image": MetricWords(
        "an image takes {range}",
        "an image takes {range}",
        "how good the finds are, and how long an image takes on another machine",
        "ms more",
        "ms less",
        1.0,
        " ms",
    ),
    "PCK@0.05": _share(
        "labelled keypoints",
        "are placed within a twentieth of the object's size",
        "how many false finds there are",
    ),
    "OKS-mAP50-95": _points("placing keypoints", _OKS),
    "OKS-mAP50": _points("placing keypoints roughly", _OKS),
    "OKS-mAP75": _points("placing keypoints closely", _OKS),
    "OKS-mAP_medium": _points("placing keypoints on objects of middle size", _OKS),
    "OKS-mAP_large": _points("placing keypoints on large objects", _OKS),
    "OKS-AR": _points("finding objects by their keypoints", _AR),
    "OKS-AR50": _points("finding objects by rough keypoints", _AR),
    "OKS-AR75": _points("finding objects by close keypoints", _AR),
    "OKS-AR_medium": _points("finding objects of middle size by their keypoints", _AR),
    "OKS-AR_large": _points("finding large objects by their keypoints", _AR),
}


def words_of(metric: str) -> MetricWords:
    """Return the words of a metric; of one that is not known, those of a score without a scale."""
    known = METRIC_WORDS.get(metric)
    name = metric.replace("{", "(").replace("}", ")")
    text = f"{name} is {{range}}"
    return known or MetricWords(text, text, "anything beside that number", "higher", "lower", 1.0)
