"""Request to pause a run: a file in its folder, valid as long as the file is there.

A file was chosen over a signal and its counterpart: SIGCONT for "never mind" is also what a job runner sends when it
resumes what it had suspended (`scontrol resume`, `fg`), and USR1 and USR2 what it sends before a time limit. No other
program writes this file. A SIGTERM or SIGINT that reaches the child pauses it too, and cannot be withdrawn.
"""

from __future__ import annotations

import contextlib
from pathlib import Path


class PauseRequest:
    """Both ends of the file: the parent makes and withdraws it, the child checks it after every epoch."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "pause"

    def make(self) -> bool:
        """Make the request; False where the file cannot be written (a read-only disk, or a full one)."""
        try:
            self._path.touch()
        except OSError:
            return False
        return True

    def withdraw(self) -> None:
        """Withdraw it, or one that an earlier attempt left."""
        with contextlib.suppress(OSError):  # a disk that has become read-only: then the run pauses
            self._path.unlink(missing_ok=True)

    def __bool__(self) -> bool:
        return self._path.exists()
