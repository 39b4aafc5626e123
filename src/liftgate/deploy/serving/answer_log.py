"""Keeps answers in a production log, and hands their images to a shadow test of that log.

An answer says that it is logged once its row is committed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from liftgate.data.production_log.records import LoggedBox
from liftgate.deploy.serving.answers import Answer
from liftgate.deploy.serving.log_keeper import FoundInImage, LogKeeper, LogSettings
from liftgate.deploy.shadow.feeder import ShadowFeeder
from liftgate.deploy.shadow.frames import ShadowFrame


class AnswerLog:
    """The log of a server."""

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
        self._keeper = LogKeeper(settings, on_problem)
        self._shadow = ShadowFeeder(
            settings.folder,
            on_event,
            lambda frame, count: self._keeper.disagree(frame.time, frame.camera, frame.image, count),
        )

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
        found = FoundInImage(
            camera, answer.image_id, answer.model_version, answer.width, answer.height, brightness, boxes
        )
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def resolve(committed: bool) -> None:
            loop.call_soon_threadsafe(lambda: None if done.done() else done.set_result(committed))

        row = self._keeper.keep(found, resolve, now=now)
        committed = bool(await done)
        if (elapsed := self._shadow.elapsed) is not None:
            self._shadow.offer(
                ShadowFrame(
                    elapsed, now, camera, answer.image_id, content, answer.model_version, answer.threshold,
                    row.brightness, boxes,
                )
            )  # fmt: skip
        return committed

    def close(self) -> None:
        """Commit what waits and end all threads."""
        self._shadow.close()
        self._keeper.close()
