"""The verbs on predictions: read the files, refuse what a study locks, evaluate or compare, return the record."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, overload

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.image_identity import ImageIdentities
from liftgate.data.core.predictions import Predictions
from liftgate.data.detections import PredictionsSource, PrefetchedResults, read_all_predictions, read_predictions
from liftgate.data.grouping.slicing import slice_images
from liftgate.errors import UsageError
from liftgate.evaluation import compare as comparing
from liftgate.evaluation import evaluate as evaluating
from liftgate.evaluation import multiple_comparisons
from liftgate.evaluation.alignment import on_common_images
from liftgate.evaluation.image_level import ImageLevelThreshold, ThresholdRule, choose_image_threshold
from liftgate.evaluation.oks_sigmas import Sigmas
from liftgate.evaluation.pck import Pck
from liftgate.evaluation.records import Comparison, Comparisons, Evaluation
from liftgate.evaluation.sample_size import (
    SizeAnswer,
    size_from_pilot,
)
from liftgate.evaluation.sample_size import size_difference as size_difference
from liftgate.evaluation.sample_size import size_kappa as size_kappa
from liftgate.evaluation.sample_size import size_rate as size_rate
from liftgate.evaluation.sample_size import size_seeds as size_seeds
from liftgate.evaluation.spec import ComparisonSpec, EvaluationSpec
from liftgate.evaluation.truth import Truth, faults_of_truth, read_truth
from liftgate.hashing import content_hash
from liftgate.ledger.lockbox import demand_unlocked, locked_by, nearby_folders, open_from_outside
from liftgate.progress import Progress, silent
from liftgate.study.records import ClaimWord, Rule
from liftgate.suggestions import suggestion


def evaluate(
    truth: Truth,
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
    """Evaluate predictions of any form against a data set.

    Args:
        truth: COCO JSON, data.yaml, VOC folder, or a Dataset.
        predictions: a file, folder or object, see `read_predictions`.
        groups: regex with (?P<group>…), CSV with columns image,group, or `folder`.
        split: which split; default val, where the truth has one.
        images: folder of the images, where the labels do not name it.
        level: of the intervals.
        conf: confidence threshold of recall, precision and false positives.
        sigmas: OKS sigmas: `coco`, one number, or one for each keypoint.
        common: evaluate only the images that were predicted on; `settings["common"]` then names what was left out.
        by: rule that gives each image its slice, see `slice_images`; adds every metric slice by slice.
        errors: add the types of mistakes.
        pck: normalisers with a fraction, as `box_diagonal=0.05`.
        threats: positive classes of the image-level metrics.
        threshold: score from which on an image is flagged; or `f1`, `recall=0.9` or `false_alarms=0.05`, which choose
            it with the predictions `val` on val.
        val: predictions on val that the threshold is chosen by.
        val_truth: truth of val, where that is another file.
        open_anyway: reason to evaluate images that a study has locked. Its ledger records the opening, and
            `settings["contaminated"]` travels with the numbers.
        progress: called with the number of items done and in all.

    Raises:
        Refused: a study locks these images, by its ledger in `runs/` of this folder or around the truth.
        UsageError: a file cannot be read, the split does not exist, or the two do not belong together.
    """
    spec = EvaluationSpec(level, conf, sigmas, errors=errors, pck=tuple(Pck.parse(text) for text in pck))
    spec.validate()
    screening = _Screening(threats, threshold, () if val is None else (val,), val_truth or truth, images)
    screening.validate(models=1)
    dataset = read_truth(truth, groups=groups, split=split, images=images, progress=progress)
    inputs = _read(dataset, (predictions,), common=common, by=by, open_anyway=open_anyway, screening=screening)
    chosen = inputs.thresholds[0] if inputs.thresholds else None
    result = evaluating.evaluate(
        inputs.truth, inputs.predictions[0], replace(spec, threshold=chosen, slices=inputs.slices)
    )
    return replace(result, settings={**result.settings, **inputs.remarks()})


def compare(
    truth: Truth,
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
    """Compare two sources of predictions on the same truth.

    Args:
        truth: COCO JSON, data.yaml, VOC folder, or a Dataset.
        control: predictions of the model that is there.
        treatment: predictions of the model that may replace it.
        metric: what they are compared by.
        margin: the least gain that is worth having.
        rule: `interval`, or `point` to replay a published gate.
        claim: `better`, or `equal` to show that they differ by less than the margin.
        groups: as in `evaluate`.
        split: as in `evaluate`.
        images: as in `evaluate`.
        level: of the interval; a claim of equality is decided by one of 2·level − 1.
        conf: as in `evaluate`.
        sigmas: as in `evaluate`.
        common: compare on the images that both were run on; `caveats` then names what was left out.
        by: as in `evaluate`.
        threats: as in `evaluate`.
        threshold: as in `evaluate`.
        val: predictions of control and treatment on val, where the threshold of each is chosen.
        val_truth: as in `evaluate`.
        open_anyway: as in `evaluate`.
        progress: as in `evaluate`.

    Raises:
        Refused: as `evaluate`.
        UsageError: as `evaluate`, or the metric, the level or the margin make no sense.
    """
    spec = ComparisonSpec(metric, margin, rule, claim, level, conf, sigmas)
    spec.validate()
    screening = _Screening(threats, threshold, val, val_truth or truth, images)
    screening.validate(models=2)
    dataset = read_truth(truth, groups=groups, split=split, images=images, progress=progress)
    sources = (control, treatment)
    inputs = _read(dataset, sources, common=common, by=by, open_anyway=open_anyway, screening=screening)
    spec = replace(spec, thresholds=inputs.thresholds, slices=inputs.slices)
    first, second = inputs.predictions
    result = comparing.compare(inputs.truth, first, second, spec)
    return replace(result, caveats=(*inputs.caveats(), *result.caveats))


def compare_arms(
    truth: Truth,
    control: PredictionsSource,
    treatments: Mapping[str, PredictionsSource],
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
) -> Comparisons:
    """Compare several named treatments with one control; their intervals hold all at once.

    Args:
        truth: as in `compare`.
        control: as in `compare`.
        treatments: name → predictions.
        metric: as in `compare`.
        margin: as in `compare`.
        rule: as in `compare`.
        claim: as in `compare`.
        groups: as in `compare`.
        split: as in `compare`.
        images: as in `compare`.
        level: as in `compare`.
        conf: as in `compare`.
        sigmas: as in `compare`.
        common: as in `compare`.
        by: as in `compare`.
        threats: as in `compare`.
        threshold: as in `compare`.
        val: predictions on val of the control, then of each treatment.
        val_truth: as in `compare`.
        open_anyway: as in `compare`.
        progress: as in `compare`.

    Raises:
        Refused: as `compare`.
        UsageError: as `compare`, or no treatment.
    """
    spec = ComparisonSpec(metric, margin, rule, claim, level, conf, sigmas)
    spec.validate()
    sources = (control, *treatments.values())
    screening = _Screening(threats, threshold, val, val_truth or truth, images)
    screening.validate(models=len(sources))
    dataset = read_truth(truth, groups=groups, split=split, images=images, progress=progress)
    inputs = _read(dataset, sources, common=common, by=by, open_anyway=open_anyway, screening=screening)
    spec = replace(spec, thresholds=inputs.thresholds, slices=inputs.slices)
    first, *others = inputs.predictions
    named = dict(zip(treatments, others, strict=True))
    result = multiple_comparisons.compare_arms(inputs.truth, first, named, spec)
    noted = {name: replace(one, caveats=(*inputs.caveats(), *one.caveats)) for name, one in result.treatments.items()}
    return replace(result, treatments=noted)


def size_models(
    truth: Truth,
    control: PredictionsSource,
    treatment: PredictionsSource,
    difference: float,
    *,
    metric: str = "mAP50-95",
    margin: float = 0.0,
    groups: str | None = None,
    split: str | None = None,
    images: Path | str | None = None,
    level: float = 0.95,
    power: float = 0.8,
    conf: float = 0.25,
    sigmas: Sigmas = None,
    common: bool = False,
    open_anyway: str | None = None,
    progress: Progress = silent,
) -> SizeAnswer:
    """Return how many groups show that two models differ by `difference`, planned from a pilot's predictions.

    Args:
        truth: as in `compare`.
        control: as in `compare`.
        treatment: as in `compare`.
        difference: the difference that is hoped for.
        metric: as in `compare`.
        margin: as in `compare`.
        groups: as in `compare`.
        split: as in `compare`.
        images: as in `compare`.
        level: as in `compare`.
        power: chance that the comparison then passes.
        conf: as in `compare`.
        sigmas: as in `compare`.
        common: as in `compare`.
        open_anyway: as in `compare`.
        progress: as in `compare`.

    Raises:
        Refused: as `compare`.
        UsageError: as `compare`, the pilot has no interval, or the difference is not above the margin.
    """
    pilot = compare(
        truth, control, treatment, metric=metric, margin=margin, groups=groups, split=split, images=images, level=level,
        conf=conf, sigmas=sigmas, common=common, open_anyway=open_anyway, progress=progress,
    )  # fmt: skip
    return size_from_pilot(pilot, difference, margin=margin, level=level, power=power)


@overload
def size(
    claim: Literal["rate", "difference"], first: float, second: float, /, *, per_group: float = 1.0, icc: float = 0.0,
    level: float = 0.95, power: float = 0.8, have: int | None = None,
) -> SizeAnswer: ...  # fmt: skip
@overload
def size(
    claim: Literal["kappa"], kappa: float, half_width: float, /, *, prevalence: float = 0.5, level: float = 0.95,
    have: int | None = None,
) -> SizeAnswer: ...  # fmt: skip
@overload
def size(
    claim: Literal["seeds"], probability: float = 0.75, /, *, have: int | None = None, tail: float = 0.05
) -> SizeAnswer: ...
@overload
def size(
    claim: Literal["models"], truth: Truth, control: PredictionsSource, treatment: PredictionsSource,
    difference: float, /, **options: object,
) -> SizeAnswer: ...  # fmt: skip
def size(claim: str, /, *values: object, **options: object) -> SizeAnswer:
    """Return how much data a claim needs: the function `size_CLAIM`, with its arguments.

    Args:
        claim: `rate`, `difference`, `models`, `kappa` or `seeds`.
        values: the positional arguments of `size_rate`, `size_difference`, `size_models`, `size_kappa`, `size_seeds`.
        options: its keyword arguments.

    Raises:
        UsageError: no such claim, or as that function.

    >>> size("rate", 0.95, 0.98).images
    312
    """
    questions: dict[str, Callable[..., SizeAnswer]] = {
        "rate": size_rate,
        "difference": size_difference,
        "models": size_models,
        "kappa": size_kappa,
        "seeds": size_seeds,
    }
    if claim not in questions:
        raise UsageError(f"no claim {claim!r}", hint=suggestion(claim, questions))
    return questions[claim](*values, **options)


class _Inputs(NamedTuple):
    """What the files held, ready to be computed with."""

    truth: Dataset
    predictions: tuple[Predictions, ...]
    thresholds: tuple[ImageLevelThreshold, ...]
    """Of each model; empty where no image-level metrics are wanted"""
    slices: dict[str, str] | None
    contaminated: str
    """Which locked split was opened, and why; empty: none"""
    common: str | None
    """Which images were left out"""

    def remarks(self) -> dict[str, str]:
        """Return what must be read beside the numbers, by its name in `Evaluation.settings`."""
        odd = "; ".join(dict.fromkeys(text for one in self.predictions if (text := odd_predictions(one))))
        texts = {
            "contaminated": self.contaminated, "common": self.common, "truth_faults": faults_of_truth(self.truth),
            "remarks": odd,
        }  # fmt: skip
        return {name: text for name, text in texts.items() if text}

    def caveats(self) -> tuple[str, ...]:
        """Return the same as sentences."""
        odd = dict.fromkeys(odd_predictions(one) for one in self.predictions)
        return tuple(text for text in (self.contaminated, self.common, faults_of_truth(self.truth), *odd) if text)


def _read(
    dataset: Dataset,
    sources: Sequence[PredictionsSource],
    *,
    common: bool,
    by: str | None,
    open_anyway: str | None,
    screening: _Screening,
) -> _Inputs:
    contaminated = _require_unlocked(dataset, sources, open_anyway)
    thresholds = screening.choose(dataset, len(sources))
    found, note = read_all_predictions(sources, dataset), None
    if common:
        dataset, found, note = on_common_images(dataset, *found)
    slices = None if by is None else slice_images(dataset, by, base=Path.cwd())
    return _Inputs(dataset, found, thresholds, slices, contaminated, note)


def _require_unlocked(truth: Dataset, sources: Sequence[PredictionsSource], reason: str | None) -> str:
    """Refuse images that a study locks; with a reason record the opening and return a sentence on what it means.

    Raises:
        Refused: they are locked, and no reason to open them is given.
    """
    notes = []
    for found in locked_by(truth, nearby_folders(truth)):
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
    """Return what identifies one set of predictions, so that opening the split for the same set counts once."""
    if isinstance(source, PrefetchedResults):
        source = source.path
    if isinstance(source, Predictions):
        return source.content_hash()
    if not isinstance(source, str | Path):
        return secrets.token_hex(16)  # objects of another library: every opening is a new one
    path = Path(source)
    return [str(path), path.stat().st_mtime_ns if path.exists() else 0]


@dataclass(frozen=True)
class _Screening:
    """The request for image-level metrics: positive classes, and how each model's threshold is chosen."""

    positive_classes: Sequence[str]
    threshold: float | str | None
    val: Sequence[PredictionsSource]
    """Predictions of each model on val"""
    val_truth: Truth
    images: Path | str | None

    def validate(self, models: int) -> None:
        """Check what needs no data.

        Raises:
            UsageError: no threshold, or a rule without the predictions on val that it needs.
        """
        if not self.positive_classes:
            if self.threshold is not None or self.val:
                raise UsageError(
                    "a threshold is of images with threats", hint="--threats gun,knife says which classes are one"
                )
            return
        if self.threshold is None:
            hint = "--threshold 0.4, or --threshold f1 --val PREDICTIONS to choose it on val"
            raise UsageError("from which score on is an image flagged?", hint=hint)
        if self._number() is not None:
            if self.val:
                raise UsageError("a threshold that is given is not chosen on val", got=self.threshold)
            return
        rule = ThresholdRule.parse(str(self.threshold))
        if len(self.val) != models:
            raise UsageError(
                f"{rule} is chosen on val, with predictions of each model",
                expected=models, got=len(self.val),
                hint="--val PREDICTIONS, on the val split of the truth or of --val-truth; once for each model",
            )  # fmt: skip

    def choose(self, evaluated: Dataset, models: int) -> tuple[ImageLevelThreshold, ...]:
        """Return the threshold of each model; none where no image-level metrics are wanted.

        Raises:
            UsageError: the threshold would be chosen on images that are then judged by it.
        """
        positive = tuple(self.positive_classes)
        if not positive:
            return ()
        if (number := self._number()) is not None:
            return (ImageLevelThreshold(positive, number),) * models
        val = read_truth(self.val_truth, images=self.images)
        demand_unlocked(val, "a threshold is chosen on images that are not locked")
        if shared := _shared_images(val, evaluated):
            where = self.val_truth.source if isinstance(self.val_truth, Dataset) else self.val_truth
            raise UsageError(
                "the threshold would be chosen on images that it is judged by", where=where,
                got=f"{shared} images in both",
                hint="--split test to judge on test, --val-truth to choose elsewhere",
            )  # fmt: skip
        rule = ThresholdRule.parse(str(self.threshold))
        return tuple(choose_image_threshold(val, read_predictions(source, val), positive, rule) for source in self.val)

    def _number(self) -> float | None:
        try:
            return None if self.threshold is None else float(self.threshold)
        except ValueError:
            return None


def _shared_images(val: Dataset, evaluated: Dataset) -> int:
    """Return how many images of `val` are evaluated too: by name within one data set, by content elsewhere."""
    if val.root == evaluated.root:
        return len({image.id for image in val.images} & {image.id for image in evaluated.images})
    return int(ImageIdentities.of(evaluated).shared_with(val).sum())


def odd_predictions(predictions: Predictions) -> str:
    """Return what was unusual in the predictions and was read all the same; empty: nothing."""
    scores, ids = (predictions.settings.get(key) for key in ("scores_outside_0_1", "image_ids_respelled"))
    texts = list(predictions.notes)
    most = predictions.settings.get("max_det")
    if isinstance(most, int) and len(predictions):
        full = sum(count >= most for count in Counter(predictions.image.tolist()).values())
        if full:
            texts.append(f"{full} images have as many detections as max_det ({most}) allowed: there may have been more")
    if scores:
        texts.append(f"{scores} scores lie outside 0 … 1: AP ranks by them, but a confidence threshold means nothing")
    if ids:
        texts.append(f'{ids} image ids of predictions and truth differ in type (2299, "2299"): they were matched')
    return "; ".join(texts)
