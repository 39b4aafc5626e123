"""Play what a server does with the frames of a camera, by the frames' own clock: log, and let a challenger look too.

The champion's detections, the log and the challenger's process are real; a day of them passes in seconds.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from liftgate import api
from liftgate.data.production_log.compaction import Retention
from liftgate.data.production_log.quality import QualityRules
from liftgate.data.production_log.records import LoggedBox, LoggedImage
from liftgate.demo.fading_camera import CAMERA, PlayedFrame
from liftgate.deploy.registry.store import Registry
from liftgate.deploy.serving.answers import detected_objects
from liftgate.deploy.serving.champion import RegistrySource, ServedModel, Thresholds
from liftgate.deploy.serving.log_keeper import FoundInImage, LogKeeper, LogSettings
from liftgate.deploy.serving.uploads import decode
from liftgate.deploy.shadow.frames import READY, SETTLED, ShadowFrame, parse_seen, write_frame
from liftgate.deploy.shadow.request import ShadowState, ShadowTest, write_state
from liftgate.errors import LiftgateError
from liftgate.services.shadow import ShadowResult

_HOURS = 24.0
_MOST_PIXELS = 1 << 24


class PlayedServer:
    """The champion of a registry with its production log."""

    def __init__(self, registry: Path, log: Path) -> None:
        """Load the champion.

        Raises:
            LiftgateError: there is none that runs here.
        """
        self._log, self._problems = log, list[str]()
        self._served = RegistrySource(Registry(registry), Thresholds(), threads=1).load()
        self._registry = registry

    @property
    def version(self) -> str:
        """The champion's."""
        return self._served.version

    def see(self, frames: Iterable[PlayedFrame]) -> int:
        """Log what the champion finds in frames, and return how many rows are committed.

        Raises:
            LiftgateError: a row could not be written.
        """
        with closing(_keeper(self._log, self._problems)) as keeper:
            rows = [_keep(keeper, self._served, frame) for frame in frames]
        self._require_written()
        return len(rows)

    def shadow(self, challenger: str, frames: Iterable[PlayedFrame], out: Path) -> ShadowResult:
        """Let a version see a day of frames beside the champion, and write the report of the test.

        Args:
            challenger: version in the registry.
            frames: of 24 hours.
            out: a new folder for the report.

        Raises:
            LiftgateError: the challenger's process ended, or a row could not be written.
        """
        test = api.shadow_start(challenger, self._log, registry=self._registry, hours=_HOURS, niceness=0)
        offered = 0
        with (test.folder / "worker.log").open("ab") as log:
            command = [sys.executable, "-P", "-m", "liftgate.deploy.shadow.worker", str(test.folder)]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log) as worker:
                with closing(_keeper(self._log, self._problems)) as keeper:
                    for offered, frame in enumerate(frames, 1):  # noqa: B007
                        self._compare(worker, test, keeper, frame)
                assert worker.stdin is not None
                worker.stdin.close()
                if worker.wait():
                    raise _ended(test)
        self._require_written()
        write_state(test.folder, ShadowState("finished", f"after {_HOURS:g} hours", offered, 0, time.time()))
        return api.shadow_report(self._log, out)

    def _compare(
        self, worker: subprocess.Popen[bytes], test: ShadowTest, keeper: LogKeeper, frame: PlayedFrame
    ) -> None:
        row = _keep(keeper, self._served, frame)
        midnight = frame.time // 86400 * 86400
        handed = ShadowFrame(
            frame.time - midnight, frame.time, CAMERA, frame.name, frame.content, self.version, self._served.use.conf,
            row.brightness, row.detections,
        )  # fmt: skip
        assert worker.stdin is not None and worker.stdout is not None
        try:
            write_frame(worker.stdin, handed)  # type: ignore[arg-type]
        except BrokenPipeError:
            raise _ended(test) from None
        line = worker.stdout.readline()
        while line in (READY, SETTLED):  # a day that is settled early is played to its end
            line = worker.stdout.readline()
        disagreements = parse_seen(line)
        if disagreements is None:
            raise _ended(test)
        if disagreements:
            keeper.disagree(frame.time, CAMERA, frame.name, disagreements)

    def _require_written(self) -> None:
        if self._problems:
            raise LiftgateError("the production log could not be written", where=self._log, got=self._problems[0])


def _ended(test: ShadowTest) -> LiftgateError:
    return LiftgateError("the challenger's process ended", where=test.folder / "worker.log")


def _keeper(log: Path, problems: list[str]) -> LogKeeper:
    return LogKeeper(LogSettings(log, Retention(), QualityRules()), problems.append)


def _keep(keeper: LogKeeper, served: ServedModel, frame: PlayedFrame) -> LoggedImage:
    """Detect in a frame with the champion and hand the row to the log's writer."""
    pixels = decode(frame.content, _MOST_PIXELS)
    found = detected_objects(served.model.detect(pixels, served.use), served.model.card.output.classes)
    boxes = tuple(LoggedBox(one.cls, one.confidence, one.box) for one in found)
    height, width = pixels.shape[:2]
    what = FoundInImage(CAMERA, frame.name, served.version, width, height, frame.brightness, boxes)
    return keeper.keep(what, lambda committed: None, now=frame.time)
