"""One function per verb; the command line calls these and renders what comes back.

>>> import liftgate
>>> sorted(liftgate.__all__)[:3]
['LiftgateError', '__version__', 'ask']
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from liftgate import checks
from liftgate.checks.finding import Finding as Finding
from liftgate.data.formats.read import read
from liftgate.data.grouping.groups import assign_groups
from liftgate.deploy.remote_predictions import predict_api_files as ask
from liftgate.diagnosis import doctor as doctor
from liftgate.diagnosis import explain as explain
from liftgate.errors import LiftgateError, UsageError
from liftgate.ledger import Ledger
from liftgate.ledger.workspace import Workspace
from liftgate.pipeline import runner, spending
from liftgate.pipeline.context import Context, Notice, never, nobody
from liftgate.pipeline.control.detach import Detached
from liftgate.pipeline.control.detach import detach as start_detached
from liftgate.pipeline.datasets import StudyDatasets
from liftgate.pipeline.planning.estimate import measure as measure_pace
from liftgate.pipeline.planning.prices import Costs, offers, read_prices
from liftgate.pipeline.runner import Planned, training_hours
from liftgate.pipeline.step import Result
from liftgate.progress import Progress, silent
from liftgate.reporting import render, write_paper
from liftgate.reporting.dataset_pages.findings import findings_page, render_findings
from liftgate.reporting.gather import gather_report
from liftgate.services.evidence import compare as compare
from liftgate.services.evidence import compare_arms as compare_arms
from liftgate.services.evidence import evaluate as evaluate
from liftgate.services.evidence import size as size
from liftgate.services.running import logs as logs
from liftgate.services.running import status as status
from liftgate.services.running import stop as stop
from liftgate.study.study_file import is_study, load
from liftgate.study.templates import init as init

__all__ = [
    "RunResult",
    "ask",
    "check",
    "compare",
    "compare_arms",
    "cost",
    "detach",
    "doctor",
    "evaluate",
    "explain",
    "init",
    "logs",
    "plan",
    "report",
    "run",
    "size",
    "status",
    "stop",
]


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run of a study left."""

    verdicts: Mapping[str, Result]
    """gate → its verdict, in the order of the flow"""
    report: Path
    exit_code: int


