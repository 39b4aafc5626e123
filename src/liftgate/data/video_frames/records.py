"""Records of frame extraction: sources, the request, frames and the result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from liftgate.data.core.dataset import Fault

SourceKind = Literal["video", "segment", "image"]
Centre = float | Literal["middle", "motion"]
GroupBy = Literal["video", "camera-day"]


@dataclass(frozen=True, slots=True)
class FrameSource:
    """One file that frames come from."""

    path: Path
    name: str
    """Unique among the sources and safe as a part of a file name."""
    kind: SourceKind = "video"
    camera: str = ""
    category: str = ""
    day: str = ""
    """YYYY-MM-DD from the name; empty: unknown"""
    started: datetime | None = None
    """Wall clock at its first frame by the name, without a time zone; of an image, when it was taken."""
    folder: str = ""
    """Images only: the folder that makes them one sequence."""


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a video that frames are taken from, seconds from its first frame.

    Either `start` and `end` (None: to the end), or `length` around `centre`.
    """

    start: float = 0.0
    end: float | None = None
    length: float | None = None
    centre: Centre = "middle"


@dataclass(frozen=True, slots=True)
class Request:
    """Frames to extract from every source. Two runs into one folder must have the same request."""

    every: float = 5.0
    """seconds between frames"""
    window: Window = Window()
    quality: int = 95
    """JPEG quality, 1 … 95 as Pillow counts"""
    group_by: GroupBy | None = None
    """Groups that stay together in a split; None: the video, but camera and day for segments and live streams."""


DEFAULT_REQUEST = Request()


@dataclass(frozen=True, slots=True)
class FrameRow:
    """One row of frames.csv; the fields are its columns, in order."""

    image: str
    """file name, relative to the CSV"""
    group: str
    video: str
    camera: str
    category: str
    day: str
    taken: str
    """Wall clock as ISO 8601, where it is known"""
    time: str
    """Seconds from the first frame of the video by its time stamps (PTS), six decimals"""
    requested: str
    """The requested time, six decimals"""
    width: str
    height: str
    sha256: str
    """of the image file"""


@dataclass(frozen=True, slots=True)
class Extraction:
    """Result of an extraction."""

    manifest: Path
    frames: tuple[FrameRow, ...]
    """All frames in the manifest, including those of earlier runs into the same folder."""
    faults: tuple[Fault, ...] = ()
    n_sources: int = 0
    n_written: int = 0
    """Frames written by this run; the others existed already."""
    n_repeated: int = 0
    """Requested times whose frame was already taken: the video shows one frame for longer than `every`."""
    chosen: tuple[str, ...] = field(default=())
    """Names of the sources that were used."""


FAULTS: dict[str, str] = {
    "video_empty": "the file has no bytes",
    "video_unreadable": "the file cannot be opened as a video: cut off before its index, damaged, or no video at all",
    "video_gone": "the file went away while it was read (a rolling buffer does that)",
    "video_no_stream": "the file holds sound only",
    "video_no_frames": "no frame can be decoded, or none carries a time stamp",
    "video_cut": "the video ends before the end by its header; the frames after that are missing",
    "video_short": "the video ends before the requested window begins",
    "video_damaged": "some packets cannot be decoded; frames next to them may be missing",
    "segment_no_clock": "the name of a segment has no time, so frames are counted from each segment's own beginning",
    "stream_lost": "the camera could not be reached, or the connection ended early",
    "image_unreadable": "an image cannot be decoded",
}
"""Kind of fault in frame extraction → its meaning. Everything that is not affected is extracted."""


HINTS = {
    "video_empty": "copy it again; a recording that was never closed is empty",
    "video_unreadable": "play it: if no player can, copy it again or take it out",
    "video_no_stream": "it has sound or text only: take it out",
    "video_no_frames": "record or export it again with key frames",
    "video_cut": "copy or export it again; the frames before the cut are kept",
    "video_damaged": "look at the frames near there, or copy it again",
    "video_gone": "copy segments away before the recorder drops them",
    "video_short": "another --start, or --window, which is moved into a video that is shorter",
    "segment_no_clock": "name segments by their time, as cam1_20260114-083000.ts",
    "stream_lost": "is the camera on, the address right, and are user and password in it? The same command continues",
    "image_unreadable": "take it out, or copy it again",
}
"""Kind of fault → hint. The kinds are stable: `frames.KIND` is the id of a finding."""


def findings(faults: Iterable[Fault]) -> list[dict[str, object]]:
    """Return the faults in the shape of `liftgate check`'s findings, as plain JSON values.

    They are warnings: all other frames were extracted.
    """
    return [
        {
            "id": f"frames.{fault.kind}",
            "severity": "warning",
            "where": fault.where,
            "message": fault.message,
            "hint": HINTS[fault.kind],
        }
        for fault in faults
    ]
