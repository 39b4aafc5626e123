"""REPORT.md beside the folders of several studies: every run in order, what changed from one to the next, and verdicts.

What became better or worse is said by the verdicts of gates, not by the figures of two rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from liftgate.documents import load_json
from liftgate.errors import LedgerError
from liftgate.files import write_text
from liftgate.hashing import short
from liftgate.ledger.chain import Ledger
from liftgate.ledger.last_run import newest_answers
from liftgate.ledger.mistake_records import MistakesEntry
from liftgate.ledger.records import VerdictEntry
from liftgate.ledger.results import RunEntry
from liftgate.ledger.runs import RunFolder, RunRecord, part_lines, part_of, run_folders, table_row, value_text
from liftgate.ledger.worth_records import WorthEntry
from liftgate.progress import duration

_SHOWN = ("mAP50", "mAP50-95", "pose_mAP50-95")
"""Metrics of a row, as far as a run has them"""


class _Run(NamedTuple):
    study: str
    folder: RunFolder
    record: RunRecord | None
    """None: unreadable"""
    settings: Mapping[str, object]
    """What it depends on: weights, data, seed, and each argument of the recipe"""


def write_all_runs(results: Path, known: Ledger | None = None) -> Path:
    """Write REPORT.md over the runs and verdicts of all studies, and return its path.

    Args:
        results: the folder `runs/` that has a folder for each study.
        known: ledger of one of them, of which only what is new is checked.
    """
    folders = [path for path in sorted(results.iterdir()) if path.is_dir()] if results.is_dir() else []
    ledgers = [Ledger(path / "ledger.sqlite") for path in folders]
    ledgers = [known if known is not None and known.path == one.path else one for one in ledgers]
    found = sorted((run for path in folders for run in _runs(path)), key=lambda run: (run.folder.name, run.study))
    runs = [run for run in found if run.record is None or part_of(run.record.arm) is None]
    metrics = [name for name in _SHOWN if any(run.record and name in run.record.metrics for run in runs)]
    head = ["run", "study", "arm", "state", "epochs", *metrics, "time", "changed since the run before"]
    lines = ["# Runs of all studies", "", table_row(head), table_row(["---"] * len(head))]
    lines += [table_row(_cells(run, runs[n - 1] if n else None, metrics)) for n, run in enumerate(runs)]
    lines += [
        "",
        "Metrics are of val at the best epoch. Runs that differ in more than one thing show nothing of either.",
        "",
    ]
    if parts := _parts(found):
        lines += ["## On parts of the data", "", *(f"- {line}" for line in parts), ""]
    if notes := [line for ledger in ledgers for line in _missing(ledger)]:
        lines += ["## Missing", "", *(f"- {line}" for line in notes), ""]
    verdicts = [row for ledger in ledgers for row in _verdicts(ledger)]
    if verdicts:
        head = ["study", "gate", "verdict", "in words"]
        lines += ["## Better or worse, by verdict", "", table_row(head), table_row(["---"] * len(head))]
        lines += [*map(table_row, verdicts), ""]
    if searched := [line for ledger in ledgers for line in _mistakes(ledger)]:
        lines += ["## Suspected mistakes in labels", "", *(f"- {line}" for line in searched), ""]
    if answers := [line for ledger in ledgers for line in _worth(ledger)]:
        lines += ["## What more data would bring", "", *(f"- {line}" for line in answers), ""]
    path = results / "REPORT.md"
    write_text(path, "\n".join(lines))
    return path


def _runs(study: Path) -> Iterator[_Run]:
    for folder in run_folders(study):
        record = None
        with suppress(LedgerError):
            record = folder.read()
        yield _Run(study.name, folder, record, _settings(folder))


def _parts(runs: list[_Run]) -> list[str]:
    studies: dict[str, list[tuple[str, RunRecord | None]]] = {}
    for run in runs:
        studies.setdefault(run.study, []).append((run.folder.name, run.record))
    return [_one_line(f"{study}: {line}") for study, rows in studies.items() for line in part_lines(rows)]


def _settings(folder: RunFolder) -> dict[str, object]:
    """Return what a run depends on, as its preflight.json has it; empty: it cannot be read."""
    try:
        facts = load_json(folder.preflight)
        recipe = {str(name): value for name, value in facts["recipe"].items()}
        return {"weights": facts["weights"], "data": facts["data"], "seed": facts["seed"], **recipe}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _cells(run: _Run, before: _Run | None, metrics: list[str]) -> list[str]:
    link = f"[{run.folder.name}]({run.study}/{run.folder.name}/)"
    if run.record is None:
        return [link, run.study, "", "unreadable", "", *[""] * len(metrics), "", ""]
    record = run.record
    arm = record.arm if record.stage == 1 else f"{record.arm}, stage {record.stage}"
    time = "–" if record.seconds is None else duration(record.seconds)
    values = [value_text(record.metrics.get(name)) for name in metrics]
    return [link, run.study, arm, record.state, value_text(record.epochs), *values, time, _changed(run, before)]


def _changed(run: _Run, before: _Run | None) -> str:
    if before is None:
        return ""
    if not run.settings or not before.settings:
        return "not known: no readable preflight.json"
    names = [*before.settings, *(name for name in run.settings if name not in before.settings)]
    changed = [_change(name, before.settings.get(name), run.settings.get(name)) for name in names]
    return "; ".join(text for text in changed if text) or "nothing"


def _change(name: str, before: object, now: object) -> str:
    """Return a change in words; of weights and data, which are hashes, only that they changed."""
    if before == now:
        return ""
    if any(isinstance(value, str) and len(value) == 64 for value in (before, now)):
        return f"{name} {short(str(before))} → {short(str(now))}"
    return f"{name} {value_text(before)} → {value_text(now)}"


def _one_line(text: str) -> str:
    """Return a name from elsewhere on one line."""
    return " ".join(text.split())


def _missing(ledger: Ledger) -> Iterator[str]:
    """Yield what a study's record names and its folder does not have."""
    study = ledger.path.parent
    name = _one_line(study.name)
    if not ledger.path.is_file() and not ledger.head_path.is_file():
        if any(True for _ in run_folders(study)):
            yield f"{name}: there is no ledger, so that its verdicts are not known."
        return
    try:
        trained = [entry.result for entry in ledger.records(RunEntry)]
    except LedgerError as error:
        yield f"{name}: its ledger cannot be read ({_one_line(error.what)}): its verdicts are left out."
        return
    for one in trained:
        if not (study / one.run).is_dir():
            yield (
                f"{name}: the folder of {_one_line(one.run)} ({_one_line(one.arm)}, seed {one.seed}) is gone or was "
                "moved; the study's own report has its figures."
            )


def _verdicts(ledger: Ledger) -> Iterator[list[str]]:
    """Yield the newest verdict of each gate of a study."""
    if not ledger.path.is_file():
        return
    newest: dict[str, VerdictEntry] = {}
    with suppress(LedgerError):
        for verdict in ledger.records(VerdictEntry):
            newest[verdict.gate] = verdict
    for verdict in newest.values():
        yield [ledger.path.parent.name, verdict.gate, verdict.word, verdict.sentence.removeprefix(f"{verdict.word}: ")]


def _mistakes(ledger: Ledger) -> Iterator[str]:
    """Yield the searches of a study's newest run for label mistakes."""
    if not ledger.path.is_file():
        return
    with suppress(LedgerError):
        found = newest_answers(ledger, MistakesEntry)
        yield from (_one_line(f"{ledger.path.parent.name}: {one.text}.") for one in found)


def _worth(ledger: Ledger) -> Iterator[str]:
    """Yield what more data would bring, by the answers of a study's newest run."""
    if not ledger.path.is_file():
        return
    with suppress(LedgerError):
        found = newest_answers(ledger, WorthEntry)
        yield from (_one_line(f"{ledger.path.parent.name}: {one.text}") for one in found)
