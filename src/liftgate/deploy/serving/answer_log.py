"""Keeps answers in a production log, and hands their images to a shadow test of that log.

An answer says that it is logged once its row is committed.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from liftgate.data.production_log.compaction import Retention, compact
from liftgate.data.production_log.live import LogWriter
from liftgate.data.production_log.quality import QualityJudge, QualityRules
from liftgate.data.production_log.records import LoggedBox, LoggedImage
from liftgate.deploy.serving.answers import Answer
from liftgate.deploy.shadow.feeder import ShadowFeeder
from liftgate.deploy.shadow.frames import ShadowFrame
from liftgate.errors import LiftgateError

_LOOK_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where answers are kept, for how long, and what makes one red or yellow."""

    folder: Path
    keep: Retention
    rules: QualityRules


class AnswerLog:
    """The log of a server, with a thread that compacts finished hours."""

    def __init__(
        self, settings: LogSettings, on_problem: Callable[[str], None], on_event: Callable[[str, str], None]
    ) -> None:
        """Open the log.

        Args:
            settings: where and how.
            on_problem: called with what went wrong; requests are answered on.
            on_event: called with an event and its text when a shadow test begins or ends.

        Raises:
            LiftgateError: the log cannot be opened.
        """
        self._settings, self._on_problem = settings, on_problem
        self._writer = LogWriter(settings.folder, on_problem)
        self._shadow = ShadowFeeder(settings.folder, on_event)
        self._judge = QualityJudge(settings.rules)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._compact, name="compaction", daemon=True)
        self._thread.start()

    async def keep(self, answer: Answer, camera: str, brightness: float, content: bytes) -> bool:
        """Return whether an answer was committed.

        Args:
            answer: what to keep.
            camera: whose image it is about; empty: not said.
            brightness: of the image, 0 to 255.
            content: the image file; kept only by a shadow test, where the models disagree.
        """
        now = time.time()
        boxes = tuple(LoggedBox(one.cls, one.confidence, one.box) for one in answer.detections)
        quality, reasons = self._judge.judge(now, camera, brightness, boxes)
        image = LoggedImage(
            now, camera, answer.image_id, answer.model_version, answer.width, answer.height,
            round(brightness, 2), quality, reasons, boxes,
        )  # fmt: skip
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def resolve(committed: bool) -> None:
            loop.call_soon_threadsafe(lambda: None if done.done() else done.set_result(committed))

        self._writer.add(image, resolve)
        committed = bool(await done)
        if (elapsed := self._shadow.elapsed) is not None:
            self._shadow.offer(
                ShadowFrame(
                    elapsed, now, camera, answer.image_id, content, answer.model_version, answer.threshold,
                    image.brightness, boxes,
                )
            )  # fmt: skip
        return committed

    def close(self) -> None:
        """Commit what waits and end both threads."""
        self._stop.set()
        self._shadow.close()
        self._writer.close()
        self._thread.join(timeout=30)

    def _compact(self) -> None:
        while True:
            try:
                compact(self._settings.folder, self._settings.keep)
            except (LiftgateError, OSError) as error:
                self._on_problem(f"the log was not compacted: {error}")
            except Exception as error:  # of SQLite or Parquet: the next look tries again
                self._on_problem(f"the log was not compacted: {type(error).__name__}: {error}")
            if self._stop.wait(_LOOK_SECONDS):
                return
