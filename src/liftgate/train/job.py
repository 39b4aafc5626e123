"""Job file: what the parent hands to its child process, as JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from liftgate.backends.base import PredictJob, TrainJob
from liftgate.files import write_json
from liftgate.train.events import plain

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

    def identity(self) -> dict[str, Any]:
        """What makes it the same job when the same command comes again; not where in it the last attempt ended.

        Nor what may stop it: the median rule knows more runs when the same command comes again.
        """
        value = self.to_dict()
        value["job"] = {k: v for k, v in value["job"].items() if k not in ("resume", "reported", "decide")}
        return value

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
