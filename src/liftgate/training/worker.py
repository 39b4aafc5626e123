"""Run one job in the child process: `python -m liftgate.training.worker JOB.json EVENTS.jsonl PARENT`.

It reports to the events file; its output is the log. It pauses at the next epoch boundary when its parent requests it,
on SIGTERM, SIGINT or SIGHUP, and when its parent has ended: an orphan that trained on would block the same command when
it is started again. (Checking the parent's id at each boundary was chosen over PR_SET_PDEATHSIG: the same
effect, without ctypes and not only on Linux. Exiting at once was not chosen, because an epoch may take an hour.)
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from liftgate.backends import load
from liftgate.backends.base import DetectJob, Exporter, Paused, PredictJob, TrainJob
from liftgate.backends.events import DoneEvent, Emit, EpochReport, Event, Json, LogEvent, PausedEvent
from liftgate.errors import UsageError
from liftgate.training import ranks
from liftgate.training.events import EventFile, failed_event, read_events
from liftgate.training.job import JobFile
from liftgate.training.pause_request import PauseRequest
from liftgate.training.power import PowerMeter
from liftgate.training.stopping_rules import StoppingRules


def main(argv: list[str]) -> int:
    """Run the job; return 0 when it is done or paused, 1 when it failed."""
    job_path, events_path, parent = Path(argv[0]), Path(argv[1]), int(argv[2])
    should_stop = stop_requested(parent, PauseRequest(job_path.parent))
    emit = EventFile(events_path).emit
    work = JobFile.read(job_path)
    earlier = [event for event in read_events(events_path) if isinstance(event, EpochReport)]
    try:
        with ranks.other_ranks(work, job_path, emit):
            facts = _run(work, emit, should_stop, earlier)
    except Paused as pause:
        emit(PausedEvent(message=str(pause)))
    except Exception as error:
        traceback.print_exc()
        emit(failed_event(error))
        return 1
    else:
        emit(DoneEvent(extra=facts))
    return 0


def _run(work: JobFile, emit: Emit, should_stop: Callable[[], bool], earlier: Sequence[EpochReport]) -> Json:
    backend = load(work.backend)
    if isinstance(work.job, TrainJob):
        rules = StoppingRules(work.job.decide, earlier)
        with PowerMeter(work.job.device) as meter:
            return backend.train(work.job, meter.wrap(_judging(emit, rules)), lambda: rules.stops or should_stop())
    if isinstance(work.job, PredictJob):
        return backend.predict(work.job, emit)
    exporter = cast(Exporter, backend)
    if not hasattr(exporter, work.verb):
        raise UsageError(f"the backend {work.backend!r} cannot {work.verb}", hint="weights of Ultralytics can")
    return exporter.detect(work.job, emit) if isinstance(work.job, DetectJob) else exporter.export(work.job, emit)


def _judging(emit: Emit, rules: StoppingRules) -> Emit:
    """Return an `emit` that also applies the stopping rules to every epoch."""

    def emit_and_judge(event: Event) -> None:
        emit(event)
        for decision in rules.add(event) if isinstance(event, EpochReport) else ():
            emit(LogEvent(message=decision.reason, decision=decision.to_dict()))

    return emit_and_judge


def stop_requested(parent: int, request: PauseRequest) -> Callable[[], bool]:
    """Return a function that returns True once a pause is requested, a signal was received, or the parent has ended."""
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: received.append(number))
    return lambda: bool(received) or bool(request) or os.getppid() != parent


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
