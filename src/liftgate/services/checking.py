"""`check`: findings in a study, in a data set on disk, or in a `Dataset` in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from liftgate.checks.probes.label_mistakes import find_mistakes
from liftgate.checks.run import CheckResult, validate_selection
from liftgate.checks.run import run as run_rules
from liftgate.checks.subject import Subject
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.detections import PredictionsSource, read_predictions
from liftgate.data.formats.read import read
from liftgate.data.formats.write import Written, write_dataset
from liftgate.data.grouping.groups import assign_groups
from liftgate.errors import UsageError
from liftgate.files import require_empty
from liftgate.judging.mending import images_with, mend
from liftgate.judging.review import (
    Review,
    ReviewedKind,
    accepted_mistakes,
    draw_review,
    read_review,
    reviewed,
    write_review,
)
from liftgate.ledger.chain import Ledger
from liftgate.ledger.workspace import Workspace
from liftgate.pipeline.datasets import StudyDatasets
from liftgate.pipeline.folds import require_folds
from liftgate.pipeline.shares import require_shares
from liftgate.pipeline.steps.checking import measured_arms
from liftgate.progress import Progress, silent
from liftgate.services.checked_models import inspect_model, is_model
from liftgate.services.evidence_inputs import require_unlocked
from liftgate.services.recorded_mistakes import recorded_search
from liftgate.study.study_file import is_study, load, study_path


def check(
    source: str | Path | Dataset,
    *,
    groups: str | None = None,
    images: str | Path | None = None,
    predictions: PredictionsSource | None = None,
    select: Sequence[str] | None = None,
    ignore: Mapping[str, str] | None = None,
    page: str | Path | None = None,
    command: str = "",
    overrides: Mapping[str, str] | None = None,
    open_anyway: str | None = None,
    progress: Progress = silent,
) -> CheckResult:
    """Return the findings in a study.yaml, in one data set of any format, or in a model file.

    Args:
        source: study.yaml or its folder, data.yaml, COCO JSON, Pascal VOC folder, or a data set in memory; or a model:
            a .pt, an .onnx, an OpenVINO .xml, or the folder of an export.
        groups: rule for the groups of a data set; a study has its own.
        images: folder of the images, where the labels do not name it.
        predictions: of a model that was trained on other images, on this data set: adds the findings `mistakes.…`.
        select: only these ids or families of findings.
        ignore: id or family → the reason, which is recorded.
        page: HTML file to which the findings are also written, with pictures.
        command: command line to show on the page.
        overrides: changes to a study, dotted key → value, as `--set` gives them.
        open_anyway: as in `evaluate`, for the images of the predictions.
        progress: called during the work.

    Raises:
        Refused: a study locks images that were predicted on.
        UsageError: the source cannot be read, or `select` or `ignore` names no finding.
    """
    validate_selection(select, ignore)  # before data are read
    contaminated = ""
    if not isinstance(source, Dataset):
        source = study_path(Path(source))
    if not isinstance(source, Dataset) and is_model(Path(source)):
        given = (("groups", groups), ("images", images), ("predictions", predictions), ("page", page))
        if named := [name for name, value in given if value is not None]:
            raise UsageError(
                "a model has no data", where=source, got=", ".join(named), hint="check the data set itself"
            )
        subject = Subject({}, models=(inspect_model(Path(source)),))
    elif not isinstance(source, Dataset) and is_study(Path(source)):
        if predictions is not None:
            raise UsageError("predictions are checked against one data set", got="a study", hint="give its data.yaml")
        study = load(Path(source), overrides or {})
        workspace = Workspace(study)
        measured = measured_arms(Ledger(workspace.ledger)) if workspace.ledger.is_file() else {}
        opened = StudyDatasets(study, workspace, progress)
        datasets, unsplit = opened.as_far_as_split()
        if not unsplit:
            require_folds(study, opened)
            require_shares(study, opened)
        subject = Subject(datasets, study, measured=measured, unsplit=unsplit)
        ignore = {**study.ignore, **(ignore or {})}
    else:
        dataset = (
            source
            if isinstance(source, Dataset)
            else read(Path(source), images=None if images is None else Path(images), progress=progress)
        )
        if groups is not None:
            dataset = assign_groups(dataset, groups, base=Path.cwd())
        found = {}
        if predictions is not None:
            found[dataset.name], contaminated = _unlocked_predictions(predictions, dataset, open_anyway)
        subject = Subject(datasets={dataset.name: dataset}, study=None, predictions=found)
    result = run_rules(subject, select=select, ignore=ignore or {}, progress=progress)
    result = replace(result, contaminated=contaminated)
    if page is not None:
        from liftgate.reporting.dataset_pages.findings import findings_page, render_findings  # Jinja: only for a page

        render_findings(findings_page(result, subject, command), Path(page))
    return result


def review_mistakes(
    source: str | Path | Dataset,
    predictions: PredictionsSource | None,
    folder: str | Path,
    *,
    groups: str | None = None,
    images: str | Path | None = None,
    most: int = 100,
    seed: int = 0,
    open_anyway: str | None = None,
    progress: Progress = silent,
) -> Review:
    """Write a page on which a person accepts or rejects suspected mistakes in labels.

    Args:
        source: data.yaml, COCO JSON, Pascal VOC folder, or a data set in memory; or a study whose flow searched for
            mistakes.
        predictions: of a model that was trained on other images; None: those of the study's folds.
        folder: a new folder for review.html and review.json.
        groups: rule for the groups of the data set.
        images: folder of the images, where the labels do not name it.
        most: mistakes of each kind, drawn at random where more are flagged.
        seed: of the draw.
        open_anyway: as in `evaluate`, for the images of the predictions.
        progress: called during the work.

    Raises:
        Refused: a study locks images that were predicted on.
        UsageError: the source cannot be read, nothing is flagged, or the folder is not empty.
    """
    require_empty(Path(folder))
    if predictions is None:
        searched = recorded_search(_study_of(source), progress)
        dataset, found, mistakes = searched.dataset, searched.predictions, searched.mistakes
    else:
        dataset = _labels(source, groups, images, progress)
        found, _ = _unlocked_predictions(predictions, dataset, open_anyway)
        mistakes = find_mistakes(dataset, found)
    review = draw_review(dataset, found, mistakes, most=most, seed=seed)
    write_review(review, dataset, Path(folder), progress=progress)
    return review


def reviewed_mistakes(review: str | Path, answers: str | Path) -> list[ReviewedKind]:
    """Return how many of the flagged labels are mistakes, by the answers of a review.

    Args:
        review: review.json, or its folder.
        answers: answers.csv of the page.

    Raises:
        UsageError: the review was edited, or the answers are of another one, given twice or incomplete.
    """
    return reviewed(read_review(Path(review)), Path(answers))


def mend_mistakes(
    source: str | Path | Dataset,
    review: str | Path,
    answers: str | Path,
    folder: str | Path,
    *,
    to: str = "yolo",
    groups: str | None = None,
    images: str | Path | None = None,
    progress: Progress = silent,
) -> Written:
    """Write a copy of a data set in which the mistakes that a person accepted are undone.

    Spurious labels are deleted, wrong classes become the model's, wrong boxes are drawn as the model has them, and
    missing objects get the model's box. Boxes of a model are drafts: `to="cvat"` writes only the images on which
    something was accepted, for a person to correct.

    Args:
        source: the labels that were reviewed, or the study; they must be as they were then.
        review: review.json, or its folder.
        answers: answers.csv of the page.
        folder: a new folder.
        to: yolo, coco, voc or cvat.
        groups: as in `review_mistakes`.
        images: as in `review_mistakes`.
        progress: called during the work.

    Raises:
        UsageError: as `reviewed_mistakes`; the labels were changed since, nothing was accepted, or the folder is not
            empty.
    """
    require_empty(Path(folder))
    drawn = read_review(Path(review))
    accepted = accepted_mistakes(drawn, Path(answers))
    if not accepted:
        raise UsageError("nothing was accepted, so there is nothing to mend", where=answers)
    if not isinstance(source, Dataset) and is_study(Path(source)):
        dataset = recorded_search(Path(source), progress).dataset
    else:
        dataset = _labels(source, groups, images, progress)
    mended = mend(dataset, drawn, accepted)
    if to == "cvat":
        mended = images_with(mended, accepted)
    return write_dataset(mended, to, Path(folder), progress=progress)


def _unlocked_predictions(
    source: PredictionsSource, dataset: Dataset, open_anyway: str | None
) -> tuple[Predictions, str]:
    """Return predictions whose images no study locks, and a sentence where some were opened anyway.

    Which labels a model contradicts says how good it is on these images, as `evaluate` would.
    """
    found = read_predictions(source, dataset)
    known = set(found.images)
    predicted = np.array([image.id in known for image in dataset.images], dtype=np.bool_)
    return found, require_unlocked(dataset.take(predicted), (source,), open_anyway)


def _labels(source: str | Path | Dataset, groups: str | None, images: str | Path | None, progress: Progress) -> Dataset:
    """Return a data set with its groups."""
    if isinstance(source, Dataset):
        dataset = source
    elif is_study(Path(source)):
        hint = "a study is reviewed by its own predictions: leave --predictions out, or give its data.yaml"
        raise UsageError("predictions are of one data set", where=source, got="a study", hint=hint)
    else:
        dataset = read(Path(source), images=None if images is None else Path(images), progress=progress)
    return dataset if groups is None else assign_groups(dataset, groups, base=Path.cwd())


def _study_of(source: str | Path | Dataset) -> Path:
    """Return the path of a study.

    Raises:
        UsageError: it is a data set, whose labels need predictions to be looked at.
    """
    if isinstance(source, Dataset) or not is_study(Path(source)):
        raise UsageError("--review looks at what predictions contradict", expected="--predictions FILE")
    return Path(source)