def check(
    path: Path | str,
    *,
    groups: str | None = None,
    images: Path | str | None = None,
    select: Sequence[str] | None = None,
    ignore: Mapping[str, str] | None = None,
    page: Path | str | None = None,
    command: str = "",
    overrides: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> checks.CheckResult:
    """Return the findings in a study.yaml, or in one data set of any format.

    Args:
        path: study.yaml, data.yaml, COCO JSON or Pascal VOC folder.
        groups: a data set's groups; a study says its own.
        images: folder of the images, where the labels do not say.
        select: only these ids or families.
        ignore: id or family → the reason, which is recorded.
        page: write the findings with pictures to this HTML file too.
        command: how to make the page again, as it says.
        overrides: of a study, as `--set` gives them.
        progress: told how far the work is.

    Raises:
        UsageError: the path cannot be read as either.
    """
    path = Path(path)
    if is_study(path):
        study = load(path, overrides or {})
        datasets = StudyDatasets(study, Workspace(study), progress)
        subject = checks.Subject(datasets=datasets.all(), study=study)
        return _checked(subject, select, {**study.ignore, **(ignore or {})}, page, command, progress)
    dataset = read(path, images=None if images is None else Path(images), progress=progress)
    if groups is not None:
        dataset = assign_groups(dataset, groups, base=Path.cwd())
    subject = checks.Subject(datasets={dataset.name: dataset}, study=None)
    return _checked(subject, select, ignore or {}, page, command, progress)


def _checked(
    subject: checks.Subject,
    select: Sequence[str] | None,
    ignore: Mapping[str, str],
    page: Path | str | None,
    command: str,
    progress: Progress,
) -> checks.CheckResult:
    result = checks.run(subject, select=select, ignore=ignore, progress=progress)
    if page is not None:
        render_findings(findings_page(result, subject, command), Path(page))
    return result


def plan(
    path: Path | str,
    *,
    overrides: Mapping[str, str] | None = None,
    measure: bool = False,
    notify: Callable[[Notice], None] = nobody,
    should_stop: Callable[[], bool] = never,
    progress: Progress = silent,
) -> tuple[Planned, ...]:
    """Return what `run` would do, step by step: what is cached and why, what it will take and cost.

    Args:
        path: study.yaml.
        overrides: as `--set` gives them.
        measure: first train one epoch of every kind of training whose pace is unknown; its time goes into the ledger.
        notify: told what is measured.
        should_stop: asked while it measures.
        progress: told how far the reading of data is.
    """
    context = replace(_opened(path, overrides, progress), notify=notify, should_stop=should_stop)
    if measure:
        measure_pace(context)
    return tuple(runner.plan(context))


def cost(
    path: Path | str,
    prices: Path,
    *,
    hours: float | None = None,
    allow_regions: Sequence[str] = (),
    overrides: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> Costs:
    """Return what the study's training costs on every machine of a prices.yaml, and when buying pays.

    Args:
        path: study.yaml.
        prices: prices.yaml.
        hours: of training, where they are better known than by the ledger.
        allow_regions: where confidential data may be, beside what the file says.
        overrides: as `--set` gives them.
        progress: told how far the reading of data is.

    Raises:
        UsageError: the prices, or the hours, are off.
    """
    if hours is not None and not 0 < hours < 1e6:
        raise UsageError("--hours counts hours of training", got=hours, expected="more than 0")
    options, allowed = read_prices(prices)
    context = _opened(path, overrides, progress)
    basis = "as given"
    if hours is None:
        hours, basis = training_hours(runner.plan(context))
    confidential = [spec.name for spec in context.study.datasets if spec.confidential]
    found = offers(options, hours, confidential=confidential, allowed=(*allowed, *allow_regions))
    return Costs(hours, basis, spending.hours(context.workspace.folder, context.ledger), found)


def run(
    path: Path | str,
    *,
    overrides: Mapping[str, str] | None = None,
    notify: Callable[[Notice], None] = nobody,
    should_stop: Callable[[], bool] = never,
    time_limit: float | None = None,
    progress: Progress = silent,
    open_anyway: str | None = None,
) -> RunResult:
    """Run a study, or go on with it; what is cached by content is not done again. Writes the report at the end.

    Args:
        path: study.yaml.
        overrides: as `--set` gives them.
        notify: told of every step, epoch and verdict.
        should_stop: asked ten times a second; True pauses at the next epoch boundary.
        time_limit: seconds after which it must have paused.
        progress: told how far the work is.
        open_anyway: the reason why a locked split may be opened beyond its declared budget.

    Raises:
        Stopped: it paused, or the budget is spent; the same call goes on.
        FindingsError, TrainingError, UsageError: as the errors say.
    """
    context = replace(
        _opened(path, overrides, progress),
        notify=notify,
        should_stop=should_stop,
        time_limit=time_limit,
        open_anyway=open_anyway,
    )
    try:
        gates = runner.execute(context)
    except LiftgateError:
        if context.ledger.entries("flow"):  # what is known so far, also of a run that was stopped
            with contextlib.suppress(LiftgateError):
                _write_report(context)
        raise
    return RunResult(gates, _write_report(context), runner.exit_code(gates))


def detach(
    path: Path | str,
    *,
    overrides: Mapping[str, str] | None = None,
    time_limit: float | None = None,
    open_anyway: str | None = None,
) -> Detached:
    """Start `run` in a process that outlives the shell, and return when it is at work. It appends to run.log.

    Raises:
        UsageError: the study has mistakes, or is running already.
        TrainingError: it ended at once.
    """
    study = load(Path(path), overrides or {})
    command = [sys.executable, "-P", "-m", "liftgate", "run", str(Path(path).absolute())]
    command += [word for key, value in (overrides or {}).items() for word in ("--set", f"{key}={value}")]
    command += [] if time_limit is None else ["--time-limit", f"{time_limit:g}s"]
    command += [] if open_anyway is None else ["--open-anyway", open_anyway]
    return start_detached(command, Workspace(study).folder)


def report(path: Path | str, *, overrides: Mapping[str, str] | None = None) -> Path:
    """Write the HTML report of what the ledger of a study holds, and return where it is.

    Raises:
        UsageError: the study never ran.
    """
    context = _opened(path, overrides)
    if not context.ledger.entries("study"):
        raise UsageError("this study never ran", where=path, hint=f"liftgate run {path}")
    return _write_report(context)


def _write_report(context: Context) -> Path:
    """Write report.html, and the folder report/ for a paper: Markdown, tables as CSV and LaTeX, figures."""
    content = gather_report(context.study, context.workspace, context.ledger, context.datasets.all())
    page = render(content, context.workspace.report)
    write_paper(content, page.with_suffix(""))
    return page


def _opened(path: Path | str, overrides: Mapping[str, str] | None, progress: Progress = silent) -> Context:
    study = load(Path(path), overrides or {})
    workspace = Workspace(study)
    return Context(
        study, workspace, Ledger(workspace.ledger), StudyDatasets(study, workspace, progress), progress=progress
    )
