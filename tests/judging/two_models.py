"""A truth, two models on it, and a person who answers by the truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.core.predictions import Predictions
from liftgate.evaluation.matching import match
from liftgate.judging.answers import Answer
from liftgate.judging.draw import MISSED, Draw, DrawnModel, draw_questions
from liftgate.judging.pairing import pair_detections

CONF = 0.25


class Models(NamedTuple):
    truth: Dataset
    control: Predictions
    treatment: Predictions


def two_models(
    seed: int, groups: int = 20, per_group: int = 6, *, apart: float = 0.4, gain: float = 0.3, objects: float = 3
) -> Models:
    """Two models that find most of the same objects, in groups that differ in how hard they are."""
    rng = np.random.default_rng(seed)
    images, labels, found = [], [], ([], [])
    for group in range(groups):
        hard, taste = rng.normal(0, 0.6), rng.normal(0, 0.15)
        for frame in range(per_group):
            index = len(images)
            name = f"g{group:02d}_{frame:03d}.jpg"
            images.append(Image(name, Path("/nowhere") / name, 640, 640, group=f"g{group:02d}", label=Path("/nowhere")))
            places = rng.permutation(36)
            number = int(rng.poisson(objects))
            for place in places[:number]:
                box, cls = box_in(place, rng), int(rng.integers(2))
                labels.append((index, cls, *box))
                effort, shift = rng.normal(hard, 1), rng.normal(0, 3, 4)
                for model, own in enumerate(found):
                    ease = 1 + gain * model - effort + rng.normal(0, apart) + (taste if model else -taste)
                    if ease > -2:
                        score = 1 / (1 + np.exp(-1.2 * ease))
                        seen = cls if rng.uniform() > 0.03 else 1 - cls
                        own.append((index, seen, *(box + shift + rng.normal(0, 3, 4)), score))
            for model, own in enumerate(found):
                for _ in range(rng.poisson(0.2)):
                    own.append(
                        (index, int(rng.integers(2)), *box_in(places[number + model], rng), rng.uniform(0.2, 0.6))
                    )
    table = np.array(labels)
    where = Path("/nowhere/data.yaml")
    columns = (table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2:])
    truth = Dataset("made", where.parent, where, "yolo", ("cat", "dog"), tuple(images), Labels.build(*columns))
    return Models(truth, *(predictions(truth, rows) for rows in found))


def predictions(truth: Dataset, rows: list[tuple[float, ...]]) -> Predictions:
    table = np.array(rows, dtype=np.float64).reshape(-1, 7)
    whole = table[:, :2].astype(np.int64)
    names = tuple(image.id for image in truth.images)
    return Predictions(names, truth.classes, whole[:, 0], whole[:, 1], table[:, 2:6], table[:, 6])


def box_in(place: int, rng: np.random.Generator) -> NDArray[np.float64]:
    left, top = 100 * (place % 6) + 20, 100 * (place // 6) + 20
    width, height = rng.uniform(40, 75, 2)
    return np.array([left, top, left + width, top + height])


def drawn(models: Models, budget: int, seed: int = 0) -> Draw:
    units = pair_detections(models.control, models.treatment, CONF)
    names = (DrawnModel("old", models.control.content_hash()), DrawnModel("new", models.treatment.content_hash()))
    return draw_questions(
        models.truth, models.control, models.treatment, units, models=names, conf=CONF, budget=budget, seed=seed
    )


class Person:
    """Answers every question as the labels would."""

    def __init__(self, models: Models) -> None:
        self.right: Mapping[str, NDArray[np.bool_]] = {}
        found = np.zeros(len(models.truth.labels), dtype=np.bool_)
        right = {}
        for name, one in (("control", models.control), ("treatment", models.treatment)):
            table = match(models.truth, one)
            hits = (table.score >= CONF) & (table.hit[0] & 1 != 0)
            right[name] = np.zeros(len(one), dtype=np.bool_)
            right[name][table.row[hits]] = True
            found[table.found[hits]] = True
        self.right = right
        self.missed = np.bincount(models.truth.labels.image[~found], minlength=len(models.truth.images))

    def word(self, draw: Draw, index: int) -> str:
        question = draw.questions[index]
        if question.kind == MISSED:
            return str(self.missed[question.image])
        rows = {"control": draw.units.control[question.unit], "treatment": draw.units.treatment[question.unit]}
        right = [bool(self.right[mark.model][rows[mark.model]]) for mark in question.marks]
        if len(right) == 1:
            return "yes" if right[0] else "no"
        return {(1, 1): "both", (1, 0): "first", (0, 1): "second", (0, 0): "neither"}[right[0], right[1]]

    def answers(self, draw: Draw, person: str = "ann") -> list[Answer]:
        return [Answer(one.id, self.word(draw, i), person, 2.0) for i, one in enumerate(draw.questions)]
