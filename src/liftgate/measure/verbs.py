"""The verbs on files: read truth and predictions, measure, and hand back the record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from liftgate.data.dataset import Dataset
from liftgate.data.detections import Source, read_predictions
from liftgate.data.groups import assign_groups
from liftgate.data.reading import read
from liftgate.errors import UsageError
from liftgate.measure.comparison import compare
from liftgate.measure.evaluation import evaluate
from liftgate.measure.records import Comparison, Evaluation
from liftgate.measure.same_images import on_common_images
from liftgate.measure.sizing import SizeAnswer, size_difference, size_kappa, size_models, size_rate
from liftgate.progress import Progress, silent
from liftgate.study.records import Rule

Sigmas = Sequence[float] | str | float | None
_OF_IMAGES = ("image", "jpeg", "size", "split", "path", "list", "group")


def evaluate_files(
    truth: Path | str,
    predictions: Source,
    *,
    groups: str | None = None,
    split: str | None = None,
    images: Path | str | None = None,
    level: float = 0.95,
    conf: float = 0.25,
    sigmas: Sigmas = None,
    common: bool = False,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluate predictions of any form (see `read_predictions`) against a COCO JSON, data.yaml or VOC folder.

    `groups` is a regex with (?P<group>…), a CSV with columns image,group, or `folder`; `split` defaults to val where
    the truth has one. `common` measures only the images that were looked at, and says so in `settings["common"]`.

    Raises:
        UsageError: a file cannot be read, the split does not exist, or the two do not belong together.
    """
    dataset = read_truth(truth, groups=groups, split=split, images=images, progress=progress)
    found, note = read_predictions(predictions, dataset), None
    if common:
        dataset, (found,), note = on_common_images(dataset, found)
    evaluation = evaluate(dataset, found, level=level, conf=conf, sigmas=sigmas)
    said = {"common": note, "truth_faults": faults_of_truth(dataset)}
    return replace(evaluation, settings={**evaluation.settings, **{key: text for key, text in said.items() if text}})


def compare_files(
    truth: Path | str,
    control: Source,
    treatment: Source,
    *,
    metric: str = "mAP50-95",
    margin: float = 0.0,
    rule: Rule = "interval",
    groups: str | None = None,
    split: str | None = None,
    images: Path | str | None = None,
    level: float = 0.95,
    conf: float = 0.25,
    sigmas: Sigmas = None,
    common: bool = False,
    progress: Progress = silent,
) -> Comparison:
    """Compare two sources of predictions on the same truth; parameters and errors as `evaluate_files` and `compare`.

    `common` compares them on the images that both looked at, and says so in `caveats`.
    """
    dataset = read_truth(truth, groups=groups, split=split, images=images, progress=progress)
    first, second = (read_predictions(source, dataset) for source in (control, treatment))
    note = None
    if common:
        dataset, (first, second), note = on_common_images(dataset, first, second)
    comparison = compare(
        dataset, first, second, metric=metric, margin=margin, rule=rule, level=level, conf=conf, sigmas=sigmas
    )
    said = [text for text in (note, faults_of_truth(dataset)) if text]
    return replace(comparison, caveats=(*said, *comparison.caveats))


def read_truth(
    path: Path | str,
    *,
    groups: str | None = None,
    split: str | None = None,
    images: Path | str | None = None,
    progress: Progress = silent,
) -> Dataset:
    """Read a data set and return the split that is to be measured, with its groups.

    Raises:
        UsageError: it cannot be read, or has no such split.
    """
    dataset = read(Path(path), images=None if images is None else Path(images), progress=progress)
    if groups is not None:
        dataset = assign_groups(dataset, groups, base=Path.cwd())
    if split is None:
        split = "val" if "val" in dataset.splits else None
    elif split not in dataset.splits:
        has = ", ".join(dataset.splits) or "none: leave --split out"
        raise UsageError(f"no split {split!r}", where=path, expected=has, got=split)
    return dataset if split is None else dataset.split(split)


def faults_of_truth(dataset: Dataset) -> str:
    """Say what the reader met in the labels, for numbers against damaged truth look like any others; empty: nothing.

    Missing or unreadable images are no fault here: measuring needs their labels only.
    """
    labels = [fault.kind for fault in dataset.faults if not fault.kind.startswith(_OF_IMAGES)]
    if not labels:
        return ""
    counts = ", ".join(f"{kind} {number}" for kind, number in Counter(labels).most_common())
    return f"the truth was read with faults ({counts}): `liftgate check` says where"


def size_files(
    truth: Path, control: Path, treatment: Path, difference: float, *, power: float = 0.8, **options: Any
) -> SizeAnswer:
    """Plan from a pilot: groups needed to show `difference`; `options` are those of `compare_files`."""
    pilot = compare_files(truth, control, treatment, **options)
    return size_models(pilot, difference, margin=pilot.margin, level=pilot.delta.level, power=power)


def size(claim: str, *values: Any, **options: Any) -> SizeAnswer:
    """How much data a claim needs: `rate`, `difference`, `models` or `kappa`; the rest goes to that question.

    >>> size("rate", 0.95, 0.98).images
    312
    """
    questions: dict[str, Callable[..., SizeAnswer]] = {
        "rate": size_rate,
        "difference": size_difference,
        "models": size_files,
        "kappa": size_kappa,
    }
    if claim not in questions:
        raise UsageError(f"no claim {claim!r}", expected=", ".join(questions))
    return questions[claim](*values, **options)
