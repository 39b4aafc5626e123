"""A task (a training, a prediction, a part of an evaluation) and its files, in a folder that driver and worker share.

task.json    the task, written by the driver before it is submitted
attempt      the attempt that may work on it: the driver writes it, and empties it to stop the worker
result.json  how the last attempt ended, with the SHA-256 of what it wrote: the worker writes it

An attempt is a random word. A worker whose word is no longer in `attempt` stops at its next epoch boundary, so that one
that was believed lost never works beside its successor for long, also where locks do not work between machines.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from liftgate._version import __version__
from liftgate.backends.base import PredictJob
from liftgate.backends.events import FailedEvent, Json
from liftgate.documents import load_json
from liftgate.engines.base import Resources
from liftgate.errors import DataError
from liftgate.hashing import file_hash
from liftgate.training.job import Job, JobFile

if TYPE_CHECKING:
    from liftgate.engines.matching import MatchJob  # imports numpy

Ending = Literal["done", "paused", "failed", "lost"]
_LAST_BYTES = 4096
"""Of a log, in which its last line lies"""


@dataclass(frozen=True, slots=True)
class Task:
    """One training or prediction, or a part of an evaluation."""

    key: str
    """Hash of all that its result depends on"""
    name: str
    """`train single seed 0`"""
    folder: Path
    """Its own folder, at the same path on every machine"""
    work: JobFile | MatchJob
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Path of a file that it reads → SHA-256: the worker compares it before it begins"""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package → version that the driver has: a worker with another one refuses"""
    resources: Resources = field(default_factory=Resources)

    def write(self) -> None:
        """Write task.json."""
        self.folder.mkdir(parents=True, exist_ok=True)
        facts = {"key": self.key, "name": self.name, "inputs": dict(self.inputs), "versions": dict(self.versions)}
        replace_file(self.folder / "task.json", json.dumps({**facts, "work": self.work.to_dict()}))

    @classmethod
    def read(cls, folder: Path) -> Task:
        """Read task.json of a folder.

        Raises:
            OSError, ValueError, KeyError, TypeError: there is none, or it is incomplete.
        """
        path = folder / "task.json"
        raw = load_json(path)
        return cls(raw["key"], raw["name"], folder, _read_work(raw["work"]), raw["inputs"], raw["versions"])

    @property
    def job(self) -> Job | MatchJob:
        """What it does."""
        return self.work.job if isinstance(self.work, JobFile) else self.work

    def output_paths(self) -> list[Path]:
        """Return the files that a finished attempt leaves."""
        from liftgate.data.formats.coco import settings_path  # the driver's list of tasks needs no formats

        out = self.job.out
        if isinstance(self.job, PredictJob):
            return [out, settings_path(out)]
        if not isinstance(self.work, JobFile):
            return [out]
        return [self.folder / "events.jsonl", out / "weights" / "best.pt", out / "weights" / "last.pt"]


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How one attempt at a task ended."""

    attempt: str
    ending: Ending
    """lost: the trainer ended without a word, killed for example: another attempt goes on"""
    seconds: float
    """By the clock of its machine, from start to end"""
    host: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Path → SHA-256"""
    facts: Json = field(default_factory=dict)
    """Of a prediction: the settings that were used"""
    failure: Json | None = None
    """Body of the event that says what failed"""

    def write(self, folder: Path) -> None:
        """Write result.json."""
        replace_file(folder / "result.json", json.dumps(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> TaskResult | None:
        """Read result.json; None: there is none yet, or not all of it can be seen yet."""
        try:
            return cls(**load_json(folder / "result.json"))
        except (OSError, ValueError, TypeError):
            return None

    def failed_event(self) -> FailedEvent:
        """Return the event that says what failed."""
        return FailedEvent.from_body(self.failure or {})

    def unseen_outputs(self) -> list[str]:
        """Return which outputs this machine does not see yet as they were written."""
        return [path for path, expected in self.outputs.items() if _hash(Path(path)) != expected]


class Fence:
    """Which attempt may work on a task: a file that the driver writes and the worker reads."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "attempt"

    def grant(self, attempt: str) -> None:
        """Let this attempt work, and no other."""
        replace_file(self._path, attempt)

    def revoke(self) -> None:
        """Let no attempt work: a running one pauses at its next epoch boundary."""
        with contextlib.suppress(FileNotFoundError):
            replace_file(self._path, "")

    def granted(self) -> str | None:
        """Return the attempt that may work; "": none may; None: not known, the file cannot be read."""
        try:
            return self._path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None


def replace_file(path: Path, text: str) -> None:
    """Replace a file between driver and worker at once, without waiting for the disk.

    Nothing depends on these files after a power cut: an attempt whose files are lost is begun again, and what it
    trained is in its side-car. Ten thousand tasks would otherwise wait thirty thousand times.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def require_inputs(task: Task) -> None:
    """Compare a task's input files with what the driver read.

    Raises:
        DataError: one is missing or differs here.
    """
    for path, expected in task.inputs.items():
        if (got := _hash(Path(path))) != expected:
            what = "an input of the task is missing on this machine" if got is None else "an input of the task differs"
            hint = "the study's folder, its weights and data must be at the same path on every machine"
            raise DataError(what, where=path, expected=expected[:12], got=got and got[:12], hint=hint)


def installed_version(package: str) -> str | None:
    """Return the version of a package on this machine; None: it is not installed."""
    if package == "liftgate":
        return __version__
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def last_error(logs: Sequence[Path]) -> str | None:
    """Return the newest error in an engine's logs, such as a full disk; the engine may have written lines after it."""
    for path in logs:
        with contextlib.suppress(OSError), path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
            if errors := [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]:
                return errors[-1]
    return None


def _read_work(raw: Json) -> JobFile | MatchJob:
    if raw["verb"] != "match":
        return JobFile.from_dict(raw)
    from liftgate.engines.matching import MatchJob

    return MatchJob.from_dict(raw)


def _hash(path: Path) -> str | None:
    try:
        return file_hash(path)
    except OSError:
        return None
