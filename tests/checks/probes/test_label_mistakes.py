"""Mistakes are told from what is right by mistakes that are planted beside the labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from judging.test_review import surely
from judging.two_models import Models, two_models
from liftgate.checks.probes.label_mistakes import FLAGGED, LabelMistake, find_mistakes, reach_of
from liftgate.checks.rules.mistakes import overlooked
from liftgate.checks.subject import Subject
from liftgate.data.core.dataset import Dataset

MODELS: Models = two_models(5, groups=60, per_group=4, apart=0.1)


def broken() -> tuple[Dataset, set[int], set[int], set[int]]:
    """A fifteenth of the labels each gone, of another class, and moved; the last two by row, the first by image."""
    labels, rng = MODELS.truth.labels, np.random.default_rng(0)
    gone, wrong, moved = rng.permutation(len(labels))[: 3 * (len(labels) // 15)].reshape(3, -1)
    cls, boxes, kept = labels.cls.copy(), labels.boxes.copy(), np.ones(len(labels), dtype=np.bool_)
    cls[wrong] = 1 - cls[wrong]
    boxes[moved] += 0.45 * np.tile(boxes[moved, 2:] - boxes[moved, :2], 2) * [1, 0.2, 1, 0.2]
    kept[gone] = False
    place = np.cumsum(kept) - 1
    rows = ({int(place[row]) for row in which if kept[row]} for which in (wrong, moved))
    table = replace(labels, cls=cls, boxes=boxes).take(kept)
    return replace(MODELS.truth, labels=table), set(labels.image[gone].tolist()), *rows


def flagged(dataset: Dataset) -> list[LabelMistake]:
    return [one for one in find_mistakes(dataset, MODELS.treatment) if one.suspicion >= FLAGGED]


def test_most_planted_mistakes_are_flagged_and_most_of_what_is_flagged_was_planted() -> None:
    """With a model that overlooks some objects, invents some and confuses 3% of the classes."""
    dataset, gone, wrong, moved = broken()
    found = flagged(dataset)
    right = [one.label in wrong | moved if one.label >= 0 else one.image in gone for one in found]
    assert np.mean(right) > 0.8
    assert sum(one.label in wrong for one in found) > 0.7 * len(wrong)
    assert sum(one.label in moved for one in found) > 0.7 * len(moved)


def test_a_label_is_reported_once_the_most_suspicious_first_and_alike_in_every_call() -> None:
    dataset, *_ = broken()
    found = find_mistakes(dataset, MODELS.treatment)
    rows = [one.label for one in found if one.label >= 0]
    assert len(rows) == len(set(rows))
    assert [one.suspicion for one in found] == sorted((one.suspicion for one in found), reverse=True)
    assert found == find_mistakes(dataset, MODELS.treatment)
    against = {one.kind for one in found if one.detection < 0}
    assert against <= {"spurious"}


def test_crowds_and_ignored_objects_are_never_mistakes() -> None:
    dataset, _, wrong, _ = broken()
    ignore = np.isin(np.arange(len(dataset.labels)), sorted(wrong))
    hidden = replace(dataset, labels=replace(dataset.labels, ignore=ignore))
    assert not wrong & {one.label for one in find_mistakes(hidden, MODELS.treatment)}


def test_labels_and_predictions_of_nothing_have_no_mistakes() -> None:
    nothing = replace(MODELS.truth, labels=MODELS.truth.labels.take(np.zeros(0, dtype=np.int64)))
    assert find_mistakes(nothing, MODELS.treatment) == []


def test_of_a_kind_that_the_model_can_seldom_see_nothing_is_reported() -> None:
    """A model that is torn between the classes of nearly all objects does not show how many labels may be wrong."""
    labels, rng = MODELS.truth.labels, np.random.default_rng(3)
    sure = rng.uniform(size=len(labels)) < 0.15
    torn = np.repeat(np.flatnonzero(~sure), 2)
    row = np.concatenate([torn, np.flatnonzero(sure)])
    cls = np.concatenate(
        [np.tile([0, 1], len(torn) // 2), (labels.cls[sure] + (rng.uniform(size=int(sure.sum())) < 0.1)) % 2]
    )
    scores = np.concatenate([np.full(len(torn), 0.4), np.full(int(sure.sum()), 0.9)]) + rng.normal(0, 0.02, len(row))
    moved = labels.boxes[row] + rng.normal(0, 0.5, (len(row), 4))
    seen = replace(MODELS.treatment, image=labels.image[row], cls=cls, boxes=moved, scores=scores)
    wrong = int((sure[row] & (cls != labels.cls[row])).sum())
    assert wrong >= 5
    assert not [one for one in find_mistakes(MODELS.truth, seen) if one.kind == "class" and one.suspicion >= FLAGGED]


def test_a_model_that_overlooks_the_labels_is_said_to_know_little_of_them() -> None:
    """None suspected by a blind model, or by one that counts classes otherwise, are no right labels."""
    truth = MODELS.truth
    sure = surely(truth)
    turned = replace(sure, cls=(sure.cls + 1) % len(truth.classes))
    faint = replace(sure, scores=np.full(len(sure), 0.1))
    every = len(truth.labels)
    assert [reach_of(truth, one) for one in (sure, turned, faint)] == [
        (every, every, 0),
        (every, 0, every),
        (every, 0, 0),
    ]
    for one, word in ((turned, "more in another class"), (faint, f"finds 0 of {every} labels")):
        (found,) = overlooked(Subject({"made": truth}, predictions={"made": one}))
        assert word in found.message
    assert not list(overlooked(Subject({"made": truth}, predictions={"made": sure})))
