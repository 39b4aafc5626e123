"""Request a run to pause, by a file in its folder that is valid as long as it exists.

A file was chosen over signals, because job schedulers send signals for other reasons: SIGCONT when they resume a
suspended process (`scontrol resume`, `fg`), USR1 and USR2 before a time limit. No other program writes this file. A
SIGTERM or SIGINT that reaches the child pauses it too, and cannot be withdrawn.
"""

from __future__ import annotations

import contextlib
from pathlib import Path


class PauseRequest:
    """A request that the parent makes and withdraws, and the child checks after every epoch; truthy while it exists."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "pause"

    def make(self) -> bool:
        """Make the request; return False where the file cannot be written (a read-only or full disk)."""
        try:
            self._path.touch()
        except OSError:
            return False
        return True

    def withdraw(self) -> None:
        """Withdraw the request, or one that an earlier attempt left."""
        with contextlib.suppress(OSError):  # the disk has become read-only: the run then pauses
            self._path.unlink(missing_ok=True)

    def __bool__(self) -> bool:
        return self._path.exists()
