"""The verbs on files: read truth and predictions, measure, and hand back the record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from liftgate.data.dataset import Dataset
from liftgate.data.detections import Source, read_predictions
from liftgate.data.groups import assign_groups
from liftgate.data.predictions import Predictions
from liftgate.data.reading import read
from liftgate.data.slicing import slice_images
from liftgate.errors import UsageError
from liftgate.measure.arm import Sigmas
from liftgate.measure.comparison import compare
from liftgate.measure.evaluation import evaluate
from liftgate.measure.pck import Pck
from liftgate.measure.records import Comparison, Comparisons, Evaluation
from liftgate.measure.same_images import on_common_images
from liftgate.measure.screening import Choice, Screen, choose_screen
from liftgate.measure.several import compare_arms
from liftgate.measure.sizing import SizeAnswer, size_difference, size_kappa, size_models, size_rate
from liftgate.progress import Progress, silent
from liftgate.study.records import ClaimWord, Rule


def _anyone(truth: Dataset) -> None:
    """Nobody asks whether these images may be looked at."""


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
    by: str | None = None,
    errors: bool = False,
    pck: Sequence[str] = (),
    threats: Sequence[str] = (),
    threshold: float | str | None = None,
    val: Source | None = None,
    val_truth: Path | str | None = None,
    on_truth: Callable[[Dataset], None] = _anyone,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluate predictions of any form (see `read_predictions`) against a COCO JSON, data.yaml or VOC folder.

    `groups` is a regex with (?P<group>…), a CSV with columns image,group, or `folder`; `split` defaults to val where
    the truth has one. `common` measures only the images that were looked at, and says so in `settings["common"]`.
    `by` breaks the numbers down by slices (see `slice_images`), `errors` sorts the mistakes, `pck` names normalisers as
    `box_diagonal=0.05`. `threats` adds the metrics of whole images at `threshold`: a number, or `f1`, `recall=0.9` or
    `false_alarms=0.05` to choose it with the predictions `val` on val (of `val_truth` where that is another file).
    `on_truth` is shown the images before any number exists, and may refuse.

    Raises:
        UsageError: a file cannot be read, the split does not exist, or the two do not belong together.
    """
    dataset = read_truth(truth, groups=groups, split=split, images=images, progress=progress)
    on_truth(dataset)
    vals = [] if val is None else [val]
    (screen,) = _screens(threats, threshold, vals, 1, dataset, val_truth or truth, images) or (None,)
    found, note = read_predictions(predictions, dataset), None
    if common:
        dataset, (found,), note = on_common_images(dataset, found)
    evaluation = evaluate(
        dataset,
        found,
        level=level,
        conf=conf,
        sigmas=sigmas,
        screen=screen,
        by=None if by is None else slice_images(dataset, by, base=Path.cwd()),
        errors=errors,
        pcks=tuple(Pck.parse(text) for text in pck),
    )
    said = {"common": note, "truth_faults": faults_of_truth(dataset), "remarks": odd_predictions(found)}
    return replace(evaluation, settings={**evaluation.settings, **{key: text for key, text in said.items() if text}})


def compare_files(
    truth: Path | str,
    control: Source,
    treatment: Source,
    *,
    metric: str = "mAP50-95",
    margin: float = 0.0,
    rule: Rule = "interval",
    claim: ClaimWord = "better",
    groups: str | None = None,
    split: str | None = None,
    images: Path | str | None = None,
    level: float = 0.95,
    conf: float = 0.25,
    sigmas: Sigmas = None,
    common: bool = False,
    by: str | None = None,
    threats: Sequence[str] = (),
    threshold: float | str | None = None,
    val: Sequence[Source] = (),
    val_truth: Path | str | None = None,
    on_truth: Callable[[Dataset], None] = _anyone,
    progress: Progress = silent,
) -> Comparison:
    """Compare two sources of predictions on the same truth; parameters and errors as `evaluate_files` and `compare`.

    `common` compares them on the images that both looked at, and says so in `caveats`. `val`: predictions of control
    and treatment on val, where each one's threshold is chosen.
    """
    dataset = read_truth(truth, groups=groups, split=split, images=images, progress=progress)
    on_truth(dataset)
    screens = _screens(threats, threshold, val, 2, dataset, val_truth or truth, images)
    first, second = (read_predictions(source, dataset) for source in (control, treatment))
    note = None
    if common:
        dataset, (first, second), note = on_common_images(dataset, first, second)
    comparison = compare(
        dataset,
        first,
        second,
        metric=metric,
        margin=margin,
        rule=rule,
        claim=claim,
        level=level,
        conf=conf,
        sigmas=sigmas,
        screens=(screens[0], screens[1]) if screens else None,
        by=None if by is None else slice_images(dataset, by, base=Path.cwd()),
    )
    said = [text for text in (note, faults_of_truth(dataset), odd_predictions(first), odd_predictions(second)) if text]
    return replace(comparison, caveats=(*said, *comparison.caveats))


