"""Session: the lock, now.json and the reasons to stop, around one run of a study."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from liftgate.errors import Decided, LiftgateError, Stopped
from liftgate.pipeline.context import Context
from liftgate.pipeline.control import stop_request
from liftgate.pipeline.control.deadline import Deadline
from liftgate.pipeline.control.status_file import State, StatusWriter
from liftgate.pipeline.control.study_lock import study_lock
from liftgate.pipeline.epoch_timer import EpochTimer
from liftgate.pipeline.notice import Notice


@contextmanager
def session(context: Context) -> Iterator[Context]:
    """Hold the study's lock and yield the context with a `stop_reason` that knows of every request to stop.

    Raises:
        UsageError: another process runs the study.
    """
    folder = context.workspace.folder
    with study_lock(folder):
        stop_request.clear(folder)  # one that was meant for an earlier run
        timer = EpochTimer()
        status = StatusWriter(folder, context.study.budget.usd_per_hour, timer)
        reasons = StopReasons(context, timer)

        def notify(notice: Notice) -> None:
            status(notice)
            context.notify(notice)

        try:
            yield replace(context, notify=notify, stop_reason=reasons.reason)
        except (Stopped, KeyboardInterrupt) as stop:
            state: State = "stopped" if isinstance(stop, Decided) else "paused"
            status.end(state, "interrupted" if isinstance(stop, KeyboardInterrupt) else _why(stop))
            raise
        except BaseException as error:
            status.end("failed", _why(error))
            raise
        else:
            status.end("finished")
        finally:
            stop_request.clear(folder)


class StopReasons:
    """Why to stop: a signal to the caller, stop.json, the time limit."""

    def __init__(self, context: Context, timer: EpochTimer) -> None:
        self._context = context
        self._timer = timer
        self._deadline = None if context.time_limit is None else Deadline(context.time_limit)

    def reason(self) -> str:
        """Return why to pause at the next epoch boundary; empty: go on.

        Raises:
            Stopped: it has to end at once.
        """
        request = stop_request.read(self._context.workspace.folder, os.getpid())
        if request is not None and request.when == "now":
            raise Stopped(str(request), hint="the same command goes on from the last finished epoch")
        if request is not None:
            return str(request)
        if self._context.should_stop():
            return "paused, as asked"
        return self._deadline.reason(self._timer.seconds) if self._deadline else ""


def _why(error: BaseException) -> str:
    if isinstance(error, LiftgateError):
        return error.what
    return str(error).partition("\n")[0] or type(error).__name__
