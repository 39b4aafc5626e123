"""Write and read the job file: the job that the parent passes to its child process, as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from liftgate.backends.base import DecisionPoint, DetectJob, ExportJob, MedianPoint, PredictJob, TrainJob
from liftgate.backends.events import Json
from liftgate.files import write_json
from liftgate.training.events import to_json_value

_IGNORED_FIELDS = ("resume", "reported", "decide", "out", "weights", "data")
Verb = Literal["train", "predict", "detect", "export"]
Job = TrainJob | PredictJob | DetectJob | ExportJob


@dataclass(frozen=True, slots=True)
class JobFile:
    """One job of one backend."""

    verb: Verb
    backend: str
    job: Job

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"verb": self.verb, "backend": self.backend, "job": to_json_value(dataclasses.asdict(self.job))}

    def same_as(self, other: JobFile) -> bool:
        """Return whether both are the same job, so that one can resume the other.

        Progress and stopping points are ignored: the median rule knows more runs when a command is repeated. Paths are
        equal also if they are equal relative to `out`, because a study's folder may have been moved as a whole.
        """
        mine, theirs = self.to_dict(), other.to_dict()
        a, b = mine.pop("job"), theirs.pop("job")
        same_files = all(
            a[name] == b[name] or _relative(a[name], a["out"]) == _relative(b[name], b["out"])
            for name in ("weights", "data")
        )
        left = ({name: value for name, value in job.items() if name not in _IGNORED_FIELDS} for job in (a, b))
        return mine == theirs and same_files and next(left) == next(left)

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        write_json(path, self.to_dict())

    @classmethod
    def read(cls, path: Path) -> JobFile:
        """Read a job file.

        Raises:
            ValueError, KeyError, TypeError: the file is no job file, or is incomplete.
        """
        return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))

    @classmethod
    def from_dict(cls, raw: Json) -> JobFile:
        """Return the job that `to_dict` described.

        Raises:
            ValueError, KeyError, TypeError: it describes no job, or half of one.
        """
        fields = dict(raw["job"])
        for name in {"data", "images", "out"} & fields.keys():
            fields[name] = Path(fields[name])
        if raw["verb"] == "predict":
            return cls("predict", raw["backend"], PredictJob(**fields))
        if raw["verb"] == "detect":
            return cls("detect", raw["backend"], DetectJob(**fields))
        if raw["verb"] == "export":
            return cls("export", raw["backend"], ExportJob(**fields))
        fields["decide"] = tuple(_read_point(point) for point in fields.get("decide", ()))
        return cls("train", raw["backend"], TrainJob(**fields))


def _read_point(raw: Json) -> DecisionPoint | MedianPoint:
    return MedianPoint(**raw) if raw["rule"] == "median rule" else DecisionPoint(**raw)


def _relative(path: str, folder: str) -> str:
    return os.path.relpath(path, folder) if Path(path).is_absolute() else path
