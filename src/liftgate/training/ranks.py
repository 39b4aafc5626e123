"""Train on several devices (`device: 0,1`) with one process (rank) for each of them (DDP).

The worker itself is rank 0: it alone reports, writes the side-car and reads requests to pause. This module starts the
others (`python -m liftgate.training.ranks JOB.json PARENT`), which do the same job and report nothing. They hold no
state: when rank 0 pauses they are killed, and when one of them dies rank 0 fails at once instead of waiting for it.
All share the worker's process group, so that a signal to it ends all of them. (Ultralytics' own launcher was not used:
it deletes the run's folder, and its processes get sessions of their own, which cannot be found from outside.)
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from liftgate.backends import load
from liftgate.backends.base import TrainJob
from liftgate.backends.events import Emit, FailedEvent
from liftgate.training.job import JobFile

_CHECK_SECONDS = 0.5  # seconds between two checks of the other processes


def count_devices(device: str | None) -> int:
    """Return the number of devices that a job trains on.

    >>> count_devices("0,1"), count_devices("cpu"), count_devices(None)
    (2, 1, 1)
    """
    return len(device.split(",")) if device else 1


@contextlib.contextmanager
def other_ranks(work: JobFile, job_path: Path, emit: Emit) -> Iterator[None]:
    """Run the other ranks of a job while the block runs as rank 0; a job on one device has none.

    Enter it before the trainer is imported, because the trainer reads its rank at import.

    Args:
        work: the job.
        job_path: its file, for the other processes.
        emit: called with the failure of another rank.
    """
    n = count_devices(work.job.device) if isinstance(work.job, TrainJob) else 1
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
    threading.Thread(target=_fail_with_others, args=(others, over, emit), daemon=True).start()
    try:
        yield
    finally:
        over.set()
        for other in others:
            other.kill()
            other.wait()


def _fail_with_others(others: list[subprocess.Popen[bytes]], over: threading.Event, emit: Emit) -> None:
    """End rank 0 when another rank fails, instead of letting it wait until its timeout."""
    while not over.wait(_CHECK_SECONDS):
        ended = [rank for rank, other in enumerate(others, start=1) if other.poll() not in (None, 0)]
        if ended and not over.is_set():
            how = others[ended[0] - 1].returncode
            what = f"rank {ended[0]} of the training on {len(others) + 1} devices ended with code {how}"
            hint = "the end of the log has its error; the same command goes on from the last finished epoch"
            emit(FailedEvent(type="TrainingError", what=what, hint=hint))
            os._exit(1)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def main(argv: list[str]) -> int:
    """Run the job as another rank, without reports, until it is done or rank 0 has ended."""
    work, parent = JobFile.read(Path(argv[0])), int(argv[1])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # rank 0 handles it
    threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()
    assert isinstance(work.job, TrainJob)
    load(work.backend).train(work.job, lambda event: None, lambda: False)
    return 0


def _exit_with_parent(parent: int) -> None:
    waiting = threading.Event()
    while os.getppid() == parent:
        waiting.wait(_CHECK_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
