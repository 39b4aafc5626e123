"""Label mistakes that a study's flow found, with the labels and predictions that they were found in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liftgate.checks.probes.label_mistakes import LabelMistake
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats import coco
from liftgate.errors import UsageError
from liftgate.hashing import short
from liftgate.ledger.chain import Ledger
from liftgate.ledger.last_run import read_last_run
from liftgate.ledger.mistake_records import MistakesResult
from liftgate.ledger.workspace import Workspace
from liftgate.pipeline.datasets import StudyDatasets
from liftgate.pipeline.steps.mistakes import mistakes_of
from liftgate.progress import Progress, silent
from liftgate.study.study_file import load


@dataclass(frozen=True, slots=True, eq=False)
class RecordedSearch:
    """A search for label mistakes that a study made."""

    dataset: Dataset
    """All its images, those that took no part as well"""
    predictions: Predictions
    """Of the images that took part, each by a model that had not seen it"""
    mistakes: list[LabelMistake]
    """The most suspicious first"""


def recorded_search(study: Path, progress: Progress = silent) -> RecordedSearch:
    """Return the search of a study's last run.

    Args:
        study: path of study.yaml.
        progress: called as data are read.

    Raises:
        UsageError: the last run made none, or several; or the labels are not those that were searched.
        DataError: the predictions were changed.
    """
    opened = load(study)
    workspace = Workspace(opened)
    ran = read_last_run(Ledger(workspace.ledger)) if workspace.ledger.is_file() else None
    found = [] if ran is None else [MistakesResult.from_body(step.result) for step in ran.of_kind("mistakes")]
    if not found:
        hint = f"`flow: [{{step: mistakes}}]` and `liftgate run {study}`, or a data.yaml with --predictions FILE"
        raise UsageError("the study's last run searched for no label mistakes", where=study, hint=hint)
    if len(found) > 1:
        files = ", ".join(f"{one.dataset} by {one.arm}: {workspace.folder / one.file}" for one in found)
        hint = "give the data.yaml of one data set, with --predictions FILE"
        raise UsageError("the study searched for label mistakes more than once", where=study, got=files, hint=hint)
    (result,) = found
    dataset = StudyDatasets(opened, workspace, progress).dataset(result.dataset)
    if dataset.truth_hash() != result.truth:
        raise UsageError(
            "the labels were changed since they were searched", where=study, expected=short(result.truth),
            got=short(dataset.truth_hash()), hint=f"liftgate run {study}",
        )  # fmt: skip
    predictions = coco.read_recorded(workspace.folder / result.file, dataset, result.predictions)
    seen = set(predictions.images)
    taking_part = np.array([image.id in seen for image in dataset.images], dtype=np.bool_)
    return RecordedSearch(dataset, predictions, mistakes_of(dataset, taking_part, predictions))
