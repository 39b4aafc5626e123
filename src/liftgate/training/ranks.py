"""Ranks: one training on several devices (`device: 0,1`) is one process for each of them, that learn in step (DDP).

The worker itself is rank 0: it alone reports, keeps the side-car and hears a wish to pause. This module starts the
others (`python -m liftgate.training.ranks JOB.json PARENT`), which do the same job and say nothing. They hold no state:
when rank 0 pauses they are ended, and when one of them dies rank 0 gives up at once instead of waiting for it. All
share the worker's process group, so that whoever ends that ends all of them. (Ultralytics' own launcher was not taken:
it deletes the run's folder, and its processes get sessions of their own, which nobody outside would find.)
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from liftgate.backends import load
from liftgate.backends.base import Event, TrainJob
from liftgate.training.job import JobFile

_LOOK = 0.5  # seconds between two looks after the others


def devices_of(device: str | None) -> int:
    """Return on how many devices a job trains at once.

    >>> devices_of("0,1"), devices_of("cpu"), devices_of(None)
    (2, 1, 1)
    """
    return len(device.split(",")) if device else 1


@contextlib.contextmanager
def together(work: JobFile, job_path: Path, emit: Callable[[Event], None]) -> Iterator[None]:
    """Run the body as rank 0 beside the other ranks of a job; a job of one device has none.

    To be entered before the trainer is imported: it reads its rank once.
    """
    n = devices_of(work.job.device) if isinstance(work.job, TrainJob) else 1
    if n == 1:
        yield
        return
    shared = {"WORLD_SIZE": str(n), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    os.environ.update(shared, RANK="0", LOCAL_RANK="0")
    words = [sys.executable, "-P", "-m", __name__, str(job_path), str(os.getpid())]
    others = [
        subprocess.Popen(words, env={**os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(1, n)
    ]
    over = threading.Event()
    threading.Thread(target=_give_up_with, args=(others, over, emit), daemon=True).start()
    try:
        yield
    finally:
        over.set()
        for other in others:
            other.kill()
            other.wait()


def _give_up_with(others: list[subprocess.Popen[bytes]], over: threading.Event, emit: Callable[[Event], None]) -> None:
    """End rank 0 when another ends badly: it would wait for it for hours."""
    while not over.wait(_LOOK):
        ended = [rank for rank, other in enumerate(others, start=1) if other.poll() not in (None, 0)]
        if ended and not over.is_set():
            how = others[ended[0] - 1].returncode
            what = f"rank {ended[0]} of the training on {len(others) + 1} devices ended with code {how}"
            hint = "the log has its last words; the same command goes on from the last finished epoch"
            emit(Event("failed", {"type": "TrainingError", "what": what, "hint": hint}))
            os._exit(1)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def main(argv: list[str]) -> int:
    """Do the job as another rank, without a word, until it is done or rank 0 is gone."""
    work, parent = JobFile.read(Path(argv[0])), int(argv[1])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # rank 0 hears it
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    assert isinstance(work.job, TrainJob)
    load(work.backend).train(work.job, lambda event: None, lambda: False)
    return 0


def _leave_with(parent: int) -> None:
    waiting = threading.Event()
    while os.getppid() == parent:
        waiting.wait(_LOOK)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
