"""What a study left and is no longer there: the page says so, and shows the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from liftgate.errors import LedgerError
from liftgate.ledger.chain import Ledger
from liftgate.ledger.last_run import LastRun, read_last_run
from liftgate.ledger.records import EvaluationEntry, StepEntry
from liftgate.ledger.results import PredictResult
from liftgate.ledger.runs import RunFolder
from liftgate.ledger.workspace import Workspace
from liftgate.reporting.evaluation_figures import evaluation_file

_OF_A_RUN = ("run.json", "results/results.csv")


def last_recorded_steps(ledger: Ledger) -> LastRun:
    """Return the last run; of a study of which no run came to its end, the steps that were recorded."""
    run = read_last_run(ledger)
    if run.flow is not None:
        return run
    return LastRun(None, tuple({step.key: step for step in ledger.records(StepEntry)}.values()))


def missing(workspace: Workspace, ledger: Ledger, run: LastRun, unreadable: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for everything that the record names and that is not there, or not finished.

    Args:
        workspace: the study's folders.
        ledger: of the study.
        run: the steps that the report shows.
        unreadable: dataset → why it cannot be read any more.
    """
    if run.flow is None and run.steps:
        yield "No run has come to its end: it was killed, or is still going. What it had recorded is shown."
    for name, reason in unreadable.items():
        yield f"Dataset {name} cannot be read any more ({reason}): its pictures are left out; figures are as recorded."
    for trained in run.trained:
        name = trained.step.name.removeprefix("train ")
        if not _is_there(workspace.folder, trained.result.best):
            yield (
                f"The weights of {name} are gone (runs folder, {trained.result.best}): its figures are from the "
                "record, and cannot be measured again without training."
            )
        run_folder = PurePosixPath(trained.result.best).parts[0]
        if gone := [one for one in _OF_A_RUN if not _is_there(workspace.folder, f"{run_folder}/{one}")]:
            yield (
                f"{' and '.join(gone)} of {name} {'are' if len(gone) > 1 else 'is'} gone (runs folder, {run_folder}): "
                "curves and settings are shown as they were recorded."
            )
        elif problem := _problem_of(RunFolder(workspace.folder / run_folder)):
            yield f"run.json of {name} cannot be used ({problem}): its figures are from the record."
    for step in run.of_kind("predict"):
        result = PredictResult.from_body(step.result)
        if not _is_there(workspace.folder, result.file):
            yield (
                f"The detections of {result.arm} seed {result.seed} on {result.on} are gone ({result.file}): its "
                "pictures are left out."
            )
    written = {entry.step for entry in ledger.records(EvaluationEntry) if entry.sha256 is not None}
    for step in run.of_kind("evaluate"):
        file, name = evaluation_file(workspace, step), step.name.removeprefix("evaluate ")
        if step.key in written and not file.is_file():
            yield (
                f"The evaluation of {name} image by image is gone (evaluations/{file.name}): images to look through "
                "and figures by group are left out; all others are as recorded."
            )


def _is_there(folder: Path, name: str) -> bool:
    return (folder / name).is_file()


def _problem_of(run: RunFolder) -> str:
    """Return what is wrong with the record of a run; empty: nothing."""
    try:
        run.read()
    except LedgerError as error:
        return error.what
    return ""