def compare_arms_files(
    truth: Path | str,
    control: Source,
    treatments: Mapping[str, Source],
    *,
    groups: str | None = None,
    split: str | None = None,
    images: Path | str | None = None,
    common: bool = False,
    by: str | None = None,
    threats: Sequence[str] = (),
    threshold: float | str | None = None,
    val: Sequence[Source] = (),
    val_truth: Path | str | None = None,
    on_truth: Callable[[Dataset], None] = _anyone,
    progress: Progress = silent,
    **asked: Any,
) -> Comparisons:
    """Compare several named treatments with one control; parameters and errors as `compare_files`.

    Their intervals hold all at once. `val`: predictions of control, then of each treatment.
    """
    dataset = read_truth(truth, groups=groups, split=split, images=images, progress=progress)
    on_truth(dataset)
    sources = (control, *treatments.values())
    screens = _screens(threats, threshold, val, len(sources), dataset, val_truth or truth, images)
    found = tuple(read_predictions(source, dataset) for source in sources)
    note = None
    if common:
        dataset, found, note = on_common_images(dataset, *found)
    slices = None if by is None else slice_images(dataset, by, base=Path.cwd())
    named = dict(zip(treatments, found[1:], strict=True))
    result = compare_arms(dataset, found[0], named, screens=screens or None, by=slices, **asked)
    odd = dict.fromkeys(odd_predictions(one) for one in found)
    said = tuple(text for text in (note, faults_of_truth(dataset), *odd) if text)
    noted = {name: replace(one, caveats=(*said, *one.caveats)) for name, one in result.treatments.items()}
    return replace(result, treatments=noted)


def _screens(
    threats: Sequence[str],
    threshold: float | str | None,
    val: Sequence[Source],
    models: int,
    dataset: Dataset,
    val_truth: Path | str,
    images: Path | str | None,
) -> tuple[Screen, ...]:
    """One Screen for each of the models; none where nothing is screened for.

    Raises:
        UsageError: no threshold, or a rule without the predictions on val that it needs.
    """
    if not threats:
        if threshold is not None or val:
            raise UsageError(
                "a threshold is of images with threats", hint="--threats gun,knife says which classes are one"
            )
        return ()
    if threshold is None:
        hint = "--threshold 0.4, or --threshold f1 --val PREDICTIONS to choose it on val"
        raise UsageError("from which score on is an image flagged?", hint=hint)
    number = _number(threshold)
    if number is not None:
        if val:
            raise UsageError("a threshold that is given is not chosen on val", got=threshold)
        return (Screen(tuple(threats), number),) * models
    choice = Choice.parse(str(threshold))
    if len(val) != models:
        raise UsageError(
            f"{choice} is chosen on val, with predictions of each model", expected=models, got=len(val),
            hint="--val PREDICTIONS, on the val split of the truth or of --val-truth; once for each model",
        )  # fmt: skip
    chosen_on = read_truth(val_truth, images=images)
    if (shared := {i.id for i in chosen_on.images} & {i.id for i in dataset.images}) and chosen_on.root == dataset.root:
        raise UsageError(
            "the threshold would be chosen on images that it is judged by", where=val_truth,
            got=f"{len(shared)} images in both", hint="--split test to judge on test, --val-truth to choose elsewhere",
        )  # fmt: skip
    return tuple(choose_screen(chosen_on, read_predictions(source, chosen_on), threats, choice) for source in val)


def _number(text: float | str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


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


def odd_predictions(predictions: Predictions) -> str:
    """Say what was met in the predictions and read all the same; empty: nothing."""
    scores, ids = (predictions.settings.get(key) for key in ("scores_outside_0_1", "image_ids_respelled"))
    said = []
    if scores:
        said.append(f"{scores} scores lie outside 0 … 1: AP ranks by them, but a confidence threshold means nothing")
    if ids:
        said.append(f'{ids} image ids of the predictions are of another type than the truth\'s (2299, "2299"): matched')
    return "; ".join(said)


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
