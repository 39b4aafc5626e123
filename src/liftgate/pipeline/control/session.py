"""Session: study lock, status file and stop conditions of one run."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from liftgate.errors import Decided, LiftgateError, Stopped
from liftgate.ledger.runs import run_folders
from liftgate.ledger.workspace import Workspace
from liftgate.locks import FolderLock, waiting_lock
from liftgate.pipeline.context import Context
from liftgate.pipeline.control import stop_request
from liftgate.pipeline.control.deadline import Deadline
from liftgate.pipeline.control.status_file import State, StatusWriter
from liftgate.pipeline.control.study_lock import study_lock
from liftgate.pipeline.epoch_timer import EpochTimer
from liftgate.pipeline.notice import Notice

_LEFTOVER = re.compile(r"\.(?!ledger\.sqlite\.|report\.html\.).*\.part$|\.part|state\.part$|scratch-")
_STALE_AFTER = 600.0  # seconds; writing a report takes less


@contextmanager
def session(context: Context) -> Iterator[Context]:
    """Hold the study's lock and yield the context with a `stop_reason` that covers all stop conditions.

    Raises:
        UsageError: another process runs the study.
    """
    folder = context.workspace.folder
    with study_lock(folder):
        stop_request.clear(folder)  # a request for an earlier run
        remove_leftovers(context.workspace)
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


def remove_leftovers(workspace: Workspace) -> None:
    """Delete partial files of killed runs. The study's lock must be held.

    Other processes may write the report and the ledger's head without that lock: of the report only old files are
    deleted, of the head only under the ledger's lock. Run folders whose training still runs are left alone.
    """
    folder = workspace.folder
    free = [run.path for run in run_folders(folder) if FolderLock(run.path / "run.lock").holder() is None]
    places = [folder, *(folder / name for name in ("predictions", "splits", "trees", "work")), *free]
    places += [run / "results" / name for run in free for name in ("", "weights", "state")]
    for path in (path for place in places if place.is_dir() for path in place.iterdir()):
        if _LEFTOVER.match(path.name):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    with waiting_lock(workspace.ledger.with_name(workspace.ledger.name + ".lock")):
        for path in folder.glob(f".{workspace.ledger.name}.*.part"):
            path.unlink(missing_ok=True)
    for path in (*folder.glob(".report.html.*.part"), *(folder / "report").glob(".*.part")):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_AFTER:
                path.unlink()


class StopReasons:
    """Stop conditions: the caller's request, stop.json and the time limit."""

    def __init__(self, context: Context, timer: EpochTimer) -> None:
        self._context = context
        self._timer = timer
        self._deadline = None if context.time_limit is None else Deadline(context.time_limit)

    def reason(self) -> str:
        """Return why to pause at the next epoch boundary; empty: continue.

        Raises:
            Stopped: the run has to end at once.
        """
        request = stop_request.read(self._context.workspace.folder, os.getpid())
        if request is not None and request.when == "now":
            raise Stopped(str(request), hint="the same command goes on from the last finished epoch")
        if request is not None:
            return str(request)
        if self._context.should_stop():
            return "paused on request"
        return self._deadline.reason(self._timer.seconds) if self._deadline else ""


def _why(error: BaseException) -> str:
    if isinstance(error, LiftgateError):
        return error.what
    return str(error).partition("\n")[0] or type(error).__name__
