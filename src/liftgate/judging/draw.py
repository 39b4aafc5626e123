"""The draw: which detections and images a person is asked about, with what probability; frozen before any answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import iou
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.hashing import content_hash
from liftgate.judging.allocation import allocate
from liftgate.judging.pairing import KINDS, NEAR, Units
from liftgate.judging.sizes import scores_of
from liftgate.stats.unequal_sampling import systematic_sample
from liftgate.study.records import ClaimWord

Model = Literal["control", "treatment"]
MISSED = "missed"
"""Kind of the questions about whole images: how many objects are in no box?"""
QUESTION_KINDS = (*KINDS, MISSED)

LEAST_BUDGET = 20
_AUDITED_IMAGES = 8  # at least, where there are so many
_IMAGE_SHARE = 0.06  # of the budget


@dataclass(frozen=True, slots=True)
class Mark:
    """A detection as it is drawn over the image."""

    model: Model
    cls: str
    score: float
    box: tuple[float, float, float, float]
    """xyxy in pixels of the image upright"""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to judge."""

    id: str
    kind: str
    """One of QUESTION_KINDS"""
    image: int
    """Index into Draw.images"""
    unit: int
    """Index of the unit; −1: the whole image"""
    probability: float
    marks: tuple[Mark, ...]
    """The detections that are judged: one or two, in the order in which they are shown; of an image: all detections"""
    surer: tuple[Mark, ...] = ()
    """Surer detections of the same model and class near a judged one: a repeated detection of their object is wrong"""


@dataclass(frozen=True, slots=True)
class DrawnImage:
    """An image of the comparison."""

    id: str
    group: str
    """Its group; `image:ID` where none is known"""
    width: int
    """Pixels upright"""
    height: int


@dataclass(frozen=True, slots=True)
class DrawnModel:
    """One of the two models."""

    name: str
    predictions: str
    """Hash of the file, or `Predictions.content_hash()`"""


@dataclass(frozen=True, slots=True)
class Until:
    """What the judging is to settle, fixed before the first answer: it may then stop after any group."""

    metric: str
    margin: float
    claim: ClaimWord = "better"
    level: float = 0.95
    gate: str = ""
    """Name and hash of a study's gate; empty: none"""


