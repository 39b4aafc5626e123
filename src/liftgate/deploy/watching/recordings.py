"""Read files, and folders to which a recorder adds: every frame of a file in its turn, the newest files of a folder."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from liftgate.data.video_frames.picking import nearest
from liftgate.data.video_frames.records import FrameSource
from liftgate.data.video_frames.sources import RollingBuffer, find_sources
from liftgate.data.video_frames.times import grid
from liftgate.data.video_frames.video import BadVideoError, Video
from liftgate.data.video_frames.writing import frame_name, upright
from liftgate.deploy.runtime.images import read_pixels
from liftgate.deploy.watching.counts import CameraCounts
from liftgate.deploy.watching.mailbox import CameraFrame, Mailbox
from liftgate.errors import DataError

_LOOK_SECONDS = 1.0
_NEWEST = {"video": 2, "segment": 2, "image": 32}
"""Files that may wait; older ones are passed over"""
_LONGEST_WAIT = 30.0


class RecordingReader:
    """Reads one file, or the files of one folder, into the mailbox."""

    def __init__(
        self,
        name: str,
        path: Path,
        mailbox: Mailbox,
        counts: CameraCounts,
        *,
        fps: float,
        stop: threading.Event,
        follow: bool,
        settle: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is opened.

        Args:
            name: of the camera in the log.
            path: a video, an image or a folder of them.
            mailbox: takes the frames, each after the one before was seen: nothing of a file is dropped.
            counts: takes what happens.
            fps: frames a second of a video.
            stop: ends it.
            follow: go on looking for new files in a folder; False: read what is there, and end.
            settle: of a folder that is followed: seconds without a write after which a file is complete.
            now: the machine's clock, which files have their times from.
        """
        self._name, self._path, self._mailbox, self._counts = name, path, mailbox, counts
        self._fps, self._stop, self._now = fps, stop, now
        self._follow, self._settle = follow and path.is_dir(), settle
        self._is_folder = path.is_dir()
        self._known: set[tuple[str, int]] = set()
        self._begun = 0.0
        self._reached = 0.0

    def run(self) -> None:
        """Read until everything is read, or it is told to stop."""
        failures = 0
        while not self._stop.is_set():
            try:
                found = self._new_sources()
                failures = 0
            except (DataError, OSError) as error:  # a folder that vanished: a disk that is mounted again, perhaps
                what = error.what if isinstance(error, DataError) else str(error.strerror or error)
                if not self._follow:
                    self._counts.say(f"ended: {what}")
                    self._counts.fail(f"{self._path}: {what}")
                    return
                failures += 1
                seconds = min(2.0 ** (failures - 1), _LONGEST_WAIT)
                self._counts.lost(f"{what}; again in {seconds:g} s")
                self._stop.wait(seconds)
                continue
            for source in found:
                if self._stop.is_set():
                    return
                self._read(source)
            if not self._follow:
                self._counts.say("ended")
                return
            self._counts.say("waiting for files")
            self._stop.wait(_LOOK_SECONDS)

    def _new_sources(self) -> list[FrameSource]:
        """Return complete files that were not read yet, oldest first; of those that wait, the newest."""
        if not self._path.exists():
            raise DataError("the folder is no longer there" if self._is_folder else "the file is no longer there")
        if not self._is_folder:
            return find_sources([self._path])
        now = self._now()
        try:
            every = find_sources([self._path])
        except DataError:
            if self._follow:  # none of its files is a video or an image yet
                return []
            raise
        images = [one for one in every if one.kind == "image"]
        videos = [one for one in every if one.kind != "image"]
        if self._follow:
            images = [one for one in images if _is_settled(one.path, self._settle, now)]
        if self._follow and videos:
            videos = find_sources([self._path], buffer=RollingBuffer(settle=self._settle), now=now)
        return [*self._unread(videos), *self._unread(images)]

    def _unread(self, sources: Sequence[FrameSource]) -> list[FrameSource]:
        keyed = [(key, one) for one in sources if (key := _key(one.path)) is not None]
        found = sorted(((key, one) for key, one in keyed if key not in self._known), key=lambda pair: pair[0][1])
        self._known |= {key for key, _ in found}
        fresh = [one for _, one in found]
        if not self._follow or not fresh:
            return fresh
        most = _NEWEST[fresh[0].kind]
        if len(fresh) > most:
            self._counts.pass_over(len(fresh) - most)
        return fresh[-most:]

    def _read(self, source: FrameSource) -> None:
        self._counts.say("reading")
        self._begun = self._reached + 1 / self._fps
        try:
            if source.kind == "image":
                self._hand_over(source.path.name, self._begun, read_pixels(source.path))
            else:
                self._read_video(source)
        except BadVideoError as error:
            self._fail(source, error.fault.message)
        except DataError as error:
            self._fail(source, error.what)

    def _read_video(self, source: FrameSource) -> None:
        with Video(source.path) as video:
            facts = video.facts()
            times = grid(0.0, facts.duration, 1 / self._fps)
            last = None
            for _, at, frame, _ in nearest(video.frames_around(times, facts), times):
                if at != last and not self._hand_over(
                    frame_name(source, at), self._begun + at, np.asarray(upright(frame))
                ):
                    return
                last = at
            if last is None:
                raise DataError("no frame can be decoded")
            for _ in range(video.n_damaged):
                self._counts.damaged_one()

    def _hand_over(self, image: str, seconds: float, pixels: np.ndarray) -> bool:
        self._reached = seconds
        self._counts.read_one()
        return self._mailbox.put_in_turn(CameraFrame(self._name, image, seconds, pixels))

    def _fail(self, source: FrameSource, what: str) -> None:
        if self._follow:
            self._counts.lost(f"{source.path.name}: {what}")
        else:
            self._counts.fail(f"{source.path}: {what}")


def _key(path: Path) -> tuple[str, int] | None:
    try:
        return str(path), path.stat().st_mtime_ns
    except OSError:  # the recorder has just deleted it
        return None


def _is_settled(path: Path, settle: float, now: float) -> bool:
    try:
        return now - path.stat().st_mtime >= settle
    except OSError:
        return False
