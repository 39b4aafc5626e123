"""Plan and run a study: `plan`, `cost`, `run`, `detach` and `report`."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from liftgate import display
from liftgate.deploy.registry.store import Registry
from liftgate.errors import LiftgateError, UsageError
from liftgate.evaluation.records import Comparison
from liftgate.ledger.all_runs import write_all_runs
from liftgate.ledger.chain import Ledger
from liftgate.ledger.last_run import read_last_run
from liftgate.ledger.mistake_records import MistakesResult
from liftgate.ledger.records import Body
from liftgate.ledger.results import GateResult
from liftgate.ledger.workspace import Workspace
from liftgate.ledger.worth_records import WorthEntry
from liftgate.pipeline import flow_plan, preparing, runner
from liftgate.pipeline.context import Context, never
from liftgate.pipeline.control.detach import Detached
from liftgate.pipeline.control.detach import detach as start_detached
from liftgate.pipeline.datasets import StudyDatasets
from liftgate.pipeline.engine import EngineForecast, forecast
from liftgate.pipeline.flow_plan import Planned, training_hours
from liftgate.pipeline.notice import Notice, ignore_notice
from liftgate.pipeline.planning.estimate import measure as measure_pace
from liftgate.pipeline.planning.prices import Costs, offers, read_prices
from liftgate.pipeline.preparing import Preparation
from liftgate.pipeline.training_runs import TrainingRuns
from liftgate.progress import Progress, duration, silent
from liftgate.study.records import EngineName, EngineSpec
from liftgate.study.study_file import load
from liftgate.study.weights import weights_licence


@dataclass(frozen=True, slots=True)
class RunResult:
    """Result of running a study."""

    verdicts: Mapping[str, Body]
    """gate → its verdict, in the order of the flow"""
    report: Path
    exit_code: int
    mistakes: tuple[MistakesResult, ...] = ()
    """Suspected mistakes in labels, of each dataset that was searched"""
    worth: tuple[WorthEntry, ...] = ()
    """What more data would bring"""

    def _repr_html_(self) -> str:
        parts = []
        for name, verdict in self.verdicts.items():
            result = GateResult.from_body(verdict)
            compared = None if result.comparison is None else Comparison.from_dict(result.comparison)
            if compared is not None and compared.delta.low is not None and compared.delta.high is not None:
                low, high = compared.delta.low, compared.delta.high
                parts.append(display.interval_svg(low, compared.delta.estimate, high, compared.margin, name))
        rows = [
            {"gate": name, "verdict": result.word, "in words": result.sentence}
            for name, result in ((name, GateResult.from_body(body)) for name, body in self.verdicts.items())
        ]
        title = "Verdicts" if rows else "No gate was decided"
        return "".join(parts) + display.html_table(
            title, rows, f"report: {self.report}; liftgate.report(study) shows it"
        )


class Plan(tuple[Planned, ...]):
    """What `run` would do, step by step."""

    engine: EngineForecast | None
    licences: Mapping[str, str]
    """Arm → licence of its weights, where its trainer has one that is known"""

    def __new__(
        cls, lines: Iterable[Planned], engine: EngineForecast | None = None, licences: Mapping[str, str] | None = None
    ) -> Plan:
        """Make a plan of steps, and of what the study's engine and trainers mean for them."""
        plan = super().__new__(cls, lines)
        plan.engine = engine
        plan.licences = licences or {}
        return plan

    def _repr_html_(self) -> str:
        rows: list[display.Row] = [
            {
                "state": one.state,
                "step": one.step,
                "why": one.why,
                "time": one.basis or "–" if one.expected is None else f"about {duration(one.expected)}",
                "usd": one.usd,
            }
            for one in self
        ]
        counts = Counter[str](one.state for one in self)
        colours = {"run": "#2563eb", "cached": "#16a34a", "skipped": "#9ca3af", "undecided": "#d97706"}
        foot = f"{counts['run']} of {len(self)} steps would run"
        return display.bar_svg({name: counts[name] for name in colours}, colours) + display.html_table(
            "Plan", rows, foot
        )


