"""Mistakes step: suspected mistakes in labels, by models each of which has not seen the images that it judges.

The groups of a dataset are dealt to folds. For each fold a model is trained on the others by the recipe of an arm, and
predicts its images; the finder of `check --predictions` then looks at all of them together. No label is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liftgate._version import __version__
from liftgate.checks.probes.label_mistakes import (
    FLAGGED,
    LEAST_LABELS,
    MISTAKE_KINDS,
    LabelMistake,
    find_mistakes,
)
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.faults import unknown_truth
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats import coco
from liftgate.evaluation.alignment import align
from liftgate.evaluation.matching import match
from liftgate.evaluation.operating_point import operating_point
from liftgate.evaluation.spec import DEFAULT_CONF
from liftgate.hashing import short
from liftgate.ledger.mistake_records import MistakeRow, MistakesResult
from liftgate.pipeline.context import Context
from liftgate.pipeline.folds import HELD_OUT, Folds, make_fold_plan, used_images
from liftgate.pipeline.notice import Notice
from liftgate.pipeline.parts import arm_of_parts, arm_on_part
from liftgate.pipeline.step import Results, Step
from liftgate.pipeline.steps.part_training import part_context
from liftgate.pipeline.steps.predicting import PredictStep, all_settings
from liftgate.pipeline.steps.training import train_steps
from liftgate.study.records import Arm, FlowStep, Gate

_MOST_ROWS = 500
"""Places that the ledger keeps"""


class MistakesStep(Step[MistakesResult]):
    """Finds suspected mistakes in the labels of one dataset."""

    KIND = "mistakes"
    RESULT = MistakesResult

    def __init__(self, context: Context, flow_step: FlowStep) -> None:
        """Plan a training and the predictions of each fold."""
        study, arm = context.study, arm_of_parts(context.study, flow_step)
        self._context, self._arm, self._seed = context, arm, study.seeds[0]
        self._dataset = arm.stages[0].data
        self._folds = make_fold_plan(study, flow_step, context.datasets)
        self._predicted = _predict_steps(context, arm, self._seed, self._dataset, self._folds)
        inputs = {
            "data": context.datasets.fingerprint(self._dataset),
            "folds": self._folds.identity,
            "liftgate": __version__,
        }
        super().__init__(f"mistakes of {self._dataset} by {arm.name}", inputs, tuple(self._predicted))

    def work(self, results: Results) -> MistakesResult:
        """Find mistakes in the labels of all folds, and write how many there are into the ledger.

        Raises:
            DataError: predictions or images were changed meanwhile.
        """
        context = self._context
        predictions = _joined(self._folds.dataset, [step.predictions(results) for step in self._predicted])
        path = context.workspace.predictions / f"mistakes-{self._dataset}-{short(self.key)}.json"
        coco.write_predictions(predictions, self._folds.dataset, path)
        kept = coco.read_predictions(path, self._folds.dataset)  # what a review will read
        result = self._result(kept, path.relative_to(context.workspace.folder).as_posix())
        context.ledger.add(result.entry())
        context.notify(Notice("event", self.name, {"kind": "note", "message": result.text}))
        return result

    def files(self, result: MistakesResult) -> Mapping[Path, str | None]:
        """Return the predictions of all folds; their content is checked when they are read."""
        return {self._context.workspace.folder / result.file: None}

    def _result(self, predictions: Predictions, file: str) -> MistakesResult:
        whole, taking_part = self._folds.dataset, self._folds.fold >= 0
        found = mistakes_of(whole, taking_part, predictions)
        seen = whole.take(taking_part)
        known = seen.take(~unknown_truth(seen))
        n_found, n_objects = _found(known, predictions)
        told = MISTAKE_KINDS if n_objects >= LEAST_LABELS else ("missing",)  # of few labels no other kind is known
        return MistakesResult(
            step=self.key,
            dataset=self._dataset,
            arm=self._arm.name,
            seed=self._seed,
            folds=self._folds.count,
            n_images=len(known.images),
            n_groups=len(set(known.groups)),
            n_labels=len(known.labels),
            n_found=n_found,
            n_locked=int((used_images(whole) & ~taking_part).sum()),
            flagged={kind: sum(one.kind == kind and one.suspicion >= FLAGGED for one in found) for kind in told},
            predictions=predictions.content_hash(),
            notes=tuple(self._notes(n_found, n_objects)),
            file=file,
            truth=whole.truth_hash(),
            n_ranked=len(found),
            rows=tuple(_row(one, whole, predictions) for one in found[:_MOST_ROWS]),
        )  # fmt: skip

    def _notes(self, n_found: int, n_objects: int) -> list[str]:
        notes, weights = [], str(self._arm.stages[0].weights)
        if n_objects < LEAST_LABELS:
            notes.append(
                f"{n_objects} labels are too few to learn what a mistake looks like: how many there are is not known"
            )
        elif n_found < n_objects / 2:
            notes.append(
                f"the models find {n_found:,} of {n_objects:,} labels: what they overlook they do not judge, so few "
                "suspected mistakes do not mean clean labels (more epochs, or other weights, find more)"
            )
        if not weights.endswith((".yaml", ".yml")):
            notes.append(
                f"the folds start from {Path(weights).name}: mistakes are missed where it was trained on these images"
            )
        if all(image.group is None for image in self._folds.dataset.images):
            notes.append(
                "the dataset has no groups, so every image counts as one: neighbouring images of other folds show a "
                "model the same mistakes, which it then repeats"
            )
        return notes


def mistakes_of(dataset: Dataset, taking_part: NDArray[np.bool_], predictions: Predictions) -> list[LabelMistake]:
    """Return suspected mistakes among the labels of some images, the most suspicious first.

    Args:
        dataset: all images; those that take no part, and their labels, are not looked at.
        taking_part: (n,) mask of the images.
        predictions: on these images, by models that have not seen them.

    Returns:
        list[LabelMistake]: rows count the labels of the whole dataset.
    """
    rows = np.flatnonzero(taking_part[dataset.labels.image])
    found = find_mistakes(replace(dataset, labels=dataset.labels.take(rows)), predictions)
    return [one if one.label < 0 else replace(one, label=int(rows[one.label])) for one in found]


def _predict_steps(context: Context, arm: Arm, seed: int, dataset: str, folds: Folds) -> list[PredictStep]:
    """Return one prediction for each fold, of its images by the model of the other folds."""
    like = train_steps(context, arm, seed)[0]
    steps = []
    for number in range(folds.count):
        named = arm_on_part(arm, f"fold-{number + 1}-of-{folds.count}")
        inside = part_context(context, folds.datasets(context, dataset, number), named, seed, like)
        gate = Gate("mistakes", f"{dataset}.{HELD_OUT}", arm=named.name)
        settings = all_settings(context.study, gate, arm)[0]
        steps.append(PredictStep(inside, named, seed, gate, settings=settings))
    return steps


def _joined(dataset: Dataset, parts: Sequence[Predictions]) -> Predictions:
    """Return the predictions of all folds as one, in the order of the dataset's images."""
    seen = {image for part in parts for image in part.images}
    images = tuple(image.id for image in dataset.images if image.id in seen)
    place = {image: number for number, image in enumerate(images)}
    index = np.concatenate(
        [np.array([place[name] for name in part.images], dtype=np.int64)[part.image] for part in parts]
    )
    order = np.argsort(index, kind="stable")
    keypoints = None if parts[0].keypoints is None else np.concatenate([part.keypoints for part in parts])[order]
    settings = {name: value for name, value in parts[0].settings.items() if name not in ("images", "weights")}
    return Predictions(
        images=images,
        classes=parts[0].classes,
        image=index[order],
        cls=np.concatenate([part.cls for part in parts])[order],
        boxes=np.concatenate([part.boxes for part in parts])[order],
        scores=np.concatenate([part.scores for part in parts])[order],
        keypoints=keypoints,
        settings={**settings, "folds": len(parts)},
    )


def _found(dataset: Dataset, predictions: Predictions) -> tuple[int, int]:
    """Return how many labels the models find, and how many count."""
    if not dataset.images:
        return 0, 0
    point = operating_point(match(dataset, align(dataset, predictions)), DEFAULT_CONF)
    return int(point.true.sum()), int(point.objects.sum())


def _row(one: LabelMistake, dataset: Dataset, predictions: Predictions) -> MistakeRow:
    image, labels = dataset.images[one.image], dataset.labels
    box = labels.boxes[one.label] if one.label >= 0 else predictions.boxes[one.detection]
    return MistakeRow(
        kind=one.kind,
        image=image.id,
        group=image.key,
        label="" if one.label < 0 else dataset.classes[labels.cls[one.label]],
        model="" if one.detection < 0 else predictions.classes[predictions.cls[one.detection]],
        box=tuple(round(float(value), 2) for value in box),
        suspicion=round(one.suspicion, 4),
    )
