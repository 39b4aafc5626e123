"""Engine `ray`: tasks of a Ray cluster, with Ray's own retries when a node dies.

Without an address a cluster of this machine alone is started: bound to loopback, no dashboard, no usage statistics.
Ray carries a function call and nothing else: inputs and results are in the shared folder, as with every engine.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from liftgate.engines.base import Capabilities, JobState, Resources, Submission
from liftgate.engines.task import replace_file
from liftgate.errors import TrainingError, UsageError

_LOG = "agent.log"
_RAY_LOG = "ray.log"
_STARTED = "started"
_STARTS = 6  # Ray gives a node 30 s to come up, which a busy machine may need longer than
_ANSWERS_WITHIN = 10.0  # seconds
_NODE_DEATHS = 5  # Ray's own retries of a task whose node or worker died
_LOOPBACK = "127.0.0.1"
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
}
"""Read when Ray is imported"""
_LOOPBACK_ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""So that 127.0.0.1 is not replaced by this machine's address in its network: Ray's switch, of another purpose"""


class RayEngine:
    """Runs each attempt as a task of a Ray cluster."""

    def __init__(
        self,
        *,
        address: str | None = None,
        workers: int = 1,
        gpus: Sequence[int] = (),
        region: str | None = None,
    ) -> None:
        """Describe the engine; the cluster is joined or started at the first submission.

        Args:
            address: of a cluster that is running, HOST:PORT; None: one of this machine alone is started.
            workers: of a cluster that is started: tasks at once.
            gpus: of a cluster that is started: the GPUs that its tasks use.
            region: where the cluster is.

        Raises:
            UsageError: Ray is not installed.
        """
        self._on_loopback = address is None or address.startswith(("127.", "localhost:"))
        wanted = _QUIET | (_LOOPBACK_ALONE if self._on_loopback else {})
        os.environ.update({name: os.environ.get(name, value) for name, value in wanted.items()})
        try:
            import ray
        except ImportError:
            raise UsageError("the engine ray needs ray", hint="pip install '.[ray]' in the clone of Liftgate") from None
        self._ray: Any = ray
        self._address, self._workers, self._gpus, self._region = address, workers, tuple(gpus), region
        self._remote: Any = None
        self._calls: dict[str, tuple[Any, Path]] = {}

    def capabilities(self) -> Capabilities:
        """Return what it is."""
        here = self._address is None
        lag = 0.0 if here else 60.0
        slots = (len(self._gpus) or self._workers) if here else None
        return Capabilities("ray", slots, survives_driver=False, lag_seconds=lag, region=self._region)

    def submit(self, submissions: Sequence[Submission]) -> list[str]:
        """Submit attempts; the handle is the attempt.

        Raises:
            TrainingError: the cluster cannot be reached or started.
        """
        if self._remote is None:
            self._remote = self._connect()
        for one in submissions:
            needs = self._remote.options(name=one.name, **_needs(one.resources))
            self._calls[one.attempt] = (needs.remote(str(one.folder), one.attempt, one.mirror), one.folder)
        return [one.attempt for one in submissions]

    def poll(self, handles: Sequence[str]) -> list[JobState]:
        """Return the state of each task."""
        return [self._state(handle) for handle in handles]

    def cancel(self, handles: Sequence[str]) -> None:
        """End tasks, queued or running, with the trainer that they started."""
        for handle in handles:
            if handle in self._calls:
                with contextlib.suppress(Exception):  # it has ended, or its node has
                    self._ray.cancel(self._calls[handle][0], force=False)

    def logs(self, handle: str) -> list[Path]:
        """Return the log of the process beside the task, and what Ray said of it."""
        _, folder = self._calls.get(handle, (None, None))
        return [folder / name for name in (_LOG, _RAY_LOG) if (folder / name).is_file()] if folder else []

    def queue_length(self) -> int | None:
        """Return 0 for a cluster that would be started; of another it is unknown."""
        return 0 if self._address is None else None

    def close(self) -> None:
        """Leave the cluster; one that was started here is ended."""
        if self._remote is not None:
            self.cancel([handle for handle in self._calls if self._state(handle) != "ended"])
            self._ray.shutdown()
            self._remote = None

    def _connect(self) -> Any:
        """Join the cluster, or start one, and return the remote function.

        Raises:
            TrainingError: it does not come up, or cannot be reached.
        """
        options: dict[str, object] = {
            "logging_level": logging.ERROR,
            "log_to_driver": False,
            "configure_logging": False,
        }
        if self._address is None:
            slots = len(self._gpus) or self._workers
            options |= {"num_cpus": slots, "num_gpus": len(self._gpus), "include_dashboard": False}
            options |= {"_node_ip_address": _LOOPBACK, "dashboard_host": _LOOPBACK}
            if self._gpus:
                os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, self._gpus))
        else:
            _require_listening(self._address)
            options |= {"address": self._address}
            if self._on_loopback:
                options |= {"_node_ip_address": _LOOPBACK}
        problem: Exception | None = None
        for _ in range(_STARTS if self._address is None else 2):
            try:
                self._ray.init(**options)
            except Exception as error:  # Ray has many kinds for a node that did not come up
                problem = error
                self._ray.shutdown()
                continue
            return self._ray.remote(max_retries=_NODE_DEATHS, max_calls=1)(run_in_folder)
        text = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        where = self._address or "this machine"
        hint = (
            "`ray status` shows a cluster; a busy machine may need longer than Ray waits: try again, or engine: local"
        )
        raise TrainingError("the Ray cluster cannot be used", where=where, got=text, hint=hint)

    def _state(self, handle: str) -> JobState:
        if handle not in self._calls:
            return "unknown"
        reference, folder = self._calls[handle]
        ready, _ = self._ray.wait([reference], timeout=0)
        if not ready:
            return "running" if _reads(folder / _STARTED) == handle else "queued"
        try:
            self._ray.get(reference)
        except Exception as error:  # cancelled, or out of Ray's retries: the dispatcher decides what follows
            with contextlib.suppress(OSError):
                replace_file(folder / _RAY_LOG, f"{type(error).__name__}: {error}\n")
        return "ended"


