"""Records of sampling: frames, log entries, the request and the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from liftgate.boxes import Boxes
from liftgate.data.core.dataset import Fault
from liftgate.data.production_log.records import Quality as Quality

Reason = Literal[
    "random", "red", "yellow", "disagreement", "low_confidence", "new_look", "hard_negative", "hard_positive", "spread"
]  # fmt: skip
REASONS: tuple[Reason, ...] = get_args(Reason)

Truth = Literal["negative", "positive"]

SHARES: Mapping[Reason, float] = {
    "random": 0.0,
    "red": 0.25,
    "disagreement": 0.2,
    "yellow": 0.15,
    "low_confidence": 0.15,
    "new_look": 0.15,
    "hard_negative": 0.1,
    "hard_positive": 0.05,
    "spread": 0.1,
}
"""Shares of the budget, in the order in which reasons choose. Reasons without evidence leave theirs to the others.

`random` chooses first, and only where it is asked for: what it chose is a simple random sample, which measures.
"""


@dataclass(frozen=True, slots=True)
class CandidateFrame:
    """One frame that could be labelled."""

    image: str
    """Name as the manifest or the folder gives it, unique."""
    path: Path
    group: str = ""
    """Empty: unknown"""
    sequence: str = ""
    """Video, or camera and day, whose frames are consecutive in time; empty: unknown"""
    camera: str = ""
    day: str = ""
    at: float | None = None
    """Seconds within its sequence"""


def no_boxes() -> Boxes:
    """Return boxes of shape (0, 4)."""
    return np.empty((0, 4))


@dataclass(frozen=True, slots=True, eq=False)
class FrameEntry:
    """Entry of one log for one frame."""

    quality: Quality | None = None
    score: float | None = None
    """The log's own confidence for the frame, 0 … 1"""
    truth: Truth | None = None
    """What a person found in the image afterwards: nothing, or something; None: not reviewed"""
    boxes: Boxes = field(default_factory=no_boxes)
    """(n, 4) xyxy pixels"""
    classes: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    has_boxes: bool = False
    """False: the log does not record detections, which is not the same as no detections"""


@dataclass(frozen=True, slots=True, eq=False)
class PredictionLog:
    """A prediction log: a model's output on some of the frames."""

    path: Path
    records: Mapping[int, FrameEntry]
    """index of the frame → record; a frame that is missing was not predicted on"""
    versions: tuple[str, ...] = ()
    """model_version values that occur"""
    n_unknown: int = 0
    """Rows about images that are not among the frames."""
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class SamplingRequest:
    """How many frames to choose, and by which reasons."""

    budget: int = 200
    seed: int = 0
    shares: Mapping[Reason, float] = field(default_factory=lambda: dict(SHARES))
    conf: float = 0.25
    """Detections below this confidence are ignored."""
    low: float = 0.5
    """A frame with confidence below this is `low_confidence`."""
    near: int = 12
    """Frames that differ in at most this many of 256 bits are near-copies; −1: near-copies are allowed"""


@dataclass(frozen=True, slots=True)
class ChosenFrame:
    """One frame to label."""

    frame: CandidateFrame
    reasons: tuple[Reason, ...]
    """First the reason it was chosen for, then all others that hold."""
    score: float
    """How strongly that reason holds, 0 … 1"""


@dataclass(frozen=True, slots=True)
class ReasonTally:
    """How many frames one reason got."""

    wanted: int
    given: int
    candidates: int
    """Frames for which the reason holds, including near-copies"""


@dataclass(frozen=True, slots=True)
class Sample:
    """The frames to label next."""

    chosen: tuple[ChosenFrame, ...]
    tallies: Mapping[Reason, ReasonTally]
    n_frames: int
    n_locked: int
    """Frames left out because their group, or they themselves, are locked"""
    n_unreadable: int
    logs: tuple[PredictionLog, ...] = ()
    faults: tuple[Fault, ...] = ()
