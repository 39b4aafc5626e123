"""A parent's wish that its child pause: a file in the run's folder, there as long as the wish stands.

A file was chosen over a signal and its counterpart: SIGCONT for "never mind" is also what a job runner sends when it
resumes what it had suspended (`scontrol resume`, `fg`), and USR1 and USR2 what it sends before a time limit. Nobody
else writes this file. A SIGTERM or SIGINT that reaches the child pauses it too, and cannot be taken back.
"""

from __future__ import annotations

import contextlib
from pathlib import Path


class PauseRequest:
    """Both ends of it: the parent asks and takes back, the child looks after every epoch."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "pause"

    def ask(self) -> bool:
        """Let the wish stand; False: it cannot be written down (a read-only disk, or no room for a name)."""
        try:
            self._path.touch()
        except OSError:
            return False
        return True

    def take_back(self) -> None:
        """Forget it; also one that was left by an attempt before."""
        with contextlib.suppress(OSError):  # a disk that has become read-only: then the run pauses
            self._path.unlink(missing_ok=True)

    def __bool__(self) -> bool:
        return self._path.exists()