def _require_listening(address: str) -> None:
    """Refuse an address at which nothing answers: Ray itself tries for minutes.

    Raises:
        TrainingError: nothing listens there.
    """
    host, _, port = address.rpartition(":")
    if not port.isdigit():  # `auto`: Ray looks for a cluster of this machine
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWERS_WITHIN).close()
    except (OSError, OverflowError, UnicodeError) as error:  # UnicodeError: no name of a host
        hint = "`ray status` on its head node shows whether it runs; `ray start --head` starts one"
        raise TrainingError("nothing answers at the address of the Ray cluster", where=address, got=str(error),
                            hint=hint) from None  # fmt: skip


def run_in_folder(folder: str, attempt: str, mirror: tuple[str, str] | None = None) -> None:
    """Run an attempt in a process beside this worker, which ends with it; called on a node of the cluster."""
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    replace_file(home / _STARTED, attempt)
    command = [sys.executable, "-P", "-m", "liftgate.engines.agent", folder, attempt, str(os.getpid())]
    command += mirror or ()
    with (home / _LOG).open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        while process.poll() is None:  # in short waits, so that a cancellation gets in between
            time.sleep(0.1)
    finally:
        if process.poll() is None:
            for pid in (process.pid, *_children(process.pid)):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    text = _reads(Path(f"/proc/{pid}/task/{pid}/children"))
    return [int(word) for word in text.split()]


def _reads(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _needs(resources: Resources) -> Mapping[str, float | int]:
    """Return a task's needs in Ray's names."""
    found: dict[str, float | int] = {"num_cpus": resources.cores or 1, "num_gpus": resources.gpus}
    if resources.memory_gb is not None:
        found["memory"] = round(resources.memory_gb * 2**30)
    return found
