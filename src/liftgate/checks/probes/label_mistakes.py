"""Suspected mistakes in labels, by a model's predictions: objects without a label, empty labels, classes, boxes.

The labels themselves say what a mistake looks like: mistakes are planted beside them, and a regression finds how much
more often their evidence (`mistake_evidence`) occurs among planted mistakes than among the labels as they are. Most of
these are right, but not all, so the most frequent rate of mistakes that the labels allow is estimated from where the
odds are largest. A suspicion is that rate times the odds: at most about the share of mistakes among labels with such
evidence. Labels without a mistake are not told from labels whose most suspicious few are mistakes: there the errors of
the model lead the ranking. A model finds the mistakes of labels that it was not trained on: predictions on its own
training images agree with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import iou
from liftgate.checks.probes.mistake_evidence import AT, SHIFTED, ImageEvidence, image_evidence
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.stats.logistic import fit_logistic, held_out_odds

MistakeKind = Literal["missing", "spurious", "class", "box"]
MISTAKE_KINDS: tuple[MistakeKind, ...] = get_args(MistakeKind)

FLAGGED = 0.5
"""Suspicion from which a mistake is reported"""
LEAST_LABELS = 20
"""Of fewer labels (or detections) nothing is learned"""
_SURE = 0.25
"""Detections below do not count as finding a label"""
_WORTH_KEEPING = 0.02
_LARGEST_RATE = {"missing": 0.25, "spurious": 0.05, "class": 0.15, "box": 0.15}
"""Most that is believed of a kind: labels with more mistakes do not show what is right"""
_PLATEAU = {"missing": 0.75, "spurious": 0.5, "class": 0.25, "box": 0.25}
"""Quantile of the planted mistakes' odds beyond which nearly every label is taken for a mistake"""
_LEAST_SEEN = 0.25
"""Share of planted mistakes of a kind that have to be suspected, or none is reported: chance leads such a ranking"""
_MANY = 500
"""Of so many rows one more changes no fit: below, each is judged by a fit that has not seen it"""
_SHIFT = (0.35, 0.6)
"""How far planted boxes are moved, in widths and heights"""
_SEED = 20_260_104  # fixed: the same labels and predictions give the same findings

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabelMistake:
    """A suspected mistake."""

    kind: MistakeKind
    image: int
    """Index into Dataset.images"""
    label: int
    """Row of the labels; −1: there is none"""
    detection: int
    """Row of the predictions that speaks against the label; −1: none does"""
    suspicion: float
    """At most about the share of mistakes where the evidence is like this"""


@dataclass(frozen=True, slots=True, eq=False)
class _Suspect:
    """A label or a detection with the odds of each kind of mistake."""

    mistake: LabelMistake
    odds: float


def find_mistakes(dataset: Dataset, predictions: Predictions) -> list[LabelMistake]:
    """Return suspected mistakes of the images that were predicted on, the most suspicious first.

    Args:
        dataset: the labels; crowds, ignored objects and images whose labels could not be read are passed over.
        predictions: of a model that was trained on other images, in any of the data set's classes.
    """
    images = list(image_evidence(dataset, predictions))
    found = _suspect_labels(dataset, images) + _suspect_detections(dataset, images)
    found = [one for one in found if one.mistake.suspicion >= _WORTH_KEEPING]
    order = sorted(found, key=lambda one: (-one.odds, one.mistake.image, one.mistake.label, one.mistake.detection))
    return [one.mistake for one in order]


class ModelReach(NamedTuple):
    """How many labels a model finds: what it overlooks it does not judge."""

    labels: int
    found: int
    """With their class, at IoU 0.5 and confidence 0.25"""
    in_another_class: int
    """Of the others, those at whose place it finds another class"""


def reach_of(dataset: Dataset, predictions: Predictions) -> ModelReach:
    """Return how many labels of the images that were predicted on a model finds.

    Args:
        dataset: the labels, as in `find_mistakes`.
        predictions: as in `find_mistakes`.
    """
    counts = np.zeros(3, dtype=np.int64)
    for one in image_evidence(dataset, predictions):
        sure, shown = one.scores >= _SURE, ~one.hidden
        found = (one.found & sure).any(axis=1) & shown
        near = ((iou(one.label_boxes, one.boxes) >= AT) & sure).any(axis=1) & shown
        counts += (int(shown.sum()), int(found.sum()), int((near & ~found).sum()))
    return ModelReach(*counts.tolist())


def _suspect_labels(dataset: Dataset, images: list[ImageEvidence]) -> list[_Suspect]:
    """Return every label, with the kind of mistake that it most likely is."""
    shown = [(one, np.flatnonzero(~one.hidden)) for one in images]
    places = [(one, int(place)) for one, rows in shown for place in rows]
    if not places:
        return []
    planted = _planted(dataset, shown)
    given = _labelled(dataset, [(one, one.label_cls[rows], one.label_boxes[rows], rows) for one, rows in shown])
    kinds = [kind for kind, rows in planted.items() if len(rows)]
    chances = np.stack([_chance(kind, planted[kind], given) for kind in kinds], axis=1)
    suspects = []
    for (one, place), row in zip(places, chances, strict=True):
        # Of few labels the rates are too rough to be added up.
        kind, odds = kinds[int(row.argmax())], float(row.sum() if len(places) >= _MANY else row.max())
        detection = -1 if kind == "spurious" else one.against(place, kind)
        kind = "spurious" if detection < 0 else kind
        suspects.append(
            _Suspect(LabelMistake(kind, one.index, int(one.labels[place]), detection, min(1.0, odds)), odds)
        )
    return suspects


