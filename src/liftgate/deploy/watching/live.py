"""Read an address: a frame so many times a second, connected again when it is lost, never far behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from liftgate.data.video_frames.library import pyav
from liftgate.data.video_frames.live import Camera
from liftgate.data.video_frames.video import error_text
from liftgate.data.video_frames.writing import upright
from liftgate.deploy.watching.counts import CameraCounts
from liftgate.deploy.watching.mailbox import CameraFrame, Mailbox

_LONGEST_WAIT = 30.0
_MOST_BEHIND = 5.0
_JUMP = 2.0


class LagMeter:
    """Measures how far a stream is behind: what the machine's clock has gone on, less what the stream's has."""

    def __init__(self) -> None:
        self._offset: float | None = None
        self._last = 0.0

    def behind(self, now: float, stamp: float) -> float:
        """Return seconds behind the least that was seen.

        A stream whose clock jumps by more than two seconds, either way, is measured anew.

        Args:
            now: seconds on a steady clock.
            stamp: the frame's own time, seconds.
        """
        offset = now - stamp
        if self._offset is None or abs(stamp - self._last) > _JUMP:
            self._offset = offset
        self._offset, self._last = min(self._offset, offset), stamp
        return offset - self._offset


class Pace:
    """Says which frames are due, so that on average so many a second are taken."""

    def __init__(self, fps: float) -> None:
        self._every = 1 / fps
        self._due: float | None = None

    def is_due(self, now: float) -> bool:
        """Return whether a frame at this time is taken; times do not go back."""
        if self._due is not None and now < self._due:
            return False
        due = now if self._due is None else self._due
        self._due = max(due + self._every, now)  # after a pause there is no burst
        return True


class LiveReader:
    """Reads one address into the mailbox until it is told to stop."""

    def __init__(
        self,
        name: str,
        camera: Camera,
        mailbox: Mailbox,
        counts: CameraCounts,
        *,
        fps: float,
        stop: threading.Event,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        """Prepare; nothing is opened.

        Args:
            name: of the camera in the log.
            camera: its address.
            mailbox: takes the frames.
            counts: takes what happens.
            fps: frames a second.
            stop: ends it.
            wait: called with the seconds before the next try; None: waits so long, or until it is stopped.
        """
        self._name, self._camera, self._mailbox, self._counts = name, camera, mailbox, counts
        self._fps, self._stop, self._wait = fps, stop, wait or stop.wait

    def run(self) -> None:
        """Read, and connect again after 1, 2, 4 … at most 30 seconds, until it is told to stop."""
        av = pyav()
        failures = 0
        while not self._stop.is_set():
            before = self._counts.read
            try:
                reason = self._read()
            except (av.FFmpegError, OSError, ValueError) as error:
                reason = error_text(error)
            failures = 0 if self._counts.read > before else failures + 1
            if self._stop.is_set():
                break
            seconds = min(2.0 ** max(failures - 1, 0), _LONGEST_WAIT)
            self._counts.lost(f"{reason}; again in {seconds:g} s")
            self._wait(seconds)

    def _read(self) -> str:
        """Read until the stream ends, and return why it did."""
        pace, lag = Pace(self._fps), LagMeter()
        container = self._camera.open()
        try:
            for frame in self._frames(container):
                now = time.monotonic()
                stamp = None if frame.pts is None else float(frame.pts * frame.time_base)
                if stamp is not None and lag.behind(now, stamp) > _MOST_BEHIND:
                    self._counts.fell_behind()
                    return f"more than {_MOST_BEHIND:g} s behind"  # what is buffered goes with the connection
                if pace.is_due(now):
                    image = f"{self._name}_{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}_{self._counts.read:08d}.jpg"
                    self._counts.read_one()
                    self._mailbox.put(CameraFrame(self._name, image, now, np.asarray(upright(frame))))
            return "the stream ended"
        finally:
            with suppress(Exception):
                container.close()

    def _frames(self, container: Any) -> Iterator[Any]:
        if not container.streams.video:
            raise ValueError("there is no video in the stream")
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1  # threads hold frames back
        for packet in container.demux(stream):
            if self._stop.is_set():
                return
            try:
                frames = packet.decode()
            except pyav().error.InvalidDataError:
                self._counts.damaged_one()
                continue
            yield from (one for one in frames if not one.is_corrupt)
