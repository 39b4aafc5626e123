"""Read what the board shows: files and ledgers of studies that run or have run. It writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from liftgate.backends.events import EpochReport
from liftgate.deploy.registry.store import Registry
from liftgate.deploy.shadow.request import SHADOW
from liftgate.errors import LiftgateError
from liftgate.ledger.chain import Ledger
from liftgate.ledger.records import CheckEntry, FindingRow, StudyEntry, VerdictEntry
from liftgate.ledger.runs import UNFINISHED, RunFolder, RunRecord
from liftgate.ledger.workspace import Workspace
from liftgate.live.months import BoardMonths, read_months
from liftgate.live.shadow_tests import BoardShadow, logs_with_tests, read_shadow
from liftgate.pipeline.control.status import Status, is_registry, status_of, workspaces
from liftgate.progress import duration
from liftgate.reporting.content import Chart, Series
from liftgate.reporting.gather import gather_report
from liftgate.reporting.number_format import without_folders
from liftgate.reporting.plain_answer import PlainAnswer, plain_answer
from liftgate.study.records import Budget, Stage, Study
from liftgate.study.study_file import is_study, load
from liftgate.training.events import read_events

_CHANGING = ("ledger.sqlite", "now.json", "report.html")
"""Files of a study whose change is a change of the board"""


@dataclass(frozen=True, slots=True)
class DecisionPoint:
    """A decision point of the training that runs now."""

    epoch: int
    rule: str
    """What lets it go on"""
    passed: bool
    """Whether the training is beyond it"""


@dataclass(frozen=True, slots=True)
class BoardVerdict:
    """The newest verdict of a gate."""

    gate: str
    word: str
    sentence: str
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ceiling:
    """One limit of the budget."""

    name: str
    """money, GPU hours or energy"""
    used: str
    limit: str
    share: float | None
    """Used share of the limit; None: unknown"""


@dataclass(frozen=True, slots=True)
class BoardStudy:
    """One study on the board."""

    name: str
    question: str
    status: Status | None
    """None: it cannot be read, see `problem`"""
    problem: str = ""
    answer: PlainAnswer | None = None
    answer_word: str = ""
    chart: Chart | None = None
    """The training that runs now, against its expected trajectory"""
    points: tuple[DecisionPoint, ...] = ()
    budget: tuple[Ceiling, ...] = ()
    findings: tuple[FindingRow, ...] = ()
    verdicts: tuple[BoardVerdict, ...] = ()
    months: BoardMonths | None = None
    report: Path | None = None


@dataclass(frozen=True, slots=True)
class BoardModel:
    """One version of a registry of models."""

    version: str
    name: str
    registered: str
    is_champion: bool
    word: str
    """Of the verdict that it was registered with; empty: none"""
    sentence: str


@dataclass(frozen=True, slots=True)
class BoardRegistry:
    """A registry of models on the board."""

    name: str
    models: tuple[BoardModel, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    """Everything that the board shows."""

    studies: tuple[BoardStudy, ...]
    registries: tuple[BoardRegistry, ...]
    shadows: tuple[BoardShadow, ...] = ()


class Places(NamedTuple):
    """Folders that the board reads."""

    studies: list[Path]
    registries: list[Path]
    logs: list[Path]
    """Production logs with shadow tests"""


def places(paths: Iterable[Path]) -> Places:
    """Return the results of studies, registries of models, and logs with shadow tests at or below some paths.

    Args:
        paths: study.yaml files, or folders.

    Raises:
        UsageError: a path does not exist, or is no study.
    """
    studies: dict[Path, None] = {}
    registries: dict[Path, None] = {}
    logs: dict[Path, None] = {}
    for path in paths:
        found = [Workspace(load(path)).folder] if path.is_file() else workspaces(path)
        near = path.parent if path.is_file() else path
        below = [near, *near.glob("*/")] if near.is_dir() else []
        logs |= dict.fromkeys(folder.absolute() for folder in logs_with_tests(below))
        for folder in (*found, *below[1:]):
            ledger = folder.absolute() / "ledger.sqlite"
            if _is_registry(folder):
                registries.setdefault(folder.absolute())
            elif folder in found and (ledger.is_file() or path.is_file() or (folder / "now.json").is_file()):
                studies.setdefault(folder.absolute())
    return Places(list(studies), list(registries), list(logs))


def read_board(studies: Sequence[Path], registries: Sequence[Path], logs: Sequence[Path] = ()) -> Board:
    """Return the board; what cannot be read says why, and the rest is shown."""
    return Board(
        tuple(read_study(folder, registries) for folder in studies),
        tuple(map(read_registry, registries)),
        tuple(map(read_shadow, logs)),
    )


FileState = tuple[str, int, int]
"""Path, time of change and size"""


def fingerprint_of(path: Path) -> FileState | None:
    """Return what changes when a file does; None: it is not there."""
    try:
        about = path.stat()
    except OSError:
        return None
    return str(path), about.st_mtime_ns, about.st_size


def fingerprint(folder: Path, registries: Sequence[Path] = ()) -> tuple[FileState, ...]:
    """Return what changes when a study's place on the board does: times and sizes of its files, and of registries."""
    files = [folder / name for name in _CHANGING]
    files += [registry / "ledger.sqlite" for registry in registries]
    running = _unfinished_run(folder)
    if running is not None:
        files.append(running.path / "events.jsonl")
    return tuple(state for path in files if (state := fingerprint_of(path)) is not None)


