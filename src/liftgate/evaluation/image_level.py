"""Image-level classification: does an image hold an object of a positive class? Its score is its best detection.

The threshold is chosen on val (by F1, by a recall target or by a false-alarm budget) and then frozen for test: chosen
on the test images themselves, it would overstate the result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.alignment import align, known_truth
from liftgate.evaluation.metric_options import ImageLevelThreshold as ImageLevelThreshold
from liftgate.kernels.ordering import distinct

_UNIT_PAIRS_UP_TO = 50  # squared units by images: above, measured, sorted images are quicker than pairs of units
Rule = Literal["f1", "recall", "false_alarms"]
RULES: tuple[Rule, ...] = ("f1", "recall", "false_alarms")


class ThresholdRule(NamedTuple):
    """How a threshold is chosen on val."""

    rule: Rule = "f1"
    target: float | None = None
    """Least detection rate (`recall`) or highest false-alarm rate (`false_alarms`)"""

    @classmethod
    def parse(cls, text: str) -> ThresholdRule:
        """Read `f1`, `recall=0.9` or `false_alarms=0.05`.

        Raises:
            UsageError: `text` is none of these.
        """
        name, equals, number = text.partition("=")
        try:
            target = float(number) if equals else None
        except ValueError:
            target = math.nan
        if name not in RULES or (name == "f1") != (target is None) or (target is not None and not 0 <= target <= 1):
            expected = "a number, f1, recall=0.9 or false_alarms=0.05"
            raise UsageError("a threshold is a number or a rule by which it is chosen", expected=expected, got=text)
        return cls(name, target)

    def __str__(self) -> str:
        return self.rule if self.target is None else f"{self.rule}={self.target:g}"


@dataclass(frozen=True, slots=True, eq=False)
class ImageLevelScores:
    """Label and score of each image."""

    score: NDArray[np.float64]
    """(n,) best detection of a positive class; 0 without one"""
    positive: NDArray[np.bool_]
    """(n,) whether an object of a positive class is on the image"""
    threshold: float = math.inf
    """An image is flagged at score ≥ threshold"""

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """(n,) whether the score reaches the threshold."""
        return self.score >= self.threshold


def image_level_scores(truth: Dataset, predictions: Predictions, threshold: ImageLevelThreshold) -> ImageLevelScores:
    """Reduce detections to one score per image: the best detection of a positive class.

    Raises:
        UsageError: a positive class is no class of the truth, or as `evaluate`.
    """
    unknown = sorted(set(threshold.threats) - set(truth.classes))
    if unknown or not threshold.threats:
        got = ", ".join(unknown) or "none"
        raise UsageError("threats are classes of the truth", expected=", ".join(truth.classes), got=got)
    predictions = align(truth, predictions)
    place = {image.id: index for index, image in enumerate(truth.images)}
    image = np.array([place[id_] for id_ in predictions.images], dtype=np.int64)[predictions.image]
    threat = np.isin(np.arange(len(truth.classes)), [truth.classes.index(name) for name in threshold.threats])
    score, positive = np.zeros(len(truth.images)), np.zeros(len(truth.images), dtype=np.bool_)
    wanted = threat[predictions.cls]
    np.maximum.at(score, image[wanted], predictions.scores[wanted])
    positive[truth.labels.image[threat[truth.labels.cls]]] = True
    return ImageLevelScores(score, positive, threshold.threshold)


def screening_record(truth: Dataset, threshold: ImageLevelThreshold, scores: ImageLevelScores) -> dict[str, object]:
    """Return the threshold and how many images it flagged: with a threat, without one, and with each class of threat.

    An image with several classes of threat counts once for each of them in `threats_found`: it was flagged, whichever
    of them the detection was of.
    """
    flagged, positive = scores.flagged, scores.positive
    found = {}
    for name in threshold.threats:
        has = np.zeros(len(truth.images), dtype=np.bool_)
        has[truth.labels.image[truth.labels.cls == truth.classes.index(name)]] = True
        found[name] = {"n_images": int(has.sum()), "n_flagged": int((has & flagged).sum())}
    return asdict(threshold) | {
        "threats": list(threshold.threats),
        "n_with_threat": int(positive.sum()),
        "n_found": int((positive & flagged).sum()),
        "n_without_threat": int((~positive).sum()),
        "n_false_alarms": int((~positive & flagged).sum()),
        "threats_found": found,
    }


def choose_image_threshold(
    truth: Dataset, predictions: Predictions, threats: Sequence[str], choice: ThresholdRule
) -> ImageLevelThreshold:
    """Choose a threshold on val, to be frozen for test; images whose labels could not be read are left out.

    Raises:
        UsageError: no threshold meets the target, or as `image_level_scores`.
    """
    truth = known_truth(truth).truth
    val = image_level_scores(truth, predictions, ImageLevelThreshold(tuple(threats), math.inf))
    threshold = choose_threshold(val, choice)
    return ImageLevelThreshold(tuple(threats), threshold, f"by {choice} on {len(truth.images)} images of val")


def choose_threshold(val: ImageLevelScores, choice: ThresholdRule = ThresholdRule()) -> float:  # noqa: B008
    """Return the threshold that the rule picks on val, among the scores that occur.

    `f1`: the best F1. `recall`: the highest threshold whose detection rate reaches the target. `false_alarms`: the
    lowest threshold whose false-alarm rate stays within it.

    Raises:
        UsageError: no threshold meets the target, the rule needs one, or val has images of one kind only.
    """
    rule, target = choice
    if not val.positive.any() or val.positive.all():
        raise UsageError("choosing a threshold takes images with and without a threat")
    if (rule == "f1") != (target is None):
        raise UsageError(f"the rule {rule} {'takes no' if rule == 'f1' else 'needs a'} target", got=target)
    if target is not None and not 0 <= target <= 1:
        raise UsageError("a target is a rate", expected="0 to 1", got=target)
    thresholds = np.append(distinct(val.score[val.score > 0]), math.nextafter(1.0, 2.0))
    positives, negatives = np.sort(val.score[val.positive]), np.sort(val.score[~val.positive])
    hits = len(positives) - np.searchsorted(positives, thresholds)
    alarms = len(negatives) - np.searchsorted(negatives, thresholds)
    if target is None:
        return float(thresholds[np.argmax(2 * hits / (hits + alarms + len(positives)))])
    good = hits / len(positives) >= target if rule == "recall" else alarms / len(negatives) <= target
    if not good.any():
        best = f"at best {hits.max() / len(positives):.3f}"
        raise UsageError("no threshold reaches the target", expected=target, got=best)
    return float(thresholds[good][-1 if rule == "recall" else 0])


def image_level_fraction(scores: ImageLevelScores, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return numerator and denominator, each (n,), of accuracy, detection rate or false-alarm rate, per image."""
    flagged, positive = scores.flagged, scores.positive
    top, bottom = {
        "accuracy": (flagged == positive, np.ones_like(positive)),
        "detection_rate": (flagged & positive, positive),
        "false_alarm_rate": (flagged & ~positive, ~positive),
    }[name]
    return top.astype(np.int64), bottom.astype(np.int64)


