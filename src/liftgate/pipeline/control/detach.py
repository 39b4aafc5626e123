"""Detach: start a run that outlives the shell, keeps the machine awake and appends to one log.

The run gets its own session, so that closing the terminal does not end it. Where lingering is enabled for the user's
systemd, it also gets its own scope, so that logging out does not end it. Without lingering a scope would do harm, as
the user's systemd ends at log-out together with its scopes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from liftgate.errors import TrainingError, UsageError
from liftgate.locks import LockOwner
from liftgate.pipeline.control.logs import RUN_LOG, tail
from liftgate.pipeline.control.study_lock import holder

_TIMEOUT = 10.0  # seconds to wait for systemd
_START_TIMEOUT = 120.0  # seconds for Python to start on a busy machine and the study to be read
_POLL_INTERVAL = 0.1


@dataclass(frozen=True, slots=True)
class Detached:
    """A detached run."""

    owner: LockOwner | None
    """None: it ended before its lock was seen"""
    log: Path
    scope: bool
    """Whether it has its own systemd scope"""
    awake: bool
    """Whether the machine is kept from sleeping while it runs"""


def detach(command: Sequence[str], folder: Path) -> Detached:
    """Start `command`, which runs the study whose results lie in `folder`, and return when it holds the lock.

    Raises:
        UsageError: the study is running already.
        TrainingError: it ended at once; the end of its log has the reason.
    """
    if (owner := holder(folder)) is not None:
        hint = "`liftgate status` shows it, `liftgate stop` pauses it"
        raise UsageError("this study is running already", where=folder, got=f"process {owner.pid}", hint=hint)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / RUN_LOG
    scope, awake = _scope_command(folder.name), _inhibit_sleep_command(folder.name)
    words = [*scope, *awake, *command]
    with log.open("a", encoding="utf-8") as file:
        file.write(f"--- {datetime.now(UTC).isoformat(timespec='seconds')} {' '.join(command[-8:])}\n")
    # Not Popen, which warns about a child that is never waited for.
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    program = shutil.which(words[0]) or words[0]
    child = os.posix_spawn(program, words, os.environ, file_actions=files, setsid=True)
    owner = _wait_for_lock(child, folder)
    return Detached(owner, log, bool(scope), bool(awake))


def _wait_for_lock(child: int, folder: Path) -> LockOwner | None:
    end = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < end:
        if (owner := holder(folder)) is not None and owner.pid:
            return owner
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            if code in (0, 10, 11, 12):  # it has ended with a verdict or a decision: there was little to do
                return None
            last = [line for passage in tail(folder, 3) if passage.path.name == RUN_LOG for line in passage.lines]
            raise TrainingError("the run ended at once", where=folder / RUN_LOG, got=" ".join(last)[-300:])
        time.sleep(_POLL_INTERVAL)
    raise TrainingError("the run does not begin", where=folder / RUN_LOG, hint="`liftgate logs` shows its log")


def _scope_command(name: str) -> list[str]:
    """Return the command prefix that runs a command in its own scope; empty where that does not work or help."""
    if _output("loginctl", "show-user", str(os.getuid()), "--property=Linger", "--value") != "yes":
        return []
    unit = f"liftgate-{re.sub(r'[^A-Za-z0-9_.-]+', '-', name)}-{os.getpid()}"
    words = ["systemd-run", "--user", "--scope", "--quiet", "--collect"]
    works = _output(*words, f"--unit={unit}-try", "true") is not None
    return [*words, f"--unit={unit}", "--"] if works else []


def _inhibit_sleep_command(name: str) -> list[str]:
    """Return the command prefix that keeps the machine from sleeping; empty where that does not work."""
    words = ["systemd-inhibit", "--what=sleep:idle", "--mode=block", "--who=liftgate", f"--why=study {name}"]
    return words if _output(*words, "true") is not None else []


def _output(*command: str) -> str | None:
    """Return what a command prints; None: it is missing, fails or hangs."""
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=_TIMEOUT, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