def log_fingerprint(log: Path) -> tuple[FileState, ...]:
    """Return what changes when a log's shadow tests do."""
    files = sorted(path for path in (log / SHADOW).glob("*/*") if path.is_file())
    return tuple(state for path in files if (state := fingerprint_of(path)) is not None)


def read_study(folder: Path, registries: Sequence[Path] = ()) -> BoardStudy:
    """Return one study, from the folder of its results and the registries that may have its models."""
    try:
        return _read_study(folder, registries)
    except (LiftgateError, OSError) as error:
        what = error.what if isinstance(error, LiftgateError) else str(error.strerror)
        return BoardStudy(folder.name, "", None, problem=what)


def _read_study(folder: Path, registries: Sequence[Path]) -> BoardStudy:
    ledger = Ledger(folder / "ledger.sqlite")
    status = status_of(folder, ledger=ledger)
    study = _study_of(folder)
    asked = ledger.records(StudyEntry)
    question = study.question if study else asked[-1].question if asked else ""
    answer, word = (None, "") if not asked else _answer(_state_of(study), fingerprint_of(ledger.path))
    checks = ledger.records(CheckEntry)
    newest = {one.gate: one for one in ledger.records(VerdictEntry)}
    chart, points = (None, ()) if status.pid is None else _current(folder, study, status)
    report = folder / "report.html"
    price = study.budget.usd_per_hour if study else None
    return BoardStudy(
        name=folder.name,
        question=without_folders(question),
        status=status,
        answer=answer,
        answer_word=word,
        chart=chart,
        points=points,
        budget=() if study is None else tuple(_ceilings(study.budget, status)),
        findings=checks[-1].findings if checks else (),
        verdicts=tuple(BoardVerdict(one.gate, one.word, one.sentence, one.caveats) for one in newest.values()),
        months=read_months(ledger, registries, price),
        report=report if report.is_file() else None,
    )


def _study_of(folder: Path) -> Study | None:
    """Return the study whose results are in a folder; None: its study.yaml is gone, or has mistakes now."""
    home = folder.parent.parent
    for path in sorted(home.glob("*.y*ml")):
        try:
            if is_study(path) and (study := load(path)).name == folder.name:
                return study
        except (LiftgateError, OSError):
            continue
    return None


def _state_of(study: Study | None) -> FileState | None:
    return None if study is None or study.source is None else fingerprint_of(study.source)


@lru_cache(maxsize=64)
def _answer(study_file: FileState | None, ledger: FileState | None) -> tuple[PlainAnswer | None, str]:
    """Return the plain answer of the last run, as its report has it; None: it has none.

    Args:
        study_file: study.yaml as it is now; None: it is gone.
        ledger: its ledger file as it is now: the same files have the same answer.
    """
    if study_file is None:
        return None, ""
    study = load(Path(study_file[0]))
    content = gather_report(study, Workspace(study), Ledger(Workspace(study).ledger), {})
    if content.unanswered or not content.gates:
        return None, ""
    return plain_answer(content.gates[0], content), content.gates[0].verdict.word


