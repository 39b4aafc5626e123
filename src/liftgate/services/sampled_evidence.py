"""Draw images to label with known probabilities, and evaluate and compare on such a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.detections import PredictionsSource
from liftgate.data.grouping.slicing import slice_images
from liftgate.data.sampling.locked import locked_frames, read_locked, refuse_unknown_groups
from liftgate.data.sampling.records import CandidateFrame
from liftgate.data.sampling.sample import copy_frames
from liftgate.errors import UsageError
from liftgate.evaluation import compare as comparing
from liftgate.evaluation.drawn_sample import DrawnFrames, on_sample, read_sample, require_sample_place, write_sample
from liftgate.evaluation.group_hints import key_caveats
from liftgate.evaluation.label_errors import compare_with_errors, evaluate_with_errors
from liftgate.evaluation.records import Comparison, Evaluation
from liftgate.evaluation.spec import ComparisonSpec, EvaluationSpec, require_reachable_margin
from liftgate.evaluation.truth import Truth, read_truth
from liftgate.evaluation.weighted_evaluation import evaluate_sample as evaluate_weighted
from liftgate.hashing import short
from liftgate.judging.frame_design import PURPOSES, FrameDraw, Purpose, draw_frames
from liftgate.ledger.chain import Ledger
from liftgate.ledger.entry import Entry
from liftgate.ledger.recorded_files import require_recorded_sample
from liftgate.ledger.records import Body, SampleEntry
from liftgate.ledger.workspace import results_folder
from liftgate.progress import Progress, silent
from liftgate.services.evidence_inputs import EvidenceInputs, odd_predictions, read_inputs, require_unlocked
from liftgate.services.image_level_request import ImageLevelRequest
from liftgate.services.label_error_rate import label_error_rate
from liftgate.study.records import ClaimWord
from liftgate.suggestions import suggestion


def draw_sample(
    frames: Path | str | Dataset,
    out: Path | str | None,
    purpose: Purpose,
    control: PredictionsSource,
    treatment: PredictionsSource | None = None,
    *,
    budget: int = 200,
    groups: str | None = None,
    classes: Sequence[str] = (),
    never: Sequence[str] = (),
    strata: str | None = None,
    conf: float = 0.25,
    per_group: int | None = None,
    seed: int = 0,
    study: Path | str | None = None,
    copy: Path | str | None = None,
    progress: Progress = silent,
) -> FrameDraw:
    """Draw the images to label for a measurement, with recorded probabilities.

    Args:
        frames: folder of images, frames.csv, or a data set, whose labels are not used.
        out: sample.csv, with sample.json beside it; None: nothing is written.
        purpose: `compare`, `recall` or `map`.
        control: predictions of the model in use on these images.
        treatment: of another model; needed for `compare`.
        budget: number of images.
        groups: as in `evaluate`.
        classes: names of the classes, where nothing tells them.
        never: `split.csv[:NAME]` whose groups are never drawn.
        strata: rule for slices, such as the camera or the day: every slice is drawn from as often as the probabilities
            of its groups add up to.
        conf: confidence from which detections count.
        per_group: most images of one group; None: so many that at least 20 groups, or all, are in the sample.
        seed: of the draw.
        study: study.yaml in whose ledger the sample is recorded; None: only sample.json vouches for it.
        copy: folder to which the images of the sample are copied, before the sample is written; None: they are not.
        progress: called with the number of items done and in all.

    Raises:
        Refused: it is unknown whether an image belongs to a locked group, or a study locks images that `never` does not
            name: they are known by content, wherever they lie.
        UsageError: an unknown purpose, predictions that do not belong to the images, or too small a budget.
    """
    # Imported here, which keeps the chain of imports short.
    from liftgate.services.judging import aligned_predictions, source_hash, unlabelled_images

    if purpose not in PURPOSES:
        raise UsageError(f"no purpose {purpose!r}", expected=", ".join(PURPOSES), hint=suggestion(purpose, PURPOSES))
    if study is not None:
        results_folder(Path(study))  # a study that cannot be read is refused before anything is written
        if out is None:
            raise UsageError("a sample is recorded where it is written", expected="a file for it", got=None)
    sources = [control] if treatment is None else [control, treatment]
    dataset = unlabelled_images(frames, sources, classes, groups, progress)
    dataset, models = aligned_predictions(dataset, sources)
    locks = [read_locked(text) for text in never]
    candidates = [CandidateFrame(image.id, image.path, image.group or "") for image in dataset.images]
    refuse_unknown_groups(candidates, locks)
    locked = locked_frames(candidates, locks) if locks else np.zeros(len(candidates), dtype=np.bool_)
    if not locked.all():
        require_unlocked(dataset.take(~locked), sources, None)
    drawn = draw_frames(
        dataset, models[0], models[1] if treatment is not None else None, purpose, budget=budget, seed=seed, conf=conf,
        per_group=per_group, locked=locked,
        strata=None if strata is None else slice_images(dataset, strata, base=Path.cwd()),
    )  # fmt: skip
    odd = dict.fromkeys(text for one in models if (text := odd_predictions(one)))
    drawn = replace(drawn, notes=(*odd, *drawn.notes))
    if out is not None:
        require_sample_place(drawn.sample, Path(out))  # before images of it are copied
    if copy is not None:
        chosen = set(drawn.sample.images)
        copy_frames([one for one in candidates if one.image in chosen], Path(copy), progress)
    if out is not None:
        write_sample(drawn.sample, Path(out))
        if study is not None:
            _record(drawn.sample, Path(out), Path(study), tuple(source_hash(one) for one in sources))
    return drawn


def _record(sample: DrawnFrames, path: Path, study: Path, predictions: tuple[str, ...]) -> None:
    """Write a sample into the ledger of a study."""
    folder, place = study.absolute().parent, path.absolute()
    file = place.relative_to(folder).as_posix() if place.is_relative_to(folder) else str(place)
    entry = SampleEntry(file, sample.hash, sample.purpose, len(sample.images), predictions)

    def decide(entries: Sequence[Entry]) -> Body | None:  # once, also if the same is drawn again, as after a kill
        return None if any(one.parse(SampleEntry) == entry for one in entries) else entry.to_body()

    Ledger(results_folder(study) / "ledger.sqlite").append_if(SampleEntry.KIND, decide)


def _read_recorded(path: Path) -> DrawnFrames:
    """Read a sample as it was drawn, by its own hash and by the ledger of a study that has recorded it."""
    sample = read_sample(path)
    require_recorded_sample(path, sample.hash)
    return sample


def evaluate_sample(
    truth: Truth,
    predictions: PredictionsSource,
    sample: Path | str,
    *,
    split: str | None = None,
    images: Path | str | None = None,
    level: float = 0.95,
    conf: float = 0.25,
    label_errors: float | str | Path | None = None,
    open_anyway: str | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluate predictions on the images of a drawn sample, each weighted by its inverse probability.

    Args:
        truth: labels; it lists every image that was predicted on, and has labels of those in the sample.
        predictions: as in `evaluate`.
        sample: sample.csv of `draw_sample`.
        split: as in `evaluate`.
        images: as in `evaluate`.
        level: as in `evaluate`.
        conf: as in `evaluate`.
        label_errors: as in `evaluate`, but no review; the share is that of all images, not of the sample's.
        open_anyway: as in `evaluate`.
        progress: as in `evaluate`.

    Raises:
        Refused: as `evaluate`.
        UsageError: as `evaluate`; the sample was edited, or an image of it has no labels.
    """
    spec = EvaluationSpec(level, conf)
    spec.validate()
    drawn = _read_recorded(Path(sample))
    inputs = _inputs(read_truth(truth, split=split, images=images, progress=progress), [predictions], open_anyway)
    sampled, (predicted,) = on_sample(inputs.truth, drawn), inputs.predictions
    if label_errors is None:
        found = evaluate_weighted(sampled, predicted, spec, drawn.weights)
    else:
        errors = label_error_rate(label_errors, sampled, sampled=True)
        found = evaluate_with_errors(sampled, predicted, spec, errors, drawn.weights)
    settings = {**found.settings, **inputs.remarks(), "sample": drawn.hash, "note": _note(drawn)}
    if alone := key_caveats(drawn.images, drawn.groups):
        settings["groups"] = "; ".join(alone)
    return replace(found, settings=settings)


