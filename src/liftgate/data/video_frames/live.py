"""Record frames from an RTSP camera. The address never leaves this file: it may contain a password."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, floor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from liftgate.data.core.dataset import Fault
from liftgate.data.video_frames.extract import MANIFEST, check_request, in_order
from liftgate.data.video_frames.journal import FinishedUnit, Journal
from liftgate.data.video_frames.library import pyav
from liftgate.data.video_frames.records import DEFAULT_REQUEST, Extraction, FrameRow, FrameSource, Request
from liftgate.data.video_frames.sources import safe_name
from liftgate.data.video_frames.video import error_text
from liftgate.data.video_frames.writing import frame_name, frame_row, jpeg, save, upright, write_manifest
from liftgate.errors import UsageError
from liftgate.progress import Progress, silent

_TIMEOUT = 10.0  # seconds without a packet
CAMERAS = {"rtsp": "rtsps,rtp,udp,tcp,tls,crypto,srtp", "rtsps": "rtsp,rtp,udp,tcp,tls,crypto,srtp"}
"""Scheme of an address → further protocols that its stream may open"""
STREAMS = {**CAMERAS, "http": "tcp", "https": "tcp,tls", "tcp": "", "udp": ""}
"""What can be watched: also MJPEG or MPEG-TS over HTTP, MPEG-TS over TCP or UDP"""
_LONGEST_RECONNECT_WAIT = 30.0  # seconds before reconnecting to a camera


@dataclass(frozen=True, slots=True)
class Camera:
    """Address of a live camera; printed without user, password and query."""

    _url: str

    @classmethod
    def parse(cls, text: str, schemes: Mapping[str, str] = CAMERAS) -> Camera:
        """Read an address, as `rtsp://` or `rtsps://`; `$NAME` in it is taken from the environment.

        So `rtsp://$CAM_USER:$CAM_PASSWORD@host/1` keeps the password out of the shell's history and the process list.

        Args:
            text: the address.
            schemes: those that it may have.

        Raises:
            UsageError: another scheme, or no host. The message does not show the address.
        """
        url = os.path.expandvars(text)
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError:
            host = None
        if host is None or parts.scheme not in schemes:
            expected = " or ".join(f"{scheme}://HOST/…" for scheme in schemes)
            raise UsageError("not the address of a camera", expected=expected)
        return cls(url)

    @property
    def name(self) -> str:
        """Host, port and path as a part of a file name."""
        parts = urlsplit(self._url)
        port = f"-{parts.port}" if parts.port else ""
        return safe_name(f"{parts.hostname}{port}{parts.path}".replace("/", "-"))

    def __str__(self) -> str:
        return f"camera {self.name}"

    def __repr__(self) -> str:  # a dataclass would show the address in every traceback
        return f"Camera({self.name})"

    def open(self) -> Any:
        """Return an `av.container.InputContainer`; RTSP over TCP. It opens no file and no other kind of address."""
        scheme = urlsplit(self._url).scheme
        options = {"protocol_whitelist": ",".join(filter(None, (scheme, STREAMS[scheme])))}
        options |= {"rtsp_transport": "tcp"} if scheme in CAMERAS else {}
        return pyav().open(self._url, options=options, timeout=(_TIMEOUT, _TIMEOUT))


def is_address(text: str) -> bool:
    """Return whether a source is meant as an address and not as a path.

    >>> is_address("rtsp://host/1"), is_address("videos/a.mp4")
    (True, False)
    """
    return "://" in text


def record_camera(
    camera: Camera,
    out: Path,
    request: Request = DEFAULT_REQUEST,
    *,
    seconds: float,
    name: str | None = None,
    now: datetime | None = None,
    wait: Callable[[float], None] = time.sleep,
    progress: Progress = silent,
) -> Extraction:
    """Take a frame every `request.every` seconds for `seconds` seconds, into `out`, and list all in `frames.csv`.

    Times are the camera's own (PTS), from the first frame on. If the connection is lost, it is opened again until the
    time is over; meanwhile the clock counts. If it cannot be opened at first, that is not retried. Both are faults;
    frames so far are kept. Another run adds to the same folder.

    Args:
        camera: the camera.
        out: folder of the frames.
        request: seconds between frames, JPEG quality and groups.
        seconds: length of the recording.
        name: name of the camera; default: host and path.
        now: UTC time at the first frame; default: the clock's.
        wait: called with seconds to wait.
        progress: called after each frame.

    Raises:
        UsageError: an invalid request, PyAV missing, or `out` has frames of another request.
    """
    check_request(request)
    if seconds <= 0:
        raise UsageError("a recording needs a positive length", got=seconds)
    av = pyav()
    begun = (now or datetime.now(UTC)).replace(tzinfo=None, microsecond=0)
    label = safe_name(name) if name else camera.name
    source = FrameSource(
        Path(label), f"{label}_{begun:%Y%m%d-%H%M%S}", "segment", label, day=f"{begun:%Y-%m-%d}", started=begun
    )
    rows: list[FrameRow] = []
    lost: list[str] = []
    started = time.monotonic()
    with Journal(out, request) as journal:
        reached = 0.0
        while reached < seconds:
            try:
                for due, at, frame in _frames_when_due(camera, request.every, reached, seconds):
                    picture = upright(frame)
                    image = frame_name(source, at)
                    sha256 = save(out, image, jpeg(picture, request.quality))
                    row = frame_row(source, request, image, picture.size, sha256, time=at, requested=due)
                    journal.add(FinishedUnit(f"live:{image}", (row,), keep=True))
                    rows.append(row)
                    progress("frames", len(rows), max(len(rows), int(seconds / request.every)))
                break
            except _ConnectionLostError as error:
                reached = error.at
                lost.append(f"the connection was lost after {error.at:.0f} s of {seconds:.0f} s")
            except (av.FFmpegError, OSError) as error:
                if not isinstance(error, av.FFmpegError):
                    raise  # a full disk is not a fault of the camera
                lost.append(error_text(error))
            if not rows:
                break
            wait(min(2.0 ** min(len(lost) - 1, 10), _LONGEST_RECONNECT_WAIT))
            reached = max(reached, time.monotonic() - started)
        every = in_order(row for piece in journal.pieces.values() if piece.keep for row in piece.rows)
    write_manifest(out / MANIFEST, every)
    faults = _lost_faults(camera, lost, len(rows))
    return Extraction(out / MANIFEST, every, faults, n_sources=1, n_written=len(rows), chosen=(source.name,))


class _ConnectionLostError(Exception):
    """The camera stopped sending before the time was over."""

    def __init__(self, at: float) -> None:
        super().__init__(at)
        self.at = at


def _lost_faults(camera: Camera, lost: Sequence[str], n_frames: int) -> tuple[Fault, ...]:
    if not lost:
        return ()
    times = "" if len(lost) == 1 else f", and {len(lost) - 1} times more"
    return (Fault("stream_lost", str(camera), f"{lost[0]}{times}; {n_frames} frames came"),)


def _frames_when_due(camera: Camera, every: float, begin: float, end: float) -> Iterator[tuple[float, float, Any]]:
    """Yield (requested time, seconds from the first frame, frame): the first frame at or after each time.

    `begin` is the time in the recording of this call's first frame. The nearest frame is not used: it would need one
    frame more, which delays a stream that may be watched live.

    Raises:
        _ConnectionLostError: the camera ended the stream before `end`.
    """
    deadline = time.monotonic() + end - begin + 2 * _TIMEOUT  # also if the camera's clock has stopped
    due = ceil(begin / every - 1e-6) * every
    container = camera.open()
    at = begin
    try:
        start: float | None = None
        for frame in container.decode(video=0) if container.streams.video else ():
            if frame.pts is None or frame.is_corrupt:
                continue
            stamp = float(frame.pts * frame.time_base)
            start = stamp if start is None else start
            at = begin + stamp - start
            if at >= end - 1e-6 or time.monotonic() > deadline:
                return
            if at >= due - 1e-6:
                yield due, at, frame
                due = (floor(at / every + 1e-6) + 1) * every
    finally:
        with suppress(Exception):
            container.close()
    raise _ConnectionLostError(at)
