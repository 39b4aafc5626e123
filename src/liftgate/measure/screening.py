"""Image-level screening: is there a threat on this image? Score = best detection of a threat class.

The threshold is chosen on val (by F1, by a recall target or by a false-alarm budget) and then frozen for test: chosen
on the images it is judged by, it flatters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liftgate.data.dataset import Dataset
from liftgate.data.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.measure.evaluation import covering
from liftgate.stats.interval import Interval
from liftgate.stats.rates import korn_graubard

Rule = Literal["f1", "recall", "false_alarms"]


@dataclass(frozen=True, slots=True, eq=False)
class Screening:
    """What is on each image and how sure the model is of it."""

    score: NDArray[np.float64]
    """(n,) best detection of a threat class; 0 without one"""
    positive: NDArray[np.bool_]
    """(n,) whether a threat is on the image"""
    group: NDArray[np.int64]
    """(n,) index of the image's group"""


@dataclass(frozen=True, slots=True)
class ScreeningResult:
    """Rates per image at a frozen threshold; None where there is nothing to count."""

    threshold: float
    accuracy: Interval
    detection_rate: Interval | None
    false_alarm_rate: Interval | None
    auc: float | None


def screening(truth: Dataset, predictions: Predictions, threats: Sequence[str]) -> Screening:
    """Reduce detections to one score per image.

    Raises:
        UsageError: a threat is no class of the truth, or as `evaluate`.
    """
    unknown = sorted(set(threats) - set(truth.classes))
    if unknown or not threats:
        raise UsageError("threats are classes of the truth", expected=", ".join(truth.classes), got=", ".join(unknown))
    predictions = covering(truth, predictions)
    place = {image.id: index for index, image in enumerate(truth.images)}
    image = np.array([place[id_] for id_ in predictions.images], dtype=np.int64)[predictions.image]
    threat = np.isin(np.arange(len(truth.classes)), [truth.classes.index(name) for name in threats])
    score, positive = np.zeros(len(truth.images)), np.zeros(len(truth.images), dtype=np.bool_)
    wanted = threat[predictions.cls]
    np.maximum.at(score, image[wanted], predictions.scores[wanted])
    positive[truth.labels.image[threat[truth.labels.cls]]] = True
    _, group = np.unique(np.array(truth.groups, dtype=object).astype(str), return_inverse=True)
    return Screening(score, positive, group.astype(np.int64))


def choose_threshold(val: Screening, rule: Rule = "f1", target: float | None = None) -> float:
    """The threshold, among the scores that occur, that the rule picks on val. An image is flagged at score ≥ threshold.

    `f1`: the best F1. `recall`: the highest threshold whose detection rate reaches `target`. `false_alarms`: the lowest
    threshold whose false-alarm rate stays within `target`.

    Raises:
        UsageError: no threshold does, or the rule needs a target.
    """
    if not val.positive.any() or val.positive.all():
        raise UsageError("choosing a threshold takes images with and without a threat")
    thresholds = np.append(np.unique(val.score[val.score > 0]), math.nextafter(1.0, 2.0))
    hits = np.array([np.sum(val.positive & (val.score >= t)) for t in thresholds])
    alarms = np.array([np.sum(~val.positive & (val.score >= t)) for t in thresholds])
    positives, negatives = int(val.positive.sum()), int((~val.positive).sum())
    if rule == "f1":
        return float(thresholds[np.argmax(2 * hits / (hits + alarms + positives))])
    if target is None:
        raise UsageError(f"the rule {rule} needs a target")
    good = hits / positives >= target if rule == "recall" else alarms / negatives <= target
    if not good.any():
        raise UsageError(
            "no threshold reaches the target", expected=target, got=f"at best {hits.max() / positives:.3f}"
        )
    return float(thresholds[good][-1 if rule == "recall" else 0])


def screen(test: Screening, threshold: float, level: float = 0.95) -> ScreeningResult:
    """Accuracy, detection rate and false-alarm rate per image at a threshold that was chosen elsewhere."""
    flagged = test.score >= threshold

    def rate(of: NDArray[np.bool_], hit: NDArray[np.bool_]) -> Interval | None:
        if not of.any():
            return None
        groups = int(test.group.max()) + 1
        k, n = (np.bincount(test.group, column, minlength=groups) for column in (of & hit, of))
        return korn_graubard(k, n, level)

    everything = rate(np.ones_like(flagged), flagged == test.positive)
    if everything is None:
        raise UsageError("no images to screen")
    return ScreeningResult(
        threshold,
        everything,
        rate(test.positive, flagged),
        rate(~test.positive, flagged),
        roc_auc(test.positive, test.score),
    )


def roc_auc(positive: ArrayLike, score: ArrayLike, max_fpr: float = 1.0) -> float | None:
    """Area under the ROC curve; for `max_fpr` < 1 the partial area, scaled so that chance is one half (McClish 1989).

    None where one of the two kinds is missing.

    >>> roc_auc([0, 0, 1, 1], [.1, .4, .35, .8]), round(roc_auc([0, 0, 1, 1], [.1, .4, .35, .8], 0.5), 4)
    (0.75, 0.6667)
    """
    truth, value = np.asarray(positive, dtype=np.bool_), np.asarray(score, dtype=np.float64)
    if truth.all() or not truth.any():
        return None
    steps = np.unique(value)[::-1]
    tpr = np.array([0.0, *((value[truth] >= t).mean() for t in steps)])
    fpr = np.array([0.0, *((value[~truth] >= t).mean() for t in steps)])
    inside = fpr <= max_fpr
    edge = np.interp(max_fpr, fpr, tpr)  # of points that share one fpr, the highest
    area = float(np.trapezoid(np.append(tpr[inside], edge), np.append(fpr[inside], max_fpr)))
    if max_fpr == 1.0:
        return area
    chance = max_fpr**2 / 2
    return (1 + (area - chance) / (max_fpr - chance)) / 2
