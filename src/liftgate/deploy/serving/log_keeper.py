"""A production log that is open: rows get their colour and are committed, finished hours are compacted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from liftgate.data.production_log.compaction import Retention, compact
from liftgate.data.production_log.live import Flag, LogWriter
from liftgate.data.production_log.quality import QualityJudge, QualityRules, disagreement_colour
from liftgate.data.production_log.records import LoggedBox, LoggedImage
from liftgate.errors import LiftgateError, with_full_disk_hint

_LOOK_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where a log is kept, for how long, and what makes an image red or yellow."""

    folder: Path
    keep: Retention
    rules: QualityRules


@dataclass(frozen=True, slots=True)
class FoundInImage:
    """What a model found in one image, before it has a colour."""

    camera: str
    """Empty: not said"""
    image: str
    model_version: str
    width: int
    height: int
    brightness: float
    """Of the image, 0 to 255"""
    boxes: tuple[LoggedBox, ...]


class LogKeeper:
    """Writes a log, with a thread that compacts finished hours."""

    def __init__(self, settings: LogSettings, on_problem: Callable[[str], None]) -> None:
        """Open the log.

        Args:
            settings: where and how.
            on_problem: called with what went wrong, such as a full disk; nothing ends.

        Raises:
            LiftgateError: the log cannot be opened.
        """
        self._settings, self._on_problem = settings, on_problem
        self._writer = LogWriter(settings.folder, on_problem)
        self._judge = QualityJudge(settings.rules)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._compact, name="compaction", daemon=True)
        self._thread.start()

    def keep(
        self, found: FoundInImage, done: Callable[[bool], None], *, now: float, seconds: float | None = None
    ) -> LoggedImage:
        """Queue an image and return its row.

        Args:
            found: what the model found.
            done: called from another thread, with True when the row is committed, with False when it is not.
            now: seconds since 1970, for the row.
            seconds: on a clock of the camera, by which flicker is judged; None: `now`.
        """
        brightness = found.brightness
        at = now if seconds is None else seconds
        quality, reasons = self._judge.judge(at, found.camera, brightness, found.boxes)
        row = LoggedImage(
            now, found.camera, found.image, found.model_version, found.width, found.height,
            round(brightness, 2), quality, reasons, found.boxes,
        )  # fmt: skip
        self._writer.add(row, done)
        return row

    def disagree(self, time: float, camera: str, image: str, disagreements: int) -> None:
        """Give a row its colour after a challenger has seen its image.

        Args:
            time: of the row.
            camera: of the row.
            image: of the row.
            disagreements: objects that only one of the two models reports.
        """
        colour = disagreement_colour(self._settings.rules, disagreements)
        if colour != "green":
            self._writer.flag(Flag(time, camera, image, colour, "disagreement"))

    def close(self) -> None:
        """Commit what waits and end both threads."""
        self._stop.set()
        self._writer.close()
        self._thread.join(timeout=30)

    def _compact(self) -> None:
        while True:
            try:
                compact(self._settings.folder, self._settings.keep)
            except (LiftgateError, OSError) as error:
                self._on_problem(f"the log was not compacted: {with_full_disk_hint(error)}")
            except Exception as error:  # of SQLite or Parquet: the next look tries again
                self._on_problem(f"the log was not compacted: {type(error).__name__}: {with_full_disk_hint(error)}")
            if self._stop.wait(_LOOK_SECONDS):
                return
