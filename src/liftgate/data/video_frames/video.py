"""Read a video: its key frames, and its frames near given times."""

from __future__ import annotations

import contextlib
import itertools
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any

import numpy as np

from liftgate.data.core.dataset import Fault
from liftgate.data.video_frames.library import pyav

_OPTIONS = {"protocol_whitelist": "file"}  # a playlist named .mp4 must not open network addresses
_AUDIO_TOLERANCE = 2.0  # seconds: audio that is longer than the video by less does not mean truncation
_SEEK_BACK_STEPS = (0, 1, 3, 7, 15, 1e9)  # key-frame distances to go back when a seek lands too late
_DEFAULT_GAP = 0.04
_FORMATS_WITH_END_TIME = frozenset({"matroska,webm", "asf"})


class BadVideoError(Exception):
    """A video without any readable frame; `fault` is the reason."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class VideoIndex:
    """Duration, frame distance and key frames of a video, by its index or packets. Seconds from the first frame."""

    duration: float
    claimed: float
    """Duration by the header; more than `duration` if the file is truncated."""
    gap: float
    """Usual seconds between two frames."""
    widest: float
    """Largest number of seconds between two frames."""
    keys: tuple[float, ...]
    """Key frames, ascending; the first may be a little before 0."""

    @property
    def key_gap(self) -> float:
        """Usual seconds between two key frames; the whole video if there is only one."""
        between = [after - before for before, after in itertools.pairwise(self.keys)]
        return max(median(between) if between else self.duration, self.gap)


class Video:
    """A video file, open for reading.

    Raises (on construction):
        BadVideoError: it cannot be opened, or has no video stream.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        self.path = path
        self.n_damaged = 0
        """Packets that could not be decoded so far."""
        self._threads = threads
        self._av = pyav()
        self._open()

    def _open(self) -> None:
        try:
            if self.path.stat().st_size == 0:
                raise BadVideoError(Fault("video_empty", str(self.path), "the file is empty"))
            # "file:" keeps FFmpeg from taking a name such as `concat:…` or `pipe:0` for a protocol.
            self._container = self._av.open(f"file:{self.path}", container_options=_OPTIONS, metadata_errors="replace")
        except FileNotFoundError as error:
            raise BadVideoError(Fault("video_gone", str(self.path), "the file is no longer there")) from error
        except (self._av.FFmpegError, OSError, ValueError) as error:
            raise BadVideoError(Fault("video_unreadable", str(self.path), error_text(error))) from error
        if not self._container.streams.video:
            self._container.close()
            raise BadVideoError(Fault("video_no_stream", str(self.path), "there is no video stream in it"))
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None or not self._stream.time_base:
            self._container.close()
            raise BadVideoError(Fault("video_unreadable", str(self.path), "the codec is unknown"))
        self._base = self._stream.time_base
        self._start: int | None = self._stream.start_time
        # Frame threads fill with as many frames as there are threads after every seek: a few, not one for each core.
        self._stream.codec_context.thread_type = "FRAME" if self._threads > 1 else "NONE"
        self._stream.codec_context.thread_count = self._threads

    def __enter__(self) -> Video:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; may be called again."""
        self._container.close()

    def facts(self) -> VideoIndex:
        """Return duration, frame distance and key frames: from the index, or else from the packets."""
        claimed = self._claimed()
        entries = self._stream.index_entries
        # A fragmented MP4 may list its first fragment only, Matroska lists nothing before the first seek, and some
        # writers of variable rates claim less than there is.
        if len(entries) > 1 and claimed - _AUDIO_TOLERANCE <= self._seconds(entries[-1].timestamp) <= claimed:
            stamps = [(entry.timestamp, entry.is_keyframe) for entry in entries]
            facts = self._facts([stamp for stamp, _ in stamps], [stamp for stamp, is_key in stamps if is_key], claimed)
            # The index counts in decoding order: with B-frames and a variable rate it does not show the end.
            if not (self._stream.codec_context.has_b_frames and facts.widest > 2 * facts.gap):
                return facts
        return self._scanned(claimed)

    def _scanned(self, claimed: float) -> VideoIndex:
        keys, stamps, last, end = array("q"), array("q"), 0, 0
        for packet in self._packets():
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is None:
                continue
            if not stamps or stamp > last:
                last, end = stamp, stamp + (packet.duration or 0)
            stamps.append(stamp)
            if packet.is_keyframe:
                keys.append(stamp)
        if not stamps:
            raise BadVideoError(Fault("video_no_frames", str(self.path), "no packet with a time stamp"))
        if self._start is None:
            self._start = min(stamps)
        facts = self._facts(stamps, keys, self._seconds(end))
        return replace(facts, claimed=claimed) if claimed > facts.duration + _AUDIO_TOLERANCE else facts

    def _facts(self, stamps: Sequence[int], keys: Sequence[int], end: float) -> VideoIndex:
        ordered = np.unique(np.asarray(stamps, dtype=np.int64))
        steps = np.diff(ordered) * float(self._base)
        rate = self._stream.average_rate or self._stream.guessed_rate
        usual = float(np.median(steps)) if len(steps) else 1 / float(rate) if rate else _DEFAULT_GAP
        last = self._seconds(int(ordered[-1]))
        duration = end if end > last else last + usual
        times = tuple(self._seconds(key) for key in sorted(keys)) or (0.0,)
        return VideoIndex(duration, duration, usual, float(steps.max(initial=usual)), times)

    def frames_around(self, targets: Sequence[float], facts: VideoIndex) -> Iterator[tuple[float, Any]]:
        """Yield (seconds from the first frame, frame) in ascending order, from before the first target to the end.

        Near every target all frames are decoded. Elsewhere, frames that no other frame depends on (most B-frames) are
        skipped, which halves the work. A frame is an `av.VideoFrame`; it stays valid after the next one is read.
        """
        at = targets[0]
        reach = 1.25 * facts.widest + 0.5 * facts.gap  # with a variable rate that may be all of the video
        for back in _SEEK_BACK_STEPS:
            begin = at - back * facts.key_gap
            frames = self._decoded(max(begin, 0.0), targets, reach)
            first = next(frames, None)
            if first is not None and first[0] <= at:
                break
            if first is None and back >= 3:  # the file ends long before
                return
            if begin <= 0:  # MPEG-TS: a seek to the beginning may land behind the first key frame
                self._reopen()
                frames = self._decoded(None, targets, reach)
                first = next(frames, None)
                break
        if first is not None:
            yield first
            yield from frames

    def _decoded(self, begin: float | None, targets: Sequence[float], reach: float) -> Iterator[tuple[float, Any]]:
        if begin is not None:
            self._seek(begin)
        last = float("-inf")
        skipping = None
        for packet in self._packets():
            skip = packet.pts is not None and not _any_near(targets, self._seconds(packet.pts), reach)
            if skip is not skipping:
                skipping = skip
                self._stream.codec_context.skip_frame = "NONREF" if skip else "DEFAULT"
            try:
                frames = packet.decode()
            except self._av.FFmpegError:
                self.n_damaged += 1
                continue
            for frame in frames:
                if frame.pts is None or frame.is_corrupt:
                    continue
                if self._start is None:
                    self._start = frame.pts
                at = self._seconds(frame.pts)
                if at > last:  # a damaged stream can step back
                    last = at
                    yield at, frame

    def _seek(self, begin: float) -> None:
        try:
            if self._start is None:
                raise ValueError("no time stamps known yet")
            self._container.seek(
                self._start + int(begin / self._base), stream=self._stream, backward=True, any_frame=False
            )
        except (self._av.FFmpegError, ValueError):  # a raw stream cannot seek: decode from the beginning
            self._reopen()

    def _reopen(self) -> None:
        start = self._start
        self._container.close()
        self._open()
        self._start = start if self._start is None else self._start

    def _packets(self) -> Iterator[Any]:
        with contextlib.suppress(self._av.error.EOFError):
            packets = self._container.demux(self._stream)
            while True:
                try:
                    packet = next(packets, None)
                except self._av.error.EOFError:
                    return
                except (self._av.FFmpegError, OSError):  # a truncated file: keep what was read
                    self.n_damaged += 1
                    return
                if packet is None:
                    return
                yield packet

    def _claimed(self) -> float:
        """Return the duration by the header, in seconds from the first frame."""
        if self._stream.duration:
            length = float(self._stream.duration * self._base)
        else:
            length = float(self._container.duration or 0) / 1e6
        # Part of a recording keeps the recording's clock: these formats then give the time of the end, not the length.
        start = float((self._start or 0) * self._base)
        return (
            length - start if self._container.format.name in _FORMATS_WITH_END_TIME and 0 < start < length else length
        )

    def _seconds(self, stamp: int) -> float:
        # Not through Fraction, which takes longer than all else that is done with a packet; rounded once, as there.
        return float((stamp - (self._start or 0)) * self._base.numerator / self._base.denominator)


def _any_near(targets: Sequence[float], at: float, reach: float) -> bool:
    place = bisect_left(targets, at - reach)
    return place < len(targets) and targets[place] <= at + reach


def error_text(error: BaseException) -> str:
    """Return FFmpeg's error message without the address, which may contain a password."""
    text = getattr(error, "strerror", None) or type(error).__name__
    return f"{text} ({type(error).__name__})" if text != type(error).__name__ else text
