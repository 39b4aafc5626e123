"""The verbs on files: read truth and predictions, see that they may be looked at, measure, and hand back the record."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.detections import PredictionsSource, PrefetchedResults, read_predictions
from liftgate.data.grouping.slicing import slice_images
from liftgate.errors import UsageError
from liftgate.evaluation.alignment import on_common_images
from liftgate.evaluation.compare import compare as compare_datasets
from liftgate.evaluation.evaluate import evaluate as evaluate_dataset
from liftgate.evaluation.image_level import ImageLevelThreshold, ThresholdRule, choose_image_threshold
from liftgate.evaluation.matched_predictions import Sigmas
from liftgate.evaluation.multiple_comparisons import compare_arms as compare_arms_on_dataset
from liftgate.evaluation.pck import Pck
from liftgate.evaluation.records import Comparison, Comparisons, Evaluation
from liftgate.evaluation.sample_size import SizeAnswer, size_difference, size_kappa, size_models, size_rate, size_seeds
from liftgate.evaluation.truth import faults_of_truth, read_truth
from liftgate.hashing import content_hash
from liftgate.ledger.lockbox import demand_unlocked, locked_by, near, open_from_outside
from liftgate.progress import Progress, silent
from liftgate.study.records import ClaimWord, Rule


def evaluate(
    truth: Path | str,
    predictions: PredictionsSource,
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
    val: PredictionsSource | None = None,
    val_truth: Path | str | None = None,
    open_anyway: str | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluate predictions of any form (see `read_predictions`) against a COCO JSON, data.yaml or VOC folder.

    `groups` is a regex with (?P<group>…), a CSV with columns image,group, or `folder`; `split` defaults to val where
    the truth has one. `common` measures only the images that were looked at, and says so in `settings["common"]`.
    `by` breaks the numbers down by slices (see `slice_images`), `errors` sorts the mistakes, `pck` names normalisers as
    `box_diagonal=0.05`. `threats` adds the metrics of whole images at `threshold`: a number, or `f1`, `recall=0.9` or
    `false_alarms=0.05` to choose it with the predictions `val` on val (of `val_truth` where that is another file).
    Images that a study has locked are refused, unless `open_anyway` says why: its ledger then keeps who looked and why,
    and `settings["contaminated"]` travels with the numbers.

    Raises:
        Refused: a study locks these images, by its ledger in `runs/` of this folder or around the truth.
        UsageError: a file cannot be read, the split does not exist, or the two do not belong together.
    """
    dataset = read_truth(truth, groups=groups, split=split, images=images, progress=progress)
    contaminated = _demand_unlocked(dataset, (predictions,), open_anyway)
    vals = [] if val is None else [val]
    (screen,) = _screens(threats, threshold, vals, 1, dataset, val_truth or truth, images) or (None,)
    found, note = read_predictions(predictions, dataset), None
    if common:
        dataset, (found,), note = on_common_images(dataset, found)
    measured = evaluate_dataset(
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
    said = {"contaminated": contaminated, "common": note}
    said |= {"truth_faults": faults_of_truth(dataset), "remarks": odd_predictions(found)}
    return replace(measured, settings={**measured.settings, **{key: text for key, text in said.items() if text}})


def compare(
    truth: Path | str,
    control: PredictionsSource,
    treatment: PredictionsSource,
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
    val: Sequence[PredictionsSource] = (),
    val_truth: Path | str | None = None,
    open_anyway: str | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Compare two sources of predictions on the same truth; parameters and errors as `evaluate` and `compare`.

    `common` compares them on the images that both looked at, and says so in `caveats`. `val`: predictions of control
    and treatment on val, where each one's threshold is chosen.
    """
    dataset = read_truth(truth, groups=groups, split=split, images=images, progress=progress)
    contaminated = _demand_unlocked(dataset, (control, treatment), open_anyway)
    screens = _screens(threats, threshold, val, 2, dataset, val_truth or truth, images)
    first, second = (read_predictions(source, dataset) for source in (control, treatment))
    note = None
    if common:
        dataset, (first, second), note = on_common_images(dataset, first, second)
    found = compare_datasets(
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
    odd = dict.fromkeys(odd_predictions(one) for one in (first, second))
    said = [text for text in (contaminated, note, faults_of_truth(dataset), *odd) if text]
    return replace(found, caveats=(*said, *found.caveats))


def compare_arms(
    truth: Path | str,
    control: PredictionsSource,
    treatments: Mapping[str, PredictionsSource],
    *,
    groups: str | None = None,
    split: str | None = None,
    images: Path | str | None = None,
    common: bool = False,
    by: str | None = None,
    threats: Sequence[str] = (),
    threshold: float | str | None = None,
    val: Sequence[PredictionsSource] = (),
    val_truth: Path | str | None = None,
    open_anyway: str | None = None,
    progress: Progress = silent,
    **asked: Any,
) -> Comparisons:
    """Compare several named treatments with one control; parameters and errors as `compare`.

    Their intervals hold all at once. `val`: predictions of control, then of each treatment.
    """
    dataset = read_truth(truth, groups=groups, split=split, images=images, progress=progress)
    sources = (control, *treatments.values())
    contaminated = _demand_unlocked(dataset, sources, open_anyway)
    screens = _screens(threats, threshold, val, len(sources), dataset, val_truth or truth, images)
    found = tuple(read_predictions(source, dataset) for source in sources)
    note = None
    if common:
        dataset, found, note = on_common_images(dataset, *found)
    slices = None if by is None else slice_images(dataset, by, base=Path.cwd())
    named = dict(zip(treatments, found[1:], strict=True))
    result = compare_arms_on_dataset(dataset, found[0], named, screens=screens or None, by=slices, **asked)
    odd = dict.fromkeys(odd_predictions(one) for one in found)
    said = tuple(text for text in (contaminated, note, faults_of_truth(dataset), *odd) if text)
    noted = {name: replace(one, caveats=(*said, *one.caveats)) for name, one in result.treatments.items()}
    return replace(result, treatments=noted)


def _demand_unlocked(truth: Dataset, sources: Sequence[PredictionsSource], reason: str | None) -> str:
    """Refuse images that a study locks; with a reason record the look, and say that what comes of it is contaminated.

    Raises:
        Refused: they are locked, and nobody says why they are looked at all the same.
    """
    notes = []
    for found in locked_by(truth, near(truth)):
        place = f"{found.dataset}.{found.split} of the study {found.study}"
        if reason is None:
            hint = 'measure on val; or --open-anyway --reason "…", which its ledger keeps as one more look'
            raise found.refusal(truth, hint)
        if not reason.strip():
            raise UsageError(
                "opening what is locked takes a reason", hint='--open-anyway --reason "labels were mended"'
            )
        purpose = "liftgate on " + ", ".join(_name(source) for source in sources)
        open_from_outside(found, purpose, content_hash([_subject(s) for s in sources]), truth.truth_hash(), reason)
        notes.append(f"contaminated: {place} is locked, and was opened anyway: {reason}")
    return "; ".join(notes)


def _name(source: PredictionsSource) -> str:
    if isinstance(source, PrefetchedResults):
        source = source.path
    return Path(source).name if isinstance(source, str | Path) else type(source).__name__


def _subject(source: PredictionsSource) -> object:
    """What tells one set of predictions from another, so that the same look again is no new one."""
    if isinstance(source, PrefetchedResults):
        source = source.path
    if isinstance(source, Predictions):
        return source.content_hash()
    if not isinstance(source, str | Path):
        return secrets.token_hex(16)  # objects of somebody else's: every look is a new one
    path = Path(source)
    return [str(path), path.stat().st_mtime_ns if path.exists() else 0]


def _screens(
    threats: Sequence[str],
    threshold: float | str | None,
    val: Sequence[PredictionsSource],
    models: int,
    dataset: Dataset,
    val_truth: Path | str,
    images: Path | str | None,
) -> tuple[ImageLevelThreshold, ...]:
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
        return (ImageLevelThreshold(tuple(threats), number),) * models
    choice = ThresholdRule.parse(str(threshold))
    if len(val) != models:
        raise UsageError(
            f"{choice} is chosen on val, with predictions of each model", expected=models, got=len(val),
            hint="--val PREDICTIONS, on the val split of the truth or of --val-truth; once for each model",
        )  # fmt: skip
    chosen_on = read_truth(val_truth, images=images)
    demand_unlocked(chosen_on, "a threshold is chosen on images that nobody has locked")
    if (shared := {i.id for i in chosen_on.images} & {i.id for i in dataset.images}) and chosen_on.root == dataset.root:
        raise UsageError(
            "the threshold would be chosen on images that it is judged by", where=val_truth,
            got=f"{len(shared)} images in both", hint="--split test to judge on test, --val-truth to choose elsewhere",
        )  # fmt: skip
    return tuple(
        choose_image_threshold(chosen_on, read_predictions(source, chosen_on), threats, choice) for source in val
    )


def _number(text: float | str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


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
    """Plan from a pilot: groups needed to show `difference`; `options` are those of `compare`."""
    pilot = compare(truth, control, treatment, **options)
    return size_models(pilot, difference, margin=pilot.margin, level=pilot.delta.level, power=power)


def size(claim: str, *values: Any, **options: Any) -> SizeAnswer:
    """How much data a claim needs: `rate`, `difference`, `models`, `kappa` or `seeds`; the rest goes to that question.

    >>> size("rate", 0.95, 0.98).images
    312
    """
    questions: dict[str, Callable[..., SizeAnswer]] = {
        "rate": size_rate,
        "difference": size_difference,
        "models": size_files,
        "kappa": size_kappa,
        "seeds": size_seeds,
    }
    if claim not in questions:
        raise UsageError(f"no claim {claim!r}", expected=", ".join(questions))
    return questions[claim](*values, **options)
