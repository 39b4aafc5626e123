"""Engine `slurm`: jobs of a Slurm cluster, submitted as arrays by submitit.

Before its time limit, and when it is preempted, a job gets SIGUSR2: the training pauses after its epoch (or loses it,
where it takes longer than the notice), and submitit puts the job back into the queue, where the attempt goes on.
"""

from __future__ import annotations

import getpass
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from liftgate.backends.events import DoneEvent, FailedEvent, PausedEvent
from liftgate.engines.agent import run_logged
from liftgate.engines.base import Capabilities, JobState, Resources, Submission
from liftgate.errors import TrainingError, UsageError
from liftgate.training.events import read_events
from liftgate.training.pause_request import PauseRequest

if TYPE_CHECKING:
    import submitit

Cluster = Literal["slurm", "local"]

_NOTICE_SECONDS = 120  # between the signal and the time limit
_GRACE_SECONDS = 90.0  # for which a job that was signalled waits for the end of its epoch
_DEFAULT_HOURS = 24.0
_TIMEOUTS = 10_000  # a long training may meet its time limit as often as it likes: it pauses and goes on
_SQUEUE_TIMEOUT = 10.0
_LAST_SECONDS = 5.0  # for which a process of this machine may outlive the task that it ran
_STATES: Mapping[str, JobState] = {
    **dict.fromkeys(("PENDING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED", "CONFIGURING"), "queued"),
    **dict.fromkeys(("RUNNING", "COMPLETING", "STOPPED", "RESIZING"), "running"),
    **dict.fromkeys(("COMPLETED", "FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "CANCELLED", "DEADLINE"), "ended"),
    **dict.fromkeys(("BOOT_FAIL", "FINISHED", "INTERRUPTED", "NO PROCESS AND NO RESULT"), "ended"),
}


@dataclass(frozen=True, slots=True)
class AgentCall:
    """What a job runs; submitit pickles it, and asks it for a checkpoint before a requeue."""

    folder: Path
    attempt: str
    mirror: tuple[str, str] | None = None

    def __call__(self) -> str:
        """Run the attempt and return how it ended."""
        result = run_logged(self.folder, self.attempt, mirror=self.mirror)
        return "lost" if result is None else result.ending

    def checkpoint(self) -> object:
        """Pause the training at its epoch boundary, and return the call that goes on from there."""
        from submitit.helpers import DelayedSubmission

        PauseRequest(self.folder).make()
        end = time.monotonic() + _GRACE_SECONDS
        while time.monotonic() < end and not self._has_ended():
            time.sleep(0.2)
        return DelayedSubmission(self)

    def _has_ended(self) -> bool:
        events = read_events(self.folder / "events.jsonl")
        return bool(events) and isinstance(events[-1], PausedEvent | DoneEvent | FailedEvent)


class SlurmEngine:
    """Submits attempts to Slurm; with cluster `local`, to submitit's own processes on this machine, for tests."""

    def __init__(
        self,
        folder: Path,
        *,
        cluster: Cluster = "slurm",
        parallel: int | None = None,
        region: str | None = None,
        options: Mapping[str, str | int] | None = None,
    ) -> None:
        """Connect to the cluster of this machine.

        Args:
            folder: of submitit's files, on a disk that all nodes share.
            cluster: which executor of submitit runs the jobs.
            parallel: most jobs of an array at once; None: as many as the cluster gives.
            region: where the cluster is.
            options: of sbatch, by submitit's names without `slurm_`: partition, account, qos, constraint …

        Raises:
            UsageError: submitit is not installed, there is no Slurm here, or an option is unknown.
        """
        try:
            import submitit
        except ImportError:
            hint = "pip install '.[slurm]' in the clone of Liftgate"
            raise UsageError("the engine slurm needs submitit", hint=hint) from None
        self._submitit = submitit
        self._folder, self._cluster, self._region, self._parallel = folder, cluster, region, parallel
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._executor = submitit.AutoExecutor(
                folder, cluster=cluster, slurm_max_num_timeout=_TIMEOUTS, local_max_num_timeout=_TIMEOUTS
            )
            if cluster == "slurm":
                extra = {f"slurm_{name}": value for name, value in (options or {}).items()}
                self._executor.update_parameters(slurm_signal_delay_s=_NOTICE_SECONDS, **extra)
                if parallel is not None:
                    self._executor.update_parameters(slurm_array_parallelism=parallel)
        except (RuntimeError, ValueError, NameError, TypeError) as error:
            hint = "run it on a machine with sbatch; `engine: local` needs no cluster"
            raise UsageError(f"the engine slurm cannot be used here: {error}", hint=hint) from None
        self._jobs: dict[str, submitit.Job[str]] = {}

    def capabilities(self) -> Capabilities:
        """Return what it is."""
        lag = 0.0 if self._cluster == "local" else 60.0
        return Capabilities("slurm", self._parallel, survives_driver=True, lag_seconds=lag, region=self._region)

    def submit(self, submissions: Sequence[Submission]) -> list[str]:
        """Submit attempts, those with the same needs as one array; a handle is Slurm's number of the job.

        Raises:
            TrainingError: Slurm takes no jobs.
        """
        handles: dict[str, str] = {}
        for resources in dict.fromkeys(one.resources for one in submissions):
            alike = [one for one in submissions if one.resources == resources]
            self._executor.update_parameters(**_parameters(resources))
            try:
                with self._executor.batch():
                    jobs = [self._executor.submit(AgentCall(one.folder, one.attempt, one.mirror)) for one in alike]
                known = {one.attempt: job.job_id for one, job in zip(alike, jobs, strict=True)}
            except (OSError, RuntimeError) as error:
                hint = "`sinfo` and `squeue` show the cluster; the same command submits again"
                raise TrainingError(f"the cluster takes no jobs: {error}", hint=hint) from None
            handles |= known
            self._jobs |= {job.job_id: job for job in jobs}
        return [handles[one.attempt] for one in submissions]

    def poll(self, handles: Sequence[str]) -> list[JobState]:
        """Return the state of each job, as Slurm's accounting has it."""
        return [_job_state(self._job(handle).state) for handle in handles]

    def cancel(self, handles: Sequence[str]) -> None:
        """Cancel jobs, queued or running."""
        for handle in handles:
            self._job(handle).cancel(check=False)

    def logs(self, handle: str) -> list[Path]:
        """Return what the job printed, as far as the files exist."""
        paths = self._job(handle).paths
        return [path for path in (paths.stdout, paths.stderr) if path.is_file()]

    def queue_length(self) -> int | None:
        """Return how many of this user's jobs are pending, by `squeue`; None: unknown."""
        if self._cluster == "local":
            return 0
        command = ["squeue", "--noheader", "--array", "--states=PENDING", f"--user={getpass.getuser()}"]
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_SQUEUE_TIMEOUT)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return len(done.stdout.splitlines()) if done.returncode == 0 else None

    def close(self) -> None:
        """Let the jobs go on: a driver that comes back finds them. Processes that are about to end here are awaited."""
        end = time.monotonic() + _LAST_SECONDS
        while self._cluster == "local" and time.monotonic() < end:
            if all(job.state != "RUNNING" for job in self._jobs.values()):
                return
            time.sleep(0.02)

    def _job(self, handle: str) -> submitit.Job[str]:
        if handle not in self._jobs:
            kind = self._submitit.SlurmJob if self._cluster == "slurm" else self._submitit.LocalJob
            self._jobs[handle] = kind(self._folder, handle)
        return self._jobs[handle]


def _job_state(word: str) -> JobState:
    """Return the state that Slurm or submitit calls `word`.

    PREEMPTED may come back or not, which only time tells: it is unknown.

    >>> _job_state("RUNNING"), _job_state("CANCELLED by 1000"), _job_state("PREEMPTED")
    ('running', 'ended', 'unknown')
    """
    return _STATES.get(word) or _STATES.get(word.partition(" ")[0], "unknown")


def _parameters(resources: Resources) -> dict[str, int | float]:
    """Return a task's needs in submitit's names."""
    found: dict[str, int | float] = {
        "timeout_min": max(1, round(60 * (resources.hours or _DEFAULT_HOURS))),
        "gpus_per_node": resources.gpus,
    }
    if resources.cores is not None:
        found["cpus_per_task"] = resources.cores
    if resources.memory_gb is not None:
        found["mem_gb"] = resources.memory_gb
    return found