def _current(folder: Path, study: Study | None, status: Status) -> tuple[Chart | None, tuple[DecisionPoint, ...]]:
    """Return the curve of the training that runs now against its expected trajectory, and its decision points."""
    run = _unfinished_run(folder)
    if run is None:
        return None, ()
    record = run.read()
    stage = _stage_of(study, record)
    metric = stage.watched if stage else "mAP50"
    epochs = [event for event in read_events(run.path / "events.jsonl") if isinstance(event, EpochReport)]
    name = f"{record.arm or record.label}, seed {record.seed}"
    series = [Series(name, tuple((one.epoch, one.metrics.get(metric)) for one in epochs), 1)]
    if stage is not None and stage.expect:
        series += [
            Series("expected at least", tuple((one.epoch, one.low) for one in stage.expect), 0),
            Series("expected at most", tuple((one.epoch, one.high) for one in stage.expect), 2),
        ]
    reached = epochs[-1].epoch if epochs else 0
    points = [] if stage is None else [
        DecisionPoint(one.at, one.continue_if, reached >= one.at) for one in stage.decide
    ]  # fmt: skip
    return Chart(f"{metric} on val", tuple(series)), tuple(points)


def _stage_of(study: Study | None, record: RunRecord) -> Stage | None:
    stages = next((arm.stages for arm in study.arms if arm.name == record.arm), ()) if study else ()
    return stages[record.stage - 1] if record.stage <= len(stages) else None


def _unfinished_run(folder: Path) -> RunFolder | None:
    """Return the newest run that has not ended."""
    for path in sorted(folder.glob("*/run.json"), reverse=True):
        try:
            if RunFolder(path.parent).read().state in UNFINISHED:
                return RunFolder(path.parent)
        except (LiftgateError, OSError):
            continue
    return None


def _ceilings(budget: Budget, status: Status) -> Iterable[Ceiling]:
    """Yield how much of each ceiling is used."""
    if budget.usd is not None:
        rate = budget.usd_per_hour
        used = None if rate is None else status.hours * rate
        text = "unknown: no usd_per_hour" if used is None else f"${used:,.2f}"
        yield Ceiling("Money", text, f"${budget.usd:,.2f}", None if used is None else _share(used, budget.usd))
    if budget.gpu_hours is not None:
        used_text, limit = duration(status.gpu_hours * 3600), duration(budget.gpu_hours * 3600)
        yield Ceiling("GPU time", used_text, limit, _share(status.gpu_hours, budget.gpu_hours))
    if budget.kwh is not None:
        known = status.kwh
        text = "unknown" if known is None else f"{known:.3g} kWh"
        yield Ceiling("Energy", text, f"{budget.kwh:g} kWh", None if known is None else _share(known, budget.kwh))


def _share(used: float, limit: float) -> float | None:
    return min(used / limit, 1.0) if limit > 0 else None


def _is_registry(folder: Path) -> bool:
    """Return whether a folder is a registry of models."""
    state = fingerprint_of(folder / "ledger.sqlite")
    return state is not None and _has_versions(state)


@lru_cache(maxsize=256)
def _has_versions(state: FileState) -> bool:
    """Return whether a ledger has versions of models, and no study."""
    return is_registry(Ledger(Path(state[0])))


def read_registry(folder: Path) -> BoardRegistry:
    """Return one registry of models."""
    try:
        versions = Registry(folder).versions()
    except (LiftgateError, OSError) as error:
        return BoardRegistry(folder.name, (), error.what if isinstance(error, LiftgateError) else str(error.strerror))
    models = [
        BoardModel(
            one.version,
            one.entry.name,
            one.registered,
            one.is_champion,
            one.entry.verdict.word if one.entry.verdict else "",
            one.entry.verdict.sentence if one.entry.verdict else "registered without a study: no verdict",
        )
        for one in reversed(versions)
    ]
    return BoardRegistry(folder.name, tuple(models))
