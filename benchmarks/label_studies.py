"""Made-up and resampled studies of two models, and a person who answers by the labels; for benchmarks/labels.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.core.predictions import Predictions
from liftgate.evaluation.matching import match
from liftgate.judging.answers import Answer
from liftgate.judging.draw import MISSED, Draw

CONF = 0.25


class Models(NamedTuple):
    truth: Dataset
    control: Predictions
    treatment: Predictions


KINDS = {
    "near": {"apart": 0.15, "made_up": 0.1, "shift": (0.05, 0.015), "skill": (1.0, 1.25), "taste": 0.1},
    "middle": {"apart": 0.4, "made_up": 0.3, "shift": (0.05, 0.02), "skill": (1.0, 1.3), "taste": 0.15},
    "far": {"apart": 1.0, "made_up": 0.6, "shift": (0.05, 0.03), "skill": (0.6, 1.2), "taste": 0.15},
}


def simulated(rng: np.random.Generator, groups: int, sizes: str, kind: str, per_group: int = 12) -> Models:
    """Two models on made-up videos."""
    how = KINDS[kind]
    number = np.full(groups, per_group)
    if sizes == "zipf":
        share = 1 / np.arange(1, groups + 1)
        number = np.maximum(2, (groups * per_group * share / share.sum()).astype(int))
    images: list[Image] = []
    labels: list[tuple[float, ...]] = []
    found: tuple[list[tuple[float, ...]], ...] = ([], [])
    for group in range(groups):
        hard, taste = rng.normal(0, 0.6), rng.normal(0, how["taste"])
        for frame in range(number[group]):
            index, name = len(images), f"g{group:04d}_{frame:03d}.jpg"
            images.append(Image(name, Path("/x"), 640, 640, group=f"g{group:04d}", label=Path("/x")))
            places = rng.permutation(36)
            objects = min(30, int(rng.poisson(3)))
            for place in places[:objects]:
                box, cls = _box(place, rng), int(rng.integers(2))
                labels.append((index, cls, *box))
                size = np.tile(box[2:] - box[:2], 2)
                effort, shared = rng.normal(hard, 1), rng.normal(0, how["shift"][0], 4)
                for model, own in enumerate(found):
                    ease = how["skill"][model] - effort + rng.normal(0, how["apart"]) + (taste if model else -taste)
                    if ease > -2:
                        moved = 2 * size * (shared + rng.normal(0, how["shift"][1], 4))
                        seen = cls if rng.uniform() > 0.05 else 1 - cls
                        own.append((index, seen, *(box + moved), 1 / (1 + np.exp(-1.2 * ease))))
            for place in places[objects : objects + rng.poisson(0.2)]:  # both models take it for something
                box, cls = _box(place, rng), int(rng.integers(2))
                for own in found:
                    own.append((index, cls, *(box + rng.normal(0, 3, 4)), rng.uniform(0.15, 0.7)))
            for own in found:
                for place in rng.permutation(places[32:])[: rng.poisson(how["made_up"])]:
                    own.append((index, int(rng.integers(2)), *_box(place, rng), rng.uniform(0.15, 0.6)))
    table = np.array(labels)
    columns = (table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2:])
    truth = Dataset("made", Path("/x"), Path("/x/d.yaml"), "yolo", ("a", "b"), tuple(images), Labels.build(*columns))
    return Models(truth, *(_predictions(truth, np.array(rows)) for rows in found))


def _box(place: int, rng: np.random.Generator) -> NDArray[np.float64]:
    left, top = 100 * (place % 6) + 20, 100 * (place // 6) + 20
    width, height = rng.uniform(40, 80, 2)
    return np.array([left, top, left + width, top + height])


def _predictions(truth: Dataset, rows: NDArray[np.float64]) -> Predictions:
    names = tuple(image.id for image in truth.images)
    whole = rows[:, :2].astype(np.int64)
    return Predictions(names, truth.classes, whole[:, 0], whole[:, 1], rows[:, 2:6], rows[:, 6])


def resampled(models: Models, rng: np.random.Generator, groups: int | None = None) -> Models:
    """Groups drawn with replacement; a group that is drawn twice is two groups."""
    keys = np.array(models.truth.groups, dtype=object)
    names = np.unique(keys.astype(str))
    chosen = rng.choice(names, groups or len(names))
    index = np.concatenate([np.flatnonzero(keys == name) for name in chosen])
    copy = np.repeat(np.arange(len(chosen)), [int((keys == name).sum()) for name in chosen])
    images = tuple(
        replace(models.truth.images[i], id=f"{c}/{models.truth.images[i].id}", group=f"{c}", coco_id=None)
        for i, c in zip(index, copy, strict=True)
    )
    rows, image = _rows_of(models.truth.labels.image, index)
    labels = replace(models.truth.labels.take(rows), image=image)
    truth = replace(models.truth, images=images, labels=labels)
    return Models(truth, *(_taken(one, truth, index) for one in models[1:]))


def _taken(predictions: Predictions, truth: Dataset, index: NDArray[np.int64]) -> Predictions:
    rows, image = _rows_of(predictions.image, index)
    columns = (predictions.cls[rows], predictions.boxes[rows], predictions.scores[rows])
    return Predictions(tuple(one.id for one in truth.images), predictions.classes, image, *columns)


def _rows_of(image: NDArray[np.int64], index: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    parts = [np.flatnonzero(image == i) for i in index]
    place = np.repeat(np.arange(len(index)), [len(part) for part in parts])
    return np.concatenate(parts), place


def judge_by_labels(models: Models, draw: Draw) -> list[Answer]:
    """Answers of a person who knows the labels."""
    right, found = {}, np.zeros(len(models.truth.labels), dtype=np.bool_)
    for name, one in (("control", models.control), ("treatment", models.treatment)):
        table = match(models.truth, one)
        hits = (table.score >= CONF) & (table.hit[0] & 1 != 0) & (table.skip[0] & 1 == 0)
        right[name] = np.zeros(len(one), dtype=np.bool_)
        right[name][table.row[hits]] = True
        found[table.found[hits]] = True
    counted = ~(models.truth.labels.crowd | models.truth.labels.ignore)
    missed = np.bincount(models.truth.labels.image[~found & counted], minlength=len(models.truth.images))
    pair = {(True, True): "both", (True, False): "first", (False, True): "second", (False, False): "neither"}
    answers = []
    for question in draw.questions:
        if question.kind == MISSED:
            word = str(missed[question.image])
        else:
            rows = {"control": draw.units.control[question.unit], "treatment": draw.units.treatment[question.unit]}
            fits = tuple(bool(right[mark.model][rows[mark.model]]) for mark in question.marks)
            word = pair[fits] if len(fits) == 2 else ("yes" if fits[0] else "no")
        answers.append(Answer(question.id, word, "labels", None))
    return answers
