"""The child process around one model: `python -m liftgate.deploy.bench.worker`.

It reads one JSON command per line from its input and answers with one JSON line. It ends when its input ends, so no
worker outlives its parent.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.errors import LiftgateError
from liftgate.records import to_record

if TYPE_CHECKING:
    from liftgate.deploy.bench.engine import Engine, Times
    from liftgate.deploy.runtime.images import Pixels

_MOST_CALLS = 5_000
_WARM_UP_CALLS, _WARM_UP_SECONDS = 3, 0.5


@dataclass(frozen=True, slots=True)
class OpenCommand:
    """Load a model and the images."""

    model: str
    checkpoint: bool
    threads: int
    cores: tuple[int, ...]
    images: tuple[str, ...]
    """Files; empty: one image of noise"""
    conf: float
    imgsz: int | None = None
    device: str | None = None


@dataclass(frozen=True, slots=True)
class BlockCommand:
    """Measure requests of `batch` images for `seconds`, at least `calls` of them."""

    batch: int
    seconds: float
    calls: int


@dataclass(frozen=True, slots=True)
class Opened:
    """Answer to `OpenCommand`."""

    format: str
    precision: str
    runtime: str
    input: str
    size_bytes: int
    load_seconds: float
    first_ms: float
    warm_up_calls: int
    missing: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Answer to `BlockCommand`: milliseconds of each request."""

    pre: tuple[float, ...]
    inference: tuple[float, ...]
    post: tuple[float, ...]
    cpu_seconds: float
    memory_mb: float
    peak_memory_mb: float
    calls_per_request: int
    """0: the model does not take such batches, and nothing was measured"""


@dataclass(frozen=True, slots=True)
class Failure:
    """Answer where a command failed."""

    failed: str
    """Class name of the error"""
    what: str
    where: str | None = None
    expected: str | None = None
    got: str | None = None
    hint: str | None = None


def main() -> int:
    """Answer commands until the input ends; return the exit code."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes to the log
    worker = _Worker()
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer: Opened | Block | Failure = worker.answer(command)
        except LiftgateError as error:
            parts = {name: getattr(error, name) for name in ("what", "where", "expected", "got", "hint")}
            answer = Failure(type(error).__name__, **parts)
        answers.write(json.dumps(asdict(answer)) + "\n")
        answers.flush()
    return 0


class _Worker:
    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._images: list[Pixels] = []
        self._next = 0

    def answer(self, command: Mapping[str, object]) -> Opened | Block:
        if "model" in command:
            return self._open(to_record(command, OpenCommand))
        return self._measure(to_record(command, BlockCommand))

    def _open(self, command: OpenCommand) -> Opened:
        os.sched_setaffinity(0, command.cores)
        from liftgate.deploy.bench.engine import open_checkpoint, open_export
        from liftgate.deploy.export.card import UseSettings

        begun = time.perf_counter()
        use, path = UseSettings(conf=command.conf), Path(command.model)
        if command.checkpoint:
            engine = open_checkpoint(path, command.threads, use, imgsz=command.imgsz, device=command.device)
        else:
            engine = open_export(path, command.threads, use)
        loaded = time.perf_counter() - begun
        self._engine = engine
        self._images = _read_images(command.images)
        at_once = engine.input.batch or 1
        first = self._request(at_once).total
        calls, end = 1, time.perf_counter() + _WARM_UP_SECONDS
        while calls < _WARM_UP_CALLS or time.perf_counter() < end:
            self._request(at_once)
            calls += 1
        entry = engine.input
        return Opened(
            format=engine.format,
            precision=engine.precision,
            runtime=engine.runtime,
            input=f"{entry.width} × {entry.height}, batch {entry.batch or 'any'}",
            size_bytes=engine.size_bytes,
            load_seconds=loaded,
            first_ms=first,
            warm_up_calls=calls,
            missing=engine.missing,
            notes=engine.notes,
        )

    def _measure(self, command: BlockCommand) -> Block:
        assert self._engine is not None
        calls = self._engine.calls_for(command.batch)
        found: list[Times] = []
        busy = time.process_time()
        if calls:
            self._request(command.batch)  # the first of another size is slower, and is not counted
            busy, end = time.process_time(), time.perf_counter() + command.seconds
            while len(found) < _MOST_CALLS and (len(found) < command.calls or time.perf_counter() < end):
                found.append(self._request(command.batch))
        now, peak = _memory_mb()
        return Block(
            pre=tuple(one.pre for one in found),
            inference=tuple(one.inference for one in found),
            post=tuple(one.post for one in found),
            cpu_seconds=time.process_time() - busy,
            memory_mb=now,
            peak_memory_mb=peak,
            calls_per_request=calls,
        )

    def _request(self, batch: int) -> Times:
        assert self._engine is not None
        count = len(self._images)
        images = [self._images[(self._next + number) % count] for number in range(batch)]
        self._next = (self._next + batch) % count
        return self._engine.request(images)


def _read_images(paths: Sequence[str]) -> list[Pixels]:
    import numpy as np

    from liftgate.deploy.runtime.images import read_pixels

    if paths:
        return [read_pixels(Path(path)) for path in paths]
    return [np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)]


def _memory_mb() -> tuple[float, float]:
    """Return resident and peak resident memory of this process."""
    values = {"VmRSS": 0.0, "VmHWM": 0.0}
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in values:
            values[name] = int(rest.split()[0]) / 1024
    return round(values["VmRSS"], 1), round(values["VmHWM"], 1)


if __name__ == "__main__":
    sys.exit(main())
