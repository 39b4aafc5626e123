"""The child process: `python -m liftgate.training.worker JOB.json EVENTS.jsonl PARENT`.

It does one job of one backend and reports to the events file; its output is the log. It pauses at the next epoch
boundary when its parent wishes so, on SIGTERM, SIGINT or SIGHUP, and when its parent is gone: an orphan that trained on
would meet the next start of the same command. (Asking for the parent's id at each boundary was chosen over
PR_SET_PDEATHSIG: the same effect, no ctypes, and it works where there is no Linux. Dying at once was not: an epoch may
be an hour.)
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from liftgate.backends import load
from liftgate.backends.base import Event, Paused, PredictJob, TrainJob
from liftgate.errors import LiftgateError
from liftgate.training import ranks
from liftgate.training.events import EventFile, read_events
from liftgate.training.job import JobFile
from liftgate.training.pause_request import PauseRequest
from liftgate.training.power import Meter
from liftgate.training.stopping_rules import StoppingRules


def main(argv: list[str]) -> int:
    """Do the job; 0 when it is done or paused, 1 when it failed."""
    job_path, events_path, parent = Path(argv[0]), Path(argv[1]), int(argv[2])
    should_stop = stop_requested(parent, PauseRequest(job_path.parent))
    emit = EventFile(events_path).emit
    work = JobFile.read(job_path)
    earlier = read_events(events_path)
    try:
        with ranks.together(work, job_path, emit):
            facts = _do(work, emit, should_stop, earlier)
    except Paused as pause:
        emit(Event("paused", {"message": str(pause)}))
    except LiftgateError as error:
        traceback.print_exc()
        emit(Event("failed", _describe(error)))
        return 1
    except Exception as error:
        traceback.print_exc()
        emit(Event("failed", {"type": type(error).__name__, "what": f"{type(error).__name__}: {error}"}))
        return 1
    else:
        emit(Event("done", facts))
    return 0


def _do(
    work: JobFile, emit: Callable[[Event], None], should_stop: Callable[[], bool], earlier: list[Event]
) -> dict[str, Any]:
    backend = load(work.backend)
    if isinstance(work.job, TrainJob):
        judge = StoppingRules(work.job.decide, [event.body for event in earlier if event.kind == "epoch"])
        with Meter(work.job.device) as meter:
            emit = meter.through(_judging(emit, judge))
            return dict(backend.train(work.job, emit, lambda: judge.stops or should_stop()))
    assert isinstance(work.job, PredictJob)
    return dict(backend.predict(work.job, emit))


def _judging(emit: Callable[[Event], None], judge: StoppingRules) -> Callable[[Event], None]:
    """Return `emit` that also asks the decision points about every epoch."""

    def tell(event: Event) -> None:
        emit(event)
        for judged in judge.hear(event.body) if event.kind == "epoch" else ():
            emit(Event("log", {"message": judged.reason, "decision": judged.to_dict()}))

    return tell


def stop_requested(parent: int, wish: PauseRequest) -> Callable[[], bool]:
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: asked.append(received))
    return lambda: bool(asked) or bool(wish) or os.getppid() != parent


def _describe(error: LiftgateError) -> dict[str, Any]:
    parts = {name: getattr(error, name) for name in ("what", "where", "expected", "got", "hint")}
    return {"type": type(error).__name__, **parts}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
