"""A worker as its parent sees it: start it, give it commands, end it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from liftgate import errors
from liftgate.backends.sandbox import sandbox_environment
from liftgate.deploy.bench.worker import Block, BlockCommand, Failure, OpenCommand, Opened
from liftgate.errors import LiftgateError, TrainingError
from liftgate.records import to_record

T = TypeVar("T", Opened, Block)
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Contender:
    """One model in a process of its own."""

    def __init__(self, name: str, process: subprocess.Popen[str], log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def open(self, command: OpenCommand) -> Opened:
        """Load the model; see `OpenCommand`.

        Raises:
            LiftgateError: as the worker raised it.
        """
        return self._answer(command, Opened)

    def measure(self, command: BlockCommand) -> Block:
        """Measure one block; see `BlockCommand`."""
        return self._answer(command, Block)

    def _answer(self, command: OpenCommand | BlockCommand, kind: type[T]) -> T:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(asdict(command)) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise self._death()
        answer = json.loads(line)
        if "failed" in answer:
            raise _error(to_record(answer, Failure))
        return to_record(answer, kind)

    def _death(self) -> TrainingError:
        code = self._process.wait()
        last = self._log.read_text("utf-8", "replace").strip().splitlines()[-1:] or ["nothing was printed"]
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return TrainingError(f"the process of {self.name} ended", got=how, hint=f"its last line: {last[0][:300]}")


@contextmanager
def start(name: str, scratch: Path, threads: int) -> Iterator[Contender]:
    """Start a worker and end it when the block ends.

    Args:
        name: for messages.
        scratch: folder of its own, which becomes its home.
        threads: of its numeric libraries.
    """
    scratch.mkdir(parents=True)
    log = scratch / "worker.log"
    environment = sandbox_environment(scratch / "home", os.environ)
    environment |= dict.fromkeys(_THREAD_VARIABLES, str(threads))
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "liftgate.deploy.bench.worker"],
            cwd=scratch,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )
    try:
        yield Contender(name, process, log)
    finally:
        process.kill()
        process.communicate()


def _error(failure: Failure) -> LiftgateError:
    kind = getattr(errors, failure.failed, TrainingError)
    kind = kind if isinstance(kind, type) and issubclass(kind, LiftgateError) else TrainingError
    return kind(failure.what, where=failure.where, expected=failure.expected, got=failure.got, hint=failure.hint)
