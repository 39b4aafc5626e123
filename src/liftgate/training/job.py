"""Job file: what the parent hands to its child process, as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from liftgate.backends.base import PredictJob, TrainJob
from liftgate.files import write_json
from liftgate.training.events import plain

_NOT_THE_JOB = ("resume", "reported", "decide", "out", "weights", "data")
Verb = Literal["train", "predict", "fetch"]


@dataclass(frozen=True, slots=True)
class JobFile:
    """One job of one backend and the files it keeps in its folder."""

    verb: Verb
    backend: str
    job: TrainJob | PredictJob

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"verb": self.verb, "backend": self.backend, "job": plain(dataclasses.asdict(self.job))}

    def same_as(self, other: JobFile) -> bool:
        """Whether it is the same job come again: not where in it the last attempt ended, nor what may stop it.

        (The median rule knows more runs when the same command comes again.) A file is the same if it lies where it lay,
        also as seen from the results: a study's folder may have been moved as a whole.
        """
        mine, theirs = self.to_dict(), other.to_dict()
        a, b = mine.pop("job"), theirs.pop("job")
        places = all(
            a[name] == b[name] or _from(a["out"], a[name]) == _from(b["out"], b[name]) for name in ("weights", "data")
        )
        left = ({name: value for name, value in job.items() if name not in _NOT_THE_JOB} for job in (a, b))
        return mine == theirs and places and next(left) == next(left)

    def write(self, path: Path) -> None:
        write_json(path, self.to_dict())

    @classmethod
    def read(cls, path: Path) -> JobFile:
        raw = json.loads(path.read_text(encoding="utf-8"))
        fields = dict(raw["job"])
        for name in ("data", "out"):
            fields[name] = Path(fields[name])
        kind = TrainJob if raw["verb"] == "train" else PredictJob
        return cls(raw["verb"], raw["backend"], kind(**fields))


def _from(out: str, place: str) -> str:
    return os.path.relpath(place, out) if Path(place).is_absolute() else place