def compare_sample(
    truth: Truth,
    control: PredictionsSource,
    treatment: PredictionsSource,
    sample: Path | str,
    *,
    metric: str = "mAP50-95",
    margin: float = 0.0,
    claim: ClaimWord = "better",
    split: str | None = None,
    images: Path | str | None = None,
    level: float = 0.95,
    conf: float = 0.25,
    label_errors: float | str | Path | None = None,
    open_anyway: str | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Compare two models on the images of a drawn sample, each weighted by its inverse probability.

    Args:
        truth: as in `evaluate_sample`.
        control: as in `compare`.
        treatment: as in `compare`.
        sample: sample.csv of `draw_sample`.
        metric: as in `compare`; not those of whole images.
        margin: as in `compare`.
        claim: as in `compare`.
        split: as in `evaluate`.
        images: as in `evaluate`.
        level: as in `compare`.
        conf: as in `evaluate`.
        label_errors: as in `compare`, but no review; the share is that of all images, not of the sample's.
        open_anyway: as in `evaluate`.
        progress: as in `evaluate`.

    Raises:
        Refused: as `evaluate`.
        UsageError: as `compare`; the sample was edited, or an image of it has no labels.
    """
    drawn = _read_recorded(Path(sample))
    spec = ComparisonSpec(metric, margin, "interval", claim, level, conf, weights=drawn.weights)
    spec.validate()
    require_reachable_margin(metric, margin, claim)
    whole = read_truth(truth, split=split, images=images, progress=progress)
    inputs = _inputs(whole, [control, treatment], open_anyway)
    first, second = inputs.predictions
    sampled = on_sample(inputs.truth, drawn)
    if label_errors is None:
        result = comparing.compare(sampled, first, second, spec)
    else:
        errors = label_error_rate(label_errors, sampled, sampled=True)
        result = compare_with_errors(sampled, first, second, spec, errors)
    alone = key_caveats(drawn.images, drawn.groups)
    caveats = dict.fromkeys((_note(drawn), *alone, *inputs.caveats(), *result.caveats))  # each once
    return replace(result, images=(), caveats=tuple(caveats))


def _inputs(truth: Dataset, sources: Sequence[PredictionsSource], open_anyway: str | None) -> EvidenceInputs:
    none = ImageLevelRequest((), None, (), truth, None)
    return read_inputs(truth, sources, common=False, by=None, open_anyway=open_anyway, image_level=none)


def _note(drawn: DrawnFrames) -> str:
    return (
        f"a sample of {len(drawn.images)} of {drawn.n_frames:,} images, drawn for {drawn.purpose} "
        f"({short(drawn.hash)}): every image is weighted by its inverse probability"
    )
