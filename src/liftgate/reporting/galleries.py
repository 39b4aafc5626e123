"""Pictures of a gate: where the arms differ most, the worst images, one of each group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.faults import unknown_truth
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats import coco
from liftgate.evaluation.records import Comparison, Evaluation
from liftgate.evaluation.spec import DEFAULT_CONF
from liftgate.ledger.results import PredictResult
from liftgate.ledger.workspace import Workspace
from liftgate.reporting.content import ArmContent, Gallery
from liftgate.reporting.pictures import PictureBudget, picture
from liftgate.study.records import Gate

_MAX_PICTURES = 6
"""Pictures of a gallery"""


class _ImageOutcome(NamedTuple):
    """What happened on one image."""

    image: str
    group: str | None
    change: float
    """Of F1 between the arms; 0: none, or one arm alone"""
    note: str


def _changed_images(comparison: Comparison) -> list[_ImageOutcome]:
    return [
        _ImageOutcome(row["id"], row["group"], row["change"], f"F1 {row['control']:.2f} → {row['treatment']:.2f}")
        for row in comparison.images
        if row.get("change")
    ]


def _mistaken_images(evaluation: Evaluation) -> list[_ImageOutcome]:
    return [
        _ImageOutcome(row["id"], row["group"], 0.0, f"{row['tp']} found, {row['fn']} missed, {row['fp']} false")
        for row in evaluation.images
        if row["fp"] or row["fn"]
    ]


class ShownImages(NamedTuple):
    """What the pictures of a gate are drawn from."""

    truth: Dataset
    loaded: Mapping[str, Predictions]
    conf: float

    @classmethod
    def load(
        cls,
        workspace: Workspace,
        gate: Gate,
        predicted: Sequence[PredictResult],
        arms: Sequence[ArmContent],
        datasets: Mapping[str, Dataset],
    ) -> ShownImages | None:
        """Return truth and predictions of a gate; None: its dataset, or its split, is not there any more."""
        name, _, split = gate.on.rpartition(".")
        if name not in datasets or split not in datasets[name].splits:
            return None
        truth = datasets[name].split(split)
        conf = gate.conf if gate.conf is not None else DEFAULT_CONF
        return cls(truth, _load_predictions(workspace, predicted, truth, arms), conf)


def _worst_keypoints(evaluation: Evaluation) -> list[_ImageOutcome]:
    ranked = sorted((row for row in evaluation.images if "oks" in row), key=lambda row: row["oks"])
    return [
        _ImageOutcome(row["id"], row["group"], 0.0, f"{row['oks']:.2f} of OKS thresholds reached") for row in ranked
    ]


def galleries(
    shown: ShownImages,
    comparison: Comparison | None,
    arms: Sequence[ArmContent],
    in_full: Mapping[str, Evaluation],
    budget: PictureBudget,
) -> list[Gallery]:
    """Return the images that changed most and those that the last arm does worst on."""
    truth, conf = shown.truth, shown.conf
    index = {image.id: number for number, image in enumerate(truth.images)}

    def gallery(title: str, outcomes: Iterable[_ImageOutcome], note: str) -> Gallery:
        chosen = [one for one in _one_of_each_group(outcomes) if one.image in index]
        pictures = (picture(truth, index[one.image], shown.loaded, conf=conf, note=one.note) for one in chosen)
        return Gallery(title, tuple(one for one in pictures if budget.take(one)), note)

    found: list[Gallery] = []
    last = arms[-1]
    if comparison is not None:
        changed = _changed_images(comparison)
        note = f"By the change of F1 per image at confidence {conf:g}, first seed; one image of each group."
        found.append(gallery("Most harmed", (one for one in changed if one.change < 0), note))
        found.append(gallery("Most improved", (one for one in changed if one.change > 0), note))
    if last.evaluation is not None:
        worst = _worst_keypoints(in_full.get(last.name, last.evaluation))
        note = (
            "Objects reach the smallest share of OKS thresholds 0.50 to 0.95; points are keypoints; one of each group."
        )
        found.append(gallery(f"Keypoints of {last.name} placed worst", worst, note))
        note = f"Most missed and falsely found objects at confidence {conf:g}; one image of each group."
        found.append(gallery(f"Worst images of {last.name}", _mistaken_images(last.evaluation), note))
    return [one for one in found if one.pictures]


def _load_predictions(
    workspace: Workspace, predicted: Sequence[PredictResult], truth: Dataset, arms: Sequence[ArmContent]
) -> dict[str, Predictions]:
    """Return the predictions of each arm's first seed, where their file is still there."""
    loaded: dict[str, Predictions] = {}
    unknown = unknown_truth(truth)
    measured = (truth.take(~unknown) if unknown.any() else truth).truth_hash()
    for arm in arms:
        first = next((result for result in predicted if result.arm == arm.name), None)
        if first is not None and (workspace.folder / first.file).is_file():
            same = arm.evaluation is not None and arm.evaluation.truth == measured
            loaded[arm.name] = coco.read_recorded(workspace.folder / first.file, truth, first.sha256 if same else None)
    return loaded


def _one_of_each_group(outcomes: Iterable[_ImageOutcome]) -> list[_ImageOutcome]:
    """Return the first outcomes of different groups: six frames of one video are one picture six times."""
    first: dict[str, _ImageOutcome] = {}
    for outcome in outcomes:
        first.setdefault(outcome.group or outcome.image, outcome)
    return list(first.values())[:_MAX_PICTURES]