def image_level_rate(
    scores: ImageLevelScores, name: str, unit: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return one of IMAGE_LEVEL under every weighting (U, L), shape (L,); NaN where there is nothing to count."""
    if name == "AUC":
        return _auc(scores.positive, scores.score, unit, weights)
    top, bottom = (
        np.bincount(unit, column, minlength=len(weights)) @ weights for column in image_level_fraction(scores, name)
    )
    ratio: NDArray[np.float64] = np.divide(top, bottom, out=np.full(weights.shape[1], np.nan), where=bottom > 0)
    return ratio


def _auc(
    positive: NDArray[np.bool_], score: NDArray[np.float64], unit: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return P(score of a positive > score of a negative), ties counted half, under every weighting."""
    if len(weights) ** 2 < _UNIT_PAIRS_UP_TO * len(score):
        return _auc_of_unit_pairs(positive, score, unit, weights)
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    first_of_step = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(order)])
    out = np.full(weights.shape[1], np.nan)
    block = max(1, 2 * 10**6 // max(1, len(order)))  # to bound the memory of (images, columns) arrays
    for first in range(0, weights.shape[1] if len(order) else 0, block):
        columns = weights[unit[order], first : first + block]
        kind = positive[order, None]
        above, below = (np.add.reduceat(np.where(mask, columns, 0.0), first_of_step) for mask in (kind, ~kind))
        pairs = above.sum(axis=0) * below.sum(axis=0)
        won = (above * (np.cumsum(below, axis=0) - below / 2)).sum(axis=0)
        np.divide(won, pairs, out=out[first : first + block], where=pairs > 0)
    return out


def _auc_of_unit_pairs(
    positive: NDArray[np.bool_], score: NDArray[np.float64], unit: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return `_auc` from the pairs of images that each pair of units wins: quick where units are few."""
    number = len(weights) + 1  # the last holds the images outside of all units
    below = score[~positive]
    order = np.argsort(below, kind="stable")
    reached = np.zeros((len(order) + 1, number))
    reached[np.arange(1, len(order) + 1), unit[~positive][order]] = 1
    np.cumsum(reached, axis=0, out=reached)
    place = [np.searchsorted(below[order], score[positive], side) for side in ("left", "right")]
    of_unit = np.zeros((number, int(positive.sum())))
    of_unit[unit[positive], np.arange(of_unit.shape[1])] = 1
    pairs = (of_unit @ ((reached[place[0]] + reached[place[1]]) / 2))[:-1, :-1]
    won = (weights * (pairs @ weights)).sum(axis=0)
    all_pairs = (of_unit.sum(axis=1)[:-1] @ weights) * (reached[-1, :-1] @ weights)
    result: NDArray[np.float64] = np.divide(won, all_pairs, out=np.full(len(won), np.nan), where=all_pairs > 0)
    return result


def roc_auc(positive: ArrayLike, score: ArrayLike, max_fpr: float = 1.0) -> float | None:
    """Return the area under the ROC curve; for `max_fpr` < 1 the partial area, scaled to 0.5 at chance (McClish 1989).

    None where there are no positives or no negatives.

    >>> roc_auc([0, 0, 1, 1], [.1, .4, .35, .8]), round(roc_auc([0, 0, 1, 1], [.1, .4, .35, .8], 0.5), 4)
    (0.75, 0.6667)
    """
    truth, value = np.asarray(positive, dtype=np.bool_), np.asarray(score, dtype=np.float64)
    if truth.all() or not truth.any():
        return None
    steps = distinct(value)[::-1]
    tpr, fpr = (
        np.append(0.0, (kind.sum() - np.searchsorted(np.sort(value[kind]), steps)) / kind.sum())
        for kind in (truth, ~truth)
    )
    inside = fpr <= max_fpr
    edge = np.interp(max_fpr, fpr, tpr)  # of points that share one fpr, the highest
    area = float(np.trapezoid(np.append(tpr[inside], edge), np.append(fpr[inside], max_fpr)))
    if max_fpr == 1.0:
        return area
    chance = max_fpr**2 / 2
    return (1 + (area - chance) / (max_fpr - chance)) / 2