class ReportPage(type(Path())):  # type: ignore[misc]  # the class of this system's paths
    """Path of a report, which a notebook shows as the page."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return display.page_frame(self.read_text(encoding="utf-8"))


def plan(
    study: str | Path,
    *,
    overrides: Mapping[str, str] | None = None,
    measure: bool = False,
    engine: EngineName | None = None,
    notify: Callable[[Notice], None] = ignore_notice,
    should_stop: Callable[[], bool] = never,
    progress: Progress = silent,
) -> Plan:
    """Return what `run` would do, step by step: what is cached and why, and its time and cost.

    Args:
        study: path of study.yaml.
        overrides: dotted key → value, as `--set` gives them.
        measure: first train one epoch of every kind of training whose speed is unknown; the ledger records its time.
        engine: where trainings and predictions run; None: as the study says.
        notify: called with every notice while measuring.
        should_stop: called while it measures; True stops it.
        progress: called as data are read.

    Raises:
        UsageError: the study cannot be read or cannot run.
    """
    context = replace(_open(study, overrides, progress, engine), notify=notify, should_stop=should_stop)
    if measure:
        measure_pace(context)
    lines = flow_plan.plan(context)
    lengths = [line.expected for line in lines if line.state == "run" and line.kind in ("train", "predict")]
    asked = context.study
    licences = {arm.name: known for arm in asked.arms if (known := weights_licence(asked, arm)) is not None}
    return Plan(lines, forecast(asked, context.workspace.folder, lengths), licences)


def cost(
    study: str | Path,
    prices: str | Path,
    *,
    hours: float | None = None,
    allow_regions: Sequence[str] = (),
    overrides: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> Costs:
    """Return what the study's training costs on every machine of a prices.yaml, and when buying pays.

    Args:
        study: path of study.yaml.
        prices: path of prices.yaml.
        hours: hours of training; None: as the ledger has them.
        allow_regions: regions where confidential data may be, in addition to those in the file.
        overrides: dotted key → value, as `--set` gives them.
        progress: called as data are read.

    Raises:
        UsageError: the study, the prices or the hours are invalid.
    """
    if hours is not None and not 0 < hours < 1e6:
        raise UsageError("--hours counts hours of training", got=hours, expected="more than 0")
    options, allowed = read_prices(Path(prices))
    context = _open(study, overrides, progress)
    basis = "as given"
    if hours is None:
        hours, basis = training_hours(flow_plan.plan(context))
    confidential = [spec.name for spec in context.study.datasets if spec.confidential]
    found = offers(options, hours, confidential=confidential, allowed=(*allowed, *allow_regions))
    return Costs(hours, basis, context.runs.spent().hours, found)


def run(
    study: str | Path,
    *,
    overrides: Mapping[str, str] | None = None,
    notify: Callable[[Notice], None] = ignore_notice,
    should_stop: Callable[[], bool] = never,
    time_limit: float | None = None,
    engine: EngineName | None = None,
    progress: Progress = silent,
    open_anyway: str | None = None,
) -> RunResult:
    """Run or resume a study and write its report; steps whose results are cached by content are skipped.

    Args:
        study: path of study.yaml.
        overrides: dotted key → value, as `--set` gives them.
        notify: called with a notice of every step, epoch and verdict.
        should_stop: called ten times a second; True pauses at the next epoch boundary.
        time_limit: seconds within which it pauses.
        engine: where trainings and predictions run; None: as the study says.
        progress: called during the work.
        open_anyway: the reason why a locked split may be opened beyond its declared budget.

    Raises:
        Stopped: it was paused, or the budget is spent; the same call resumes it.
        FindingsError: `check` found errors.
        TrainingError: a training did not finish.
        UsageError: the study cannot be read or cannot run.
    """
    context = replace(
        _open(study, overrides, progress, engine),
        notify=notify,
        should_stop=should_stop,
        time_limit=time_limit,
        open_anyway=open_anyway,
    )
    try:
        gates = runner.execute(context)
    except LiftgateError:
        if context.ledger.entries("flow"):  # results so far, also of a run that was stopped
            with contextlib.suppress(LiftgateError):
                _write_report(context)
        raise
    verdicts = {name: result.to_body() for name, result in gates.items()}
    ran, code = read_last_run(context.ledger), runner.exit_code(context.study, gates)
    mistakes = tuple(MistakesResult.from_body(step.result) for step in ran.of_kind("mistakes"))
    worth = tuple(WorthEntry.from_body(step.result) for step in ran.of_kind("worth"))
    return RunResult(verdicts, _write_report(context), code, mistakes, worth)


def prepare(
    study: str | Path, *, overrides: Mapping[str, str] | None = None, progress: Progress = silent
) -> Preparation:
    """Check a study and write a folder for every training to come, with preflight.json and command.sh; train nothing.

    `run` trains in these folders. Called again, it writes both files again and makes no second folder.

    Args:
        study: path of study.yaml.
        overrides: dotted key → value, as `--set` gives them.
        progress: called as data are read.

    Raises:
        UsageError: the study cannot be read or cannot run, or is running.
    """
    return preparing.prepare(_open(study, overrides, progress))


def detach(
    study: str | Path,
    *,
    overrides: Mapping[str, str] | None = None,
    time_limit: float | None = None,
    engine: EngineName | None = None,
    open_anyway: str | None = None,
) -> Detached:
    """Start `run` in a process that outlives the shell, and return once it works. It appends to run.log.

    Args:
        study: path of study.yaml.
        overrides: dotted key → value, as `--set` gives them.
        time_limit: seconds within which it pauses.
        engine: where trainings and predictions run; None: as the study says.
        open_anyway: the reason why a locked split may be opened beyond its declared budget.

    Raises:
        UsageError: the study has mistakes, or is running already.
        TrainingError: it ended at once.
    """
    overrides = overrides or {}
    folder = Workspace(load(Path(study), overrides)).folder
    command = [sys.executable, "-P", "-m", "liftgate", "run", str(Path(study).absolute())]
    command += [word for key, value in overrides.items() for word in ("--set", f"{key}={value}")]
    command += [] if time_limit is None else ["--time-limit", f"{time_limit:g}s"]
    command += [] if engine is None else ["--engine", engine]
    command += [] if open_anyway is None else ["--open-anyway", open_anyway]
    return start_detached(command, folder)


def report(study: str | Path, *, overrides: Mapping[str, str] | None = None, show_confidential: bool = False) -> Path:
    """Write the HTML report of a study from its ledger, and return its path; a notebook shows the page.

    Args:
        study: path of study.yaml.
        overrides: dotted key → value, as `--set` gives them.
        show_confidential: whether the page shows pictures of confidential data.

    Raises:
        UsageError: the study has not been run.
    """
    context = _open(study, overrides, silent)
    if not context.ledger.entries("study"):
        raise _no_record(context.workspace, study)
    return ReportPage(_write_report(context, show_confidential=show_confidential))


def months(study: str | Path, *, registry: str | Path | None = None) -> Path:
    """Write a page with all runs of a study beside each other, such as one a month, and return its path.

    Args:
        study: path of study.yaml.
        registry: folder of the registry of models; None: which version was in use is not on the page.

    Raises:
        UsageError: the study has not been run, or there is no registry.
    """
    from liftgate.reporting.months import PAGE, gather_months, write_months

    context = _open(study, None, silent)
    if not context.ledger.entries("flow"):
        raise _no_record(context.workspace, study)
    models = None
    if registry is not None:
        store = Registry(Path(registry))
        store.require_exists()
        models = store.ledger
    budget = context.study.budget
    found = gather_months(context.ledger, models, None if budget is None else budget.usd_per_hour)
    return write_months(context.study.name, found, context.workspace.folder / PAGE)


def _write_report(context: Context, *, show_confidential: bool = False) -> Path:
    """Write report.html, the folder report/ for a paper, and runs/REPORT.md over all studies."""
    from liftgate.reporting import render, write_paper  # imports Jinja, which planning does not need
    from liftgate.reporting.gather import gather_report

    write_all_runs(context.workspace.folder.parent, context.ledger)
    datasets, unreadable = context.datasets.readable()
    content = gather_report(
        context.study, context.workspace, context.ledger, datasets, unreadable, show_confidential=show_confidential
    )
    page = render(content, context.workspace.report)
    write_paper(content, page.with_suffix(""))
    return page


def _no_record(workspace: Workspace, study: str | Path) -> UsageError:
    """Return the error for a study without a record: it never ran, or results are there and their ledger is gone."""
    if not any(workspace.folder.glob("2*/run.json")) and not (workspace.folder / "now.json").is_file():
        return UsageError("this study never ran", where=study, hint=f"liftgate run {study}")
    hint = f"put back ledger.sqlite and ledger.sqlite.head from a copy; `liftgate run {study}` would begin anew"
    return UsageError(
        "the study's ledger is gone, and with it every verdict and figure", where=workspace.ledger, hint=hint
    )


def _open(
    study: str | Path, overrides: Mapping[str, str] | None, progress: Progress, engine: EngineName | None = None
) -> Context:
    loaded = load(Path(study), overrides or {})
    if engine is not None and (loaded.engine is None or loaded.engine.use != engine):
        loaded = replace(loaded, engine=EngineSpec(engine))
    workspace = Workspace(loaded)
    ledger = Ledger(workspace.ledger)
    datasets, runs = StudyDatasets(loaded, workspace, progress), TrainingRuns(workspace.folder, ledger)
    return Context(loaded, workspace, ledger, datasets, runs, progress=progress)
