"""Evaluate and compare predictions from files; images that a study locks are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from liftgate.data.detections import PredictionsSource
from liftgate.evaluation.metric_options import Pck, Sigmas
from liftgate.evaluation.records import Comparison, Comparisons, Evaluation
from liftgate.evaluation.spec import ComparisonSpec, EvaluationSpec, require_reachable_margin
from liftgate.evaluation.truth import Truth, read_truth
from liftgate.progress import Progress, silent
from liftgate.services.evidence_inputs import read_inputs
from liftgate.services.image_level_request import ImageLevelRequest
from liftgate.study.vocabulary import ClaimWord, Rule

# What measures is imported by the function that needs it: to evaluate one model takes a third of it.


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
    label_errors: float | str | Path | None = None,
    open_anyway: str | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluate predictions of any form against a data set.

    Args:
        truth: COCO JSON, data.yaml, VOC folder, or a Dataset.
        predictions: a file, folder or object; see `read_predictions`.
        groups: regex with (?P<group>…), CSV with columns image,group, or `folder`.
        split: which split; default val, where the truth has one.
        images: folder of the images, where the labels do not name it.
        level: confidence level of the intervals.
        conf: confidence threshold of recall, precision and false positives.
        sigmas: OKS sigmas: `coco`, one number, or one for each keypoint.
        common: evaluate only the images that were predicted on; `settings["common"]` then names what was left out.
        by: rule that gives each image its slice, see `slice_images`; adds every metric slice by slice.
        errors: add the types of mistakes.
        pck: normalisers with a fraction, as `box_diagonal=0.05`.
        threats: positive classes of the image-level metrics (screening).
        threshold: least score of a flagged image; or `f1`, `recall=0.9` or `false_alarms=0.05`, which choose
            it with the predictions `val` on val.
        val: predictions on val by which the threshold is chosen.
        val_truth: truth of val, if that is another file.
        label_errors: the largest share of the labels of each class that may be wrong, or the JSON of `data agree` or
            `check --reviewed`; intervals then hold whatever these labels should have been.
        open_anyway: reason to evaluate images that a study has locked. Its ledger records the opening, and
            `settings["contaminated"]` marks the result.
        progress: called with the number of items done and in all.

    Raises:
        Refused: a study locks these images, by its ledger in `runs/` of this folder or around the truth.
        UsageError: a file cannot be read, the split does not exist, or the two do not belong together.
    """
    spec = EvaluationSpec(level, conf, sigmas, errors=errors, pck=tuple(Pck.parse(text) for text in pck))
    spec.validate()
    image_level = ImageLevelRequest(threats, threshold, () if val is None else (val,), val_truth or truth, images)
    image_level.validate(models=1)
    dataset = read_truth(truth, groups=groups, split=split, images=images, progress=progress)
    inputs = read_inputs(
        dataset, (predictions,), common=common, by=by, open_anyway=open_anyway, image_level=image_level
    )
    chosen = inputs.thresholds[0] if inputs.thresholds else None
    spec = replace(spec, threshold=chosen, slices=inputs.slices)
    if label_errors is None:
        from liftgate.evaluation import evaluate as evaluating

        result = evaluating.evaluate(inputs.truth, inputs.predictions[0], spec)
    else:
        from liftgate.evaluation.label_errors import evaluate_with_errors
        from liftgate.services.label_error_rate import label_error_rate

        result = evaluate_with_errors(
            inputs.truth, inputs.predictions[0], spec, label_error_rate(label_errors, inputs.truth)
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
    label_errors: float | str | Path | None = None,
    open_anyway: str | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Compare two sources of predictions on the same truth.

    Args:
        truth: COCO JSON, data.yaml, VOC folder, or a Dataset.
        control: predictions of the present model.
        treatment: predictions of the model that may replace it.
        metric: the metric that is compared.
        margin: the least worthwhile gain.
        rule: `interval`, or `point` to replay a published gate.
        claim: `better`, or `equal` to show that they differ by less than the margin.
        groups: as in `evaluate`.
        split: as in `evaluate`.
        images: as in `evaluate`.
        level: confidence level of the interval; a claim of equality is decided by one of level 2·level − 1.
        conf: as in `evaluate`.
        sigmas: as in `evaluate`.
        common: compare on the images that both were predicted on; `caveats` then names what was left out.
        by: as in `evaluate`.
        threats: as in `evaluate`.
        threshold: as in `evaluate`.
        val: predictions of control and treatment on val, by which the threshold of each is chosen.
        val_truth: as in `evaluate`.
        label_errors: as in `evaluate`: the verdict then holds whatever these labels should have been.
        open_anyway: as in `evaluate`.
        progress: as in `evaluate`.

    Raises:
        Refused: as `evaluate`.
        UsageError: as `evaluate`, or an invalid metric, level or margin.
    """
    spec = ComparisonSpec(metric, margin, rule, claim, level, conf, sigmas)
    spec.validate()
    require_reachable_margin(metric, margin, claim)
    image_level = ImageLevelRequest(threats, threshold, val, val_truth or truth, images)
    image_level.validate(models=2)
    dataset = read_truth(truth, groups=groups, split=split, images=images, progress=progress)
    sources = (control, treatment)
    inputs = read_inputs(dataset, sources, common=common, by=by, open_anyway=open_anyway, image_level=image_level)
    spec = replace(spec, thresholds=inputs.thresholds, slices=inputs.slices)
    first, second = inputs.predictions
    if label_errors is None:
        from liftgate.evaluation import compare as comparing

        result = comparing.compare(inputs.truth, first, second, spec)
    else:
        from liftgate.evaluation.label_errors import compare_with_errors
        from liftgate.services.label_error_rate import label_error_rate

        result = compare_with_errors(inputs.truth, first, second, spec, label_error_rate(label_errors, inputs.truth))
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
    label_errors: float | str | Path | None = None,
    open_anyway: str | None = None,
    progress: Progress = silent,
) -> Comparisons:
    """Compare several named treatments with one control, with simultaneous intervals.

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
        label_errors: as in `compare`.
        open_anyway: as in `compare`.
        progress: as in `compare`.

    Raises:
        Refused: as `compare`.
        UsageError: as `compare`, or no treatment.
    """
    spec = ComparisonSpec(metric, margin, rule, claim, level, conf, sigmas)
    spec.validate()
    require_reachable_margin(metric, margin, claim)
    sources = (control, *treatments.values())
    image_level = ImageLevelRequest(threats, threshold, val, val_truth or truth, images)
    image_level.validate(models=len(sources))
    dataset = read_truth(truth, groups=groups, split=split, images=images, progress=progress)
    inputs = read_inputs(dataset, sources, common=common, by=by, open_anyway=open_anyway, image_level=image_level)
    spec = replace(spec, thresholds=inputs.thresholds, slices=inputs.slices)
    first, *others = inputs.predictions
    named = dict(zip(treatments, others, strict=True))
    if label_errors is None:
        from liftgate.evaluation import multiple_comparisons

        result = multiple_comparisons.compare_arms(inputs.truth, first, named, spec)
    else:
        from liftgate.evaluation.label_errors import compare_arms_with_errors
        from liftgate.services.label_error_rate import label_error_rate

        rate = label_error_rate(label_errors, inputs.truth)
        result = compare_arms_with_errors(inputs.truth, first, named, spec, rate)
    noted = {name: replace(one, caveats=(*inputs.caveats(), *one.caveats)) for name, one in result.treatments.items()}
    return replace(result, treatments=noted)