@dataclass(frozen=True, slots=True)
class UnitColumns:
    """The units, drawn or not, as plain columns of one length."""

    kind: tuple[int, ...]
    image: tuple[int, ...]
    control: tuple[int, ...]
    treatment: tuple[int, ...]
    overlap: tuple[float, ...]
    score: tuple[float, ...]
    probability: tuple[float, ...]

    def units(self) -> Units:
        """Return them as arrays."""
        whole = [np.array(getattr(self, name), dtype=np.int64) for name in ("kind", "image", "control", "treatment")]
        return Units(whole[0], whole[1], whole[2], whole[3], np.array(self.overlap, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class Draw:
    """A frozen draw."""

    control: DrawnModel
    treatment: DrawnModel
    conf: float
    seed: int
    classes: tuple[str, ...]
    images: tuple[DrawnImage, ...]
    units: UnitColumns
    image_probability: tuple[float, ...]
    """Of each image, to be searched for objects that both models missed"""
    questions: tuple[Question, ...]
    """In the order in which they are asked"""
    until: Until | None = None
    """Not None: the questions come group by group, and answers to the first groups are enough"""
    group_order: tuple[str, ...] = ()
    """With `until`: all groups in the random order in which they are asked about"""
    format: int = 1

    @property
    def hash(self) -> str:
        """Hash of everything; answers carry it."""
        return content_hash({field.name: getattr(self, field.name) for field in fields(self)})

    def counts(self) -> Mapping[str, int]:
        """Return the number of questions of each kind."""
        return {kind: sum(one.kind == kind for one in self.questions) for kind in QUESTION_KINDS}


class _Sample(NamedTuple):
    probability: NDArray[np.float64]
    drawn: NDArray[np.bool_]


def draw_questions(
    dataset: Dataset,
    control: Predictions,
    treatment: Predictions,
    units: Units,
    *,
    models: tuple[DrawnModel, DrawnModel],
    conf: float,
    budget: int,
    seed: int,
    until: Until | None = None,
) -> Draw:
    """Draw `budget` questions, or all that there are.

    Args:
        dataset: the images with their groups; labels are not used.
        control: predictions of one model, on these images.
        treatment: of the other.
        units: as `pair_detections` returns them.
        models: names and hashes of the two.
        conf: confidence threshold of `units`.
        budget: number of questions.
        seed: of the draw.
        until: what the judging is to settle; None: all questions are answered before anything is computed.

    Raises:
        UsageError: the budget is too small, or there is nothing to judge.
    """
    if budget < LEAST_BUDGET:
        raise UsageError("too few judgements to say anything", expected=f"at least {LEAST_BUDGET}", got=budget)
    if not len(units):
        raise UsageError("neither model detects anything at this confidence", got=f"--conf {conf:g}")
    rng = np.random.default_rng(seed)
    score = scores_of(units, control, treatment)
    empty = np.ones(len(dataset.images), dtype=np.bool_)
    empty[units.image] = False
    of_images = _draw_images(empty, budget, rng)
    group = np.unique(np.array(dataset.groups, dtype=object).astype(str), return_inverse=True)[1]
    of_units = _draw_units(units, score, group, budget - int(of_images.drawn.sum()), rng)
    marks = _Marks(control, treatment, conf)
    asked = [
        (KINDS[units.kind[unit]], int(units.image[unit]), int(unit), float(of_units.probability[unit]))
        for unit in np.flatnonzero(of_units.drawn)
    ]
    asked += [(MISSED, int(i), -1, float(of_images.probability[i])) for i in np.flatnonzero(of_images.drawn)]
    digits = len(str(len(asked)))
    order = rng.permutation(len(asked))
    turns: tuple[str, ...] = ()
    if until is not None:
        keys = [image.key for image in dataset.images]
        turns = tuple(str(name) for name in rng.permutation(sorted(set(keys))))
        turn = {name: place for place, name in enumerate(turns)}
        order = np.array(sorted(order.tolist(), key=lambda index: turn[keys[asked[index][1]]]), dtype=np.int64)
    questions = tuple(
        _question(f"q{place:0{digits}d}", asked[index], units, marks, bool(rng.integers(2)))
        for place, index in enumerate(order, 1)
    )
    return Draw(
        control=models[0],
        treatment=models[1],
        conf=conf,
        seed=seed,
        classes=dataset.classes,
        images=tuple(DrawnImage(one.id, one.key, *one.upright) for one in dataset.images),
        units=_columns(units, score, of_units.probability),
        image_probability=tuple(of_images.probability.tolist()),
        questions=questions,
        until=until,
        group_order=turns,
    )


def _draw_units(
    units: Units, score: NDArray[np.float64], group: NDArray[np.int64], budget: int, rng: np.random.Generator
) -> _Sample:
    """Draw units with the allocated probabilities, spread over kinds and groups."""
    probability, drawn = allocate(units, score, budget).probability, np.zeros(len(units), dtype=np.bool_)
    for inside in (~units.agreed, units.agreed):
        rows = np.flatnonzero(inside)
        rows = rows[np.lexsort((rng.uniform(size=len(rows)), group[units.image[rows]], units.kind[rows]))]
        drawn[rows] = systematic_sample(probability[rows], rng)
    return _Sample(probability, drawn)


def _draw_images(empty: NDArray[np.bool_], budget: int, rng: np.random.Generator) -> _Sample:
    """Draw the images that are searched for missed objects, with and without detections by numbers of their own."""
    wanted = max(_AUDITED_IMAGES, round(_IMAGE_SHARE * budget))
    probability, drawn = np.ones(len(empty)), np.zeros(len(empty), dtype=np.bool_)
    for inside in (empty, ~empty):
        rows = np.flatnonzero(inside)
        if not len(rows):
            continue
        number = min(len(rows), max(_AUDITED_IMAGES // 2, round(wanted * len(rows) / len(empty))))
        rows = rng.permutation(rows)
        probability[rows] = number / len(rows)
        drawn[rows[:number]] = True
    return _Sample(probability, drawn)


class _Marks:
    """Detections as marks."""

    def __init__(self, control: Predictions, treatment: Predictions, conf: float) -> None:
        self._models: dict[Model, Predictions] = {"control": control, "treatment": treatment}
        self._rows = {name: _kept_by_image(one, conf) for name, one in self._models.items()}

    def one(self, model: Model, row: int) -> Mark:
        """Return the mark of one detection."""
        found = self._models[model]
        left, top, right, bottom = (float(value) for value in found.boxes[row])
        return Mark(model, found.classes[found.cls[row]], float(found.scores[row]), (left, top, right, bottom))

    def of_image(self, image: int) -> tuple[Mark, ...]:
        """Return the marks of all detections on an image."""
        return tuple(self.one(name, int(row)) for name, rows in self._rows.items() for row in rows[image])

    def surer(self, model: Model, row: int) -> tuple[Mark, ...]:
        """Return the surer detections of the same class that lie near one."""
        found = self._models[model]
        rows = self._rows[model][int(found.image[row])]
        before = (found.scores[rows] > found.scores[row]) | ((found.scores[rows] == found.scores[row]) & (rows < row))
        rows = rows[before & (found.cls[rows] == found.cls[row])]
        near = iou(found.boxes[[row]], found.boxes[rows])[0] >= NEAR
        return tuple(self.one(model, int(other)) for other in rows[near])


def _kept_by_image(predictions: Predictions, conf: float) -> list[NDArray[np.int64]]:
    rows = np.flatnonzero(predictions.scores >= conf)
    rows = rows[np.argsort(predictions.image[rows], kind="stable")]
    ends = np.searchsorted(predictions.image[rows], np.arange(1, len(predictions.images)))
    return [np.asarray(part, dtype=np.int64) for part in np.split(rows, ends)]


def _question(id_: str, asked: tuple[str, int, int, float], units: Units, marks: _Marks, swap: bool) -> Question:
    kind, image, unit, probability = asked
    if unit < 0:
        return Question(id_, kind, image, unit, probability, marks.of_image(image))
    sides: list[tuple[Model, int]] = [("control", int(units.control[unit])), ("treatment", int(units.treatment[unit]))]
    sides = [(model, row) for model, row in (reversed(sides) if swap else sides) if row >= 0]
    surer = tuple(mark for model, row in sides for mark in marks.surer(model, row))
    return Question(id_, kind, image, unit, probability, tuple(marks.one(*side) for side in sides), surer)


def _columns(units: Units, score: NDArray[np.float64], probability: NDArray[np.float64]) -> UnitColumns:
    whole = (tuple(column.tolist()) for column in (units.kind, units.image, units.control, units.treatment))
    return UnitColumns(*whole, *(tuple(column.tolist()) for column in (units.overlap, score, probability)))