def _chance(kind: MistakeKind, planted: Floats, given: Floats) -> Floats:
    """Return (n,) expected number of mistakes for each label that is there with such evidence; above 1: surely one."""
    if len(given) < LEAST_LABELS:
        return np.zeros(len(given))
    fitted = fit_logistic(planted, given)
    rate = min(_LARGEST_RATE[kind], 1 / float(np.quantile(fitted.odds(planted), _PLATEAU[kind])))
    chance = rate * (held_out_odds(planted, given) if len(given) < _MANY else fitted.odds(given))
    if np.mean(rate * fitted.odds(planted) >= FLAGGED) < _LEAST_SEEN:
        return FLAGGED / 2 * chance / (1 + chance)
    return chance


def _planted(dataset: Dataset, shown: list[tuple[ImageEvidence, Rows]]) -> dict[MistakeKind, Floats]:
    """Return evidence about planted mistakes of each kind, as many as there are labels, or fewer."""
    rng, labels, number = np.random.default_rng(_SEED), dataset.labels, len(dataset.classes)
    parts: dict[MistakeKind, list[tuple[ImageEvidence, Rows, Floats, Rows]]] = {"class": [], "box": [], "spurious": []}
    for one, rows in shown:
        if not (count := len(rows)):
            continue
        cls, boxes = one.label_cls[rows], one.label_boxes[rows]
        if number > 1:
            parts["class"].append((one, (cls + rng.integers(1, number, count)) % number, boxes, rows))
        angle, far = rng.uniform(0, 2 * np.pi, count), rng.uniform(*_SHIFT, count)
        move = np.stack([np.cos(angle), np.sin(angle)], axis=1) * far[:, None] * (boxes[:, 2:] - boxes[:, :2])
        parts["box"].append((one, cls, boxes + np.tile(move, 2), rows))
        other = rng.integers(0, len(labels), count)
        size = np.minimum(labels.boxes[other, 2:] - labels.boxes[other, :2], one.size)
        corner = rng.uniform(size=(count, 2)) * (one.size - size)
        made = np.concatenate([corner, corner + size], axis=1)
        free = iou(made, one.label_boxes).max(axis=1, initial=0.0) < 0.1
        nobody = np.full(int(free.sum()), -1, dtype=np.int64)
        parts["spurious"].append((one, labels.cls[other][free], made[free], nobody))
    return {kind: _labelled(dataset, part) for kind, part in parts.items()}


def _labelled(dataset: Dataset, parts: list[tuple[ImageEvidence, Rows, Floats, Rows]]) -> Floats:
    """Return (n, F) evidence about labels, with their classes as columns."""
    rows = [np.concatenate([one.of_labels(cls, boxes, own), _classes(dataset, cls)], axis=1)
            for one, cls, boxes, own in parts]  # fmt: skip
    return np.concatenate(rows) if rows else np.zeros((0, 0))


def _suspect_detections(dataset: Dataset, images: list[ImageEvidence]) -> list[_Suspect]:
    """Return the detections without a label, compared with those that have one."""
    labels = dataset.labels
    area = np.log(np.prod(labels.boxes[:, 2:] - labels.boxes[:, :2], axis=1) + 1)
    typical = np.array([np.median(area[labels.cls == c]) if (labels.cls == c).any() else 0.0
                        for c in range(len(dataset.classes))])  # fmt: skip
    rows: dict[bool, list[Floats]] = {True: [], False: []}
    places: list[tuple[ImageEvidence, int]] = []
    for one in images:
        for at, matched, evidence in one.of_detections(typical):
            rows[matched].append(np.concatenate([evidence, _classes(dataset, one.cls[[at]])[0]]))
            if not matched:
                places.append((one, at))
    if not rows[True] or not places:
        return []
    chance = _chance_of_object(np.stack(rows[True]), np.stack(rows[False]))
    return [
        _Suspect(LabelMistake("missing", one.index, -1, int(one.detections[at]), min(1.0, float(odds))), float(odds))
        for (one, at), odds in zip(places, chance, strict=True)
    ]


def _chance_of_object(matched: Floats, alone: Floats) -> Floats:
    """Return (n,) expected number of unlabelled objects for each detection that is alone with such evidence."""
    if len(alone) < LEAST_LABELS:  # too few to learn from: an even chance where the model is as sure as of most labels
        clear = (alone[:, 0] >= np.quantile(matched[:, 0], 0.25)) & (alone[:, 1] < SHIFTED[0])
        return np.where(clear, FLAGGED, 0.0)
    fitted, scale = fit_logistic(matched, alone), len(matched) / len(alone)
    plateau = scale * float(np.quantile(fitted.odds(matched), _PLATEAU["missing"]))
    return min(_LARGEST_RATE["missing"], 1 / plateau) * scale * fitted.odds(alone)


def _classes(dataset: Dataset, cls: Rows) -> Floats:
    return np.asarray(cls[:, None] == np.arange(len(dataset.classes))[None, :], dtype=np.float64)
