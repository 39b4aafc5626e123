"""Detects in the frames of all cameras with the model in use, and keeps what it finds in a production log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from liftgate.data.production_log.records import LoggedBox
from liftgate.data.video_frames.live import Camera
from liftgate.deploy.serving.answers import detected_objects
from liftgate.deploy.serving.champion import ModelInUse
from liftgate.deploy.serving.log_keeper import FoundInImage, LogKeeper
from liftgate.deploy.watching.counts import CameraCounts, CameraStatus
from liftgate.deploy.watching.live import LiveReader
from liftgate.deploy.watching.mailbox import CameraFrame, Mailbox
from liftgate.deploy.watching.recordings import RecordingReader
from liftgate.deploy.watching.sources import WatchedSource

_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """How sources are watched."""

    fps: float = 4.0
    """Frames a second of each camera"""
    follow: bool = True
    """Go on looking for new files in folders"""
    settle: float = 30.0
    """Seconds for which a file of a folder was not written to, after which it is complete"""
    status_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class WatchResult:
    """What a watch did."""

    cameras: tuple[CameraStatus, ...]
    logged: int
    """Rows that are committed"""
    not_logged: int
    """Frames that the model saw and the log could not take"""
    failed: tuple[str, ...]
    """Files that could not be read, each with why"""


class Watcher:
    """One thread reads each source; the thread that calls `run` detects."""

    def __init__(
        self,
        sources: Sequence[WatchedSource],
        model: ModelInUse,
        log: LogKeeper,
        settings: WatchSettings,
        *,
        on_problem: Callable[[str], None],
        on_status: Callable[[Sequence[CameraStatus]], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is opened.

        Args:
            sources: what is watched.
            model: detects; read once for every frame.
            log: keeps what is found.
            settings: how.
            on_problem: called with what went wrong; the watch goes on.
            on_status: called every `status_seconds` with all cameras.
            now: the machine's clock, for the rows of the log; pace and flicker are measured on another, which does not
                jump.
        """
        self._model, self._log, self._settings = model, log, settings
        self._on_problem, self._on_status, self._now = on_problem, on_status, now
        self._mailbox = Mailbox([one.name for one in sources])
        self._counts = {one.name: CameraCounts(one.name) for one in sources}
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._logged = self._not_logged = 0
        self._readers = [threading.Thread(target=self._reader(one), name=one.name, daemon=True) for one in sources]

    def stop(self) -> None:
        """Read no more; what was read is seen and logged. May be called from a signal handler."""
        self._stop.set()

    def run(self) -> WatchResult:
        """Watch until it is told to stop, or until all sources have ended."""
        for reader in self._readers:
            reader.start()
        looked = time.monotonic()
        closed = False
        while True:
            frame = self._mailbox.take(_LOOK_SECONDS)
            if frame is not None:
                self._see(frame)
            elif closed:
                break
            if not closed and (self._stop.is_set() or not any(one.is_alive() for one in self._readers)):
                self._mailbox.close()
                closed = True
            if time.monotonic() - looked >= self._settings.status_seconds:
                looked = time.monotonic()
                self._on_status(self.status())
        self._stop.set()
        self._log.close()
        failed = tuple(text for one in self._counts.values() for text in one.failed)
        return WatchResult(self.status(), self._logged, self._not_logged, failed)

    def status(self) -> tuple[CameraStatus, ...]:
        """Return how all cameras are."""
        return tuple(one.status(self._mailbox.dropped[name]) for name, one in self._counts.items())

    def _reader(self, source: WatchedSource) -> Callable[[], None]:
        counts = self._counts[source.name]
        reader: LiveReader | RecordingReader
        if isinstance(source.place, Camera):
            reader = LiveReader(
                source.name, source.place, self._mailbox, counts, fps=self._settings.fps, stop=self._stop
            )
        else:
            reader = RecordingReader(
                source.name, source.place, self._mailbox, counts, fps=self._settings.fps, stop=self._stop,
                follow=self._settings.follow, settle=self._settings.settle,
            )  # fmt: skip

        def read() -> None:
            try:
                reader.run()
            except Exception as error:  # a thread that ends without a word would look like a quiet camera
                counts.fail(f"{source.name}: {type(error).__name__}: {error}")
                counts.say("failed")
                self._on_problem(f"{source.name} is no longer read: {type(error).__name__}: {error}")

        return read

    def _see(self, frame: CameraFrame) -> None:
        served = self._model.current
        counts = self._counts[frame.camera]
        try:
            found = served.model.detect(frame.pixels, served.use)
        except Exception as error:  # of the runtime: no row says that there was nothing
            counts.damaged_one()
            self._on_problem(f"{frame.camera}, {frame.image}: the model failed: {type(error).__name__}: {error}")
            return
        counts.seen_one()
        height, width = frame.pixels.shape[:2]
        boxes = tuple(
            LoggedBox(one.cls, one.confidence, one.box)
            for one in detected_objects(found, served.model.card.output.classes)
        )
        brightness = float(frame.pixels[::8, ::8].mean())
        what = FoundInImage(frame.camera, frame.image, served.version, width, height, brightness, boxes)
        self._log.keep(what, self._count, now=self._now(), seconds=frame.seconds)

    def _count(self, committed: bool) -> None:
        with self._lock:
            self._logged += committed
            self._not_logged += not committed
