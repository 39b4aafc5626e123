"""What each camera did: counted by its thread, read by whoever shows it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """A camera at one moment."""

    camera: str
    state: str
    """live, reading, waiting, ended, or what is wrong"""
    fps: float
    """Frames a second that the model saw since the last look"""
    frames: int
    """That the model saw"""
    dropped: int
    """Frames that a newer one replaced, and segments that were passed over"""
    problems: int
    """Connections lost, files that cannot be read, packets that cannot be decoded, failures of the model"""

    def line(self) -> str:
        """Return it in words.

        >>> CameraStatus("gate", "live", 3.96, 120, 2, 0).line()
        'gate 4.0 fps, 120 frames, 2 dropped'
        """
        state = "" if self.state in ("live", "reading") else f" ({self.state})"
        return f"{self.camera} {self.fps:.1f} fps, {self.frames} frames, {self.dropped} dropped{state}"


class CameraCounts:
    """Counts of one camera."""

    def __init__(self, camera: str, now: Callable[[], float] = time.monotonic) -> None:
        self.camera, self._now = camera, now
        self._lock = threading.Lock()
        self.state = "starting"
        self.read = self.seen = self.passed_over = self.problems = 0
        """read: frames that were due; seen: of these by the model"""
        self.failed: list[str] = []
        """Sources that could not be read at all"""
        self._looked, self._seen_before = now(), 0

    def read_one(self) -> None:
        """Count a frame that was due."""
        with self._lock:
            self.read += 1
            self.state = "live"

    def seen_one(self) -> None:
        """Count a frame that the model saw."""
        with self._lock:
            self.seen += 1

    def pass_over(self, number: int) -> None:
        """Count segments or images that were not read, as newer ones were there."""
        with self._lock:
            self.passed_over += number

    def lost(self, reason: str) -> None:
        """Note that there is no connection, and why."""
        with self._lock:
            self.problems += 1
            self.state = reason

    def fell_behind(self) -> None:
        """Note that a connection is made anew, as the stream was too far behind."""
        with self._lock:
            self.passed_over += 1

    def damaged_one(self) -> None:
        """Count a packet that could not be decoded, or a frame on which the model failed."""
        with self._lock:
            self.problems += 1

    def fail(self, reason: str) -> None:
        """Note a file that could not be read."""
        with self._lock:
            self.problems += 1
            self.failed.append(reason)

    def say(self, state: str) -> None:
        """Set the state in words."""
        with self._lock:
            self.state = state

    def status(self, dropped: int) -> CameraStatus:
        """Return how the camera is; frames a second are those since the last call.

        Args:
            dropped: frames that a newer one replaced.
        """
        with self._lock:
            now = self._now()
            fps = (self.seen - self._seen_before) / max(now - self._looked, 1e-9)
            self._looked, self._seen_before = now, self.seen
            total = dropped + self.passed_over
            return CameraStatus(self.camera, self.state, round(fps, 2), self.seen, total, self.problems)


def status_line(found: Sequence[CameraStatus]) -> str:
    """Return all cameras in one line."""
    return " · ".join(one.line() for one in found)
