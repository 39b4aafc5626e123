"""Run folders: `<UTC>_<label>/`, one for each trained stage and seed, and REPORT.md, a table of all runs.

run.json        what this run is and how it went (the other files are for people and tools)
preflight.json  machine, versions, data and findings before it began
command.sh      the same training without Liftgate
train.log
results/        results.csv, args.yaml, results.png, confusion matrices, weights, summary.md
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from liftgate.documents import LARGE, load_json
from liftgate.errors import LedgerError
from liftgate.files import fsync_folder, replacing, write_json, write_text
from liftgate.hashing import content_hash, file_hash, short
from liftgate.ledger.records import Body
from liftgate.ledger.results import EpochRow, TrainingFacts
from liftgate.progress import duration

State = Literal["prepared", "running", "paused", "finished", "failed"]
UNFINISHED: tuple[State, ...] = ("prepared", "running", "paused", "failed")
"""States that a run goes on from: `prepared` has not begun, a killed run stays `running`, one whose child was killed is
`failed`"""


RECORDED_FILES = ("results/results.csv", "results/args.yaml")
"""Files of a finished run whose hashes run.json has"""


class Part(NamedTuple):
    """What an arm was trained on beside all of its data."""

    arm: str
    kind: str
    """folds, shares or old shares"""


_ONE_PART = r"\.(?P<kind>fold|share|old-share)-[0-9][\w.-]*"
_PART = re.compile(r"(?P<arm>.+)" + _ONE_PART)


def part_of(arm: str) -> Part | None:
    """Return the arm and the kind of a training on a part of its data, from its name; None: it is on all of them.

    >>> part_of("large.fold-1-of-5"), part_of("large.old-share-12.5"), part_of("large.v2")
    (Part(arm='large', kind='folds'), Part(arm='large', kind='old shares'), None)
    """
    found = _PART.fullmatch(arm)
    return Part(found["arm"], f"{found['kind'].replace('-', ' ')}s") if found else None


def step_of_parts(name: str) -> str | None:
    """Return what the steps of an arm on all parts of its data are called together; None: it is on all of them.

    >>> step_of_parts("predict large.fold-1-of-5 seed 0 on bench.all"), step_of_parts("train large.v2 seed 0")
    ('predict large on its folds seed 0 on bench.all', None)
    """
    found = re.search(_ONE_PART, name)
    return f"{name[: found.start()]} on its {found['kind'].replace('-', ' ')}s{name[found.end() :]}" if found else None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What run.json holds."""

    key: str
    """Hash of all that the run depends on: weights, data, recipe, seed, code"""
    label: str
    arm: str = ""
    stage: int = 1
    """1, 2 …"""
    seed: int = 0
    state: State = "running"
    created: str = ""
    """UTC, ISO 8601"""
    epochs: int | None = None
    """Epochs that were trained."""
    best_epoch: int | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """Validation metrics of the best epoch, as the trainer reports them."""
    seconds: float | None = None
    """Wall time of the training, all attempts together"""
    weights: str | None = None
    """SHA-256 of the best weights"""
    facts: Body = field(default_factory=dict)
    """Other facts, such as device, versions and peak memory; plain JSON values"""
    error: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    """Of a finished run: file, relative to its folder → SHA-256"""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one training run."""

    path: Path

    @classmethod
    def create(cls, runs: Path, label: str, key: str, *, now: datetime | None = None, **known: Any) -> RunFolder:
        """Create a new folder; names sort by time.

        Args:
            runs: the folder of all runs.
            label: part of the name.
            key: hash of what the run depends on.
            now: time for the name; default: now.
            known: further fields of RunRecord.

        >>> import tempfile
        >>> when = datetime(2026, 11, 5, 14, 3, 9, tzinfo=UTC)
        >>> RunFolder.create(Path(tempfile.mkdtemp()), "single seed 0", "k", now=when).path.name
        '20261105T140309Z_single-seed-0'
        """
        moment = (now or datetime.now(UTC)).astimezone(UTC)
        record = RunRecord(key, label, created=moment.isoformat(timespec="seconds"), **known)
        name = f"{moment:%Y%m%dT%H%M%SZ}_{_safe_name(label)}"
        part = runs / f".{name}.{os.getpid()}.part"  # a killed one is deleted by the next run
        shutil.rmtree(part, ignore_errors=True)
        cls(part).results.mkdir(parents=True)
        try:
            cls(part).write(record)
            for attempt in range(1, 1000):
                path = runs / (name if attempt == 1 else f"{name}_{attempt:03d}")
                try:
                    part.rename(path)  # atomic: only one of several processes succeeds
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                        raise
                    continue
                fsync_folder(runs)
                return cls(path)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        raise LedgerError("no free name for a run folder", where=runs / name)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name

    @property
    def record_path(self) -> Path:
        """run.json."""
        return self.path / "run.json"

    @property
    def results(self) -> Path:
        """Folder of what the trainer writes."""
        return self.path / "results"

    @property
    def log(self) -> Path:
        """train.log."""
        return self.path / "train.log"

    @property
    def preflight(self) -> Path:
        """preflight.json."""
        return self.path / "preflight.json"

    @property
    def command(self) -> Path:
        """command.sh."""
        return self.path / "command.sh"

    @property
    def summary(self) -> Path:
        """summary.md of the results."""
        return self.results / "summary.md"

    def read(self) -> RunRecord:
        """Return the contents of run.json.

        Raises:
            LedgerError: there is none, it cannot be read, or it was changed since it was written.
        """
        path = self.record_path
        hint = f"restore it from a copy, or move {self.name} away: what is not in the ledger is trained again"
        try:
            content = load_json(path, LARGE)
            written = content.pop("sha256", None)
            known = {item.name for item in fields(RunRecord)}
            record = RunRecord(**{name: value for name, value in content.items() if name in known})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise LedgerError(f"no readable run: {error}", where=path, hint=hint) from None
        if written is None and not record.files:  # a run of 0.1.0 has no hash
            return record
        if written != content_hash(content):
            raise LedgerError("the run's record was changed since it was written", where=path, hint=hint)
        return record

    def write(self, record: RunRecord) -> None:
        """Put `record` in run.json, with a hash of it that `read` compares."""
        content = json.loads(json.dumps(asdict(record)))  # tuples become lists, as when read back
        write_json(self.record_path, content | {"sha256": content_hash(content)})

    def update(self, **changes: Any) -> RunRecord:
        """Change some fields of run.json and return the new record."""
        record = replace(self.read(), **changes)
        self.write(record)
        return record

    def write_preflight(self, facts: Body) -> None:
        """Write preflight.json."""
        write_json(self.preflight, facts)

    def write_command(self, script: str) -> None:
        """Write command.sh, executable; a first line `#!/bin/sh` is added where `script` has none."""
        with replacing(self.command) as file:
            file.write(script if script.startswith("#!") else f"#!/bin/sh\nset -e\n{script}")
            file.write("" if script.endswith("\n") else "\n")
        self.command.chmod(self.command.stat().st_mode | 0o111)

    def finish(self, curve: Sequence[EpochRow], facts: TrainingFacts, *, weights: str | None = None) -> RunRecord:
        """Mark the run finished and write results/summary.md.

        Args:
            curve: the report of each epoch.
            facts: what the backend reports.
            weights: SHA-256 of the best weights.
        """
        at_best = next((row.metrics for row in curve if row.epoch == facts.best_epoch), {})
        record = replace(
            self.read(),
            state="finished",
            error=None,
            epochs=len(curve),
            best_epoch=facts.best_epoch,
            metrics=dict(at_best),
            seconds=facts.get("seconds"),
            weights=weights,
            facts={name: value for name, value in facts.body.items() if name not in ("best_epoch", "seconds")},
            files={name: file_hash(self.path / name) for name in RECORDED_FILES if (self.path / name).is_file()},
        )
        write_text(self.summary, _summary(self.name, record))
        self.write(record)  # last: nobody comes back to a run that is finished
        return record

    def fail(self, error: BaseException) -> RunRecord:
        """Mark the run failed; the same step resumes in this folder after its last finished epoch."""
        record = self.update(state="failed", error=str(error))
        write_text(self.summary, _summary(self.name, record))
        return record

    def pause(self) -> RunRecord:
        """Mark the run paused; the same step resumes in this folder."""
        return self.update(state="paused")


def run_folders(runs: Path) -> Iterator[RunFolder]:
    """Yield the run folders, damaged ones included, in order of their names and so of time."""
    if runs.is_dir():
        with os.scandir(runs) as found:  # not iterdir, which asks the disk again for the kind of each
            names = sorted(one.name for one in found if re.match(r"\d{8}T\d{6}Z_", one.name) and one.is_dir())
        yield from (RunFolder(runs / name) for name in names)


def write_report(runs: Path) -> Path:
    """Write REPORT.md, a table of all runs from their run.json, and return its path."""
    rows: list[tuple[str, RunRecord | None]] = []
    for folder in run_folders(runs):
        try:
            rows.append((folder.name, folder.read()))
        except LedgerError:
            rows.append((folder.name, None))
    own = [(name, record) for name, record in rows if record is None or part_of(record.arm) is None]
    metrics = sorted({name for _, record in own if record for name in record.metrics})
    head = ["run", "arm", "stage", "seed", "state", "epochs", "best epoch", *metrics, "time", "hash"]
    lines = ["# Runs", "", table_row(head), table_row(["---"] * len(head))]
    lines += [table_row(_cells(name, record, metrics)) for name, record in own]
    lines += ["", "Metrics are of the validation split at the best epoch, as the trainer reports them.", ""]
    if parts := part_lines(rows):
        lines += ["## On parts of the data", "", *(f"- {line}" for line in parts), ""]
    path = runs / "REPORT.md"
    write_text(path, "\n".join(lines))
    return path


def part_lines(runs: Iterable[tuple[str, RunRecord | None]]) -> list[str]:
    """Return a line for all trainings on the folds, or on the shares, of an arm's data.

    Args:
        runs: name of each folder, and what its run.json holds; None: unreadable.
    """
    same: dict[tuple[Part, int], list[tuple[str, RunRecord]]] = {}
    for name, record in runs:
        if record is not None and (part := part_of(record.arm)) is not None:
            same.setdefault((part, record.seed), []).append((name, record))
    return [_part_line(part, seed, found) for (part, seed), found in same.items()]


def _part_line(part: Part, seed: int, found: Sequence[tuple[str, RunRecord]]) -> str:
    states = Counter(record.state for _, record in found)
    known = [record.seconds for _, record in found if record.seconds is not None]
    time = f", {_duration_text(sum(known))} together" if known else ""
    names = f"{found[0][0]} to {found[-1][0]}" if len(found) > 1 else found[0][0]
    parts = len({record.arm for _, record in found})
    word = part.kind if parts > 1 else part.kind.removesuffix("s")
    counts = ", ".join(f"{number} {state}" for state, number in states.items())
    return f"{part.arm} on {parts} {word} of its data, seed {seed}: {counts}{time} ({names})"


def _cells(name: str, record: RunRecord | None, metrics: Sequence[str]) -> list[str]:
    link = f"[{name}]({name}/)"
    if record is None:
        return [link, "", "", "", "unreadable", "", "", *[""] * len(metrics), "", ""]
    return [
        link,
        record.arm,
        str(record.stage),
        str(record.seed),
        record.state,
        value_text(record.epochs),
        value_text(record.best_epoch),
        *[value_text(record.metrics.get(metric)) for metric in metrics],
        _duration_text(record.seconds),
        short(record.key),
    ]


def _summary(name: str, record: RunRecord) -> str:
    head = [
        f"# {record.label}",
        "",
        f"- run: {name}",
        f"- arm {record.arm}, stage {record.stage}, seed {record.seed}: {record.state}",
        f"- epochs: {value_text(record.epochs)}, best {value_text(record.best_epoch)}",
        f"- wall time: {_duration_text(record.seconds)}",
        f"- hash of the run: {record.key}",
        f"- SHA-256 of the best weights: {value_text(record.weights)}",
    ]
    if record.error:
        head.append(f"- error: {' '.join(record.error.split())}")
    table = [table_row(["metric (validation, best epoch)", "value"]), table_row(["---", "---"])]
    table += [table_row([metric, value_text(value)]) for metric, value in sorted(record.metrics.items())]
    facts = [
        f"- {key}: {value_text(value)}" for key, value in sorted(record.facts.items()) if key != "args"
    ]  # args.yaml
    parts = [head, *([table] if record.metrics else []), *([facts] if facts else [])]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _duration_text(seconds: float | None) -> str:
    return "–" if seconds is None else duration(seconds)


def value_text(value: object) -> str:
    """Return a value for a cell: four digits of a number, – for None."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {value_text(part)}" for key, part in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(value_text, value)) or "none"
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def table_row(cells: Sequence[str]) -> str:
    """Return cells as a row of a Markdown table."""
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _safe_name(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", label).strip("-.")[:80] or "run"
