"""One frame for each camera waits for the model: the newest wins, and what it replaces is counted."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from liftgate.deploy.runtime.images import Pixels


@dataclass(frozen=True, slots=True)
class CameraFrame:
    """One frame of a camera."""

    camera: str
    image: str
    """Its name, as `liftgate data frames` would give it"""
    seconds: float
    """On a clock of the camera that no change of the machine's clock moves"""
    pixels: Pixels


class Mailbox:
    """Hands frames of several cameras to one model, in turn."""

    def __init__(self, cameras: Sequence[str]) -> None:
        self._frames: dict[str, CameraFrame | None] = dict.fromkeys(cameras)
        self._order = list(cameras)
        self.dropped = dict.fromkeys(cameras, 0)
        """Frames of each camera that a newer one replaced before the model was free"""
        self._changed = threading.Condition()
        self._closed = False

    def put(self, frame: CameraFrame) -> None:
        """Leave a frame; one of the same camera that still waits is dropped and counted."""
        with self._changed:
            if self._closed:
                return
            if self._frames[frame.camera] is not None:
                self.dropped[frame.camera] += 1
            self._frames[frame.camera] = frame
            self._changed.notify_all()

    def put_in_turn(self, frame: CameraFrame) -> bool:
        """Leave a frame once the one before is taken; return False when the mailbox is closed instead."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._frames[frame.camera] is None)
            if self._closed:
                return False
            self._frames[frame.camera] = frame
            self._changed.notify_all()
            return True

    def take(self, seconds: float) -> CameraFrame | None:
        """Return the next frame, each camera in turn; None: none in so many seconds, or it is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._next() is not None, seconds)
            camera = self._next()
            if camera is None:
                return None
            frame, self._frames[camera] = self._frames[camera], None
            self._order.remove(camera)
            self._order.append(camera)  # the last in the next turn: a fast camera does not starve a slow one
            self._changed.notify_all()
            return frame

    def close(self) -> None:
        """Take no more frames; what waits can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _next(self) -> str | None:
        return next((camera for camera in self._order if self._frames[camera] is not None), None)
