"""The statement on drift: every statistic and camera, one rule for all false alarms together.

Holm's rule over all statistics and cameras: where nothing moved, any alarm at all has a probability of at most α.
benchmarks/drift.py counts that on days that vary and follow each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from liftgate.deploy.production.appearance import Novelty
from liftgate.deploy.production.day_table import STATISTICS, DayTable, Statistic
from liftgate.stats.day_shift import DailyValues, DayShift, day_correlation, day_shift
from liftgate.stats.multiplicity import holm

Word = Literal["drift", "no drift seen", "cannot tell"]


@dataclass(frozen=True, slots=True)
class DriftRow:
    """One statistic of one camera."""

    statistic: Statistic
    camera: str
    shift: DayShift
    correlation: float
    """Of a day with the next, over all cameras"""
    p_adjusted: float | None
    word: Word

    @property
    def sentence(self) -> str:
        """What is said of it."""
        name = f"{self.statistic}, {self.camera or 'camera not said'}"
        one = self.shift
        if one.p is None or one.low is None or one.high is None or self.p_adjusted is None:
            return f"{name}: cannot tell ({one.note}; {one.n_before} and {one.n_after} days)"
        between = f"{one.before:.4g} → {one.after:.4g}, moved by {one.low:.4g} to {one.high:.4g}"
        return f"{name}: {self.word} ({between}; {one.n_before} and {one.n_after} days, p = {self.p_adjusted:.2g})"


@dataclass(frozen=True, slots=True)
class NewFrame:
    """An image that is unlike all images of the reference."""

    image: str
    camera: str
    distance: float
    nearest: str
    """The reference's most similar image"""


@dataclass(frozen=True, slots=True)
class DriftFinding:
    """What is said of a period of production."""

    reference: str
    alpha: float
    level: float
    """Of the intervals, each alone"""
    n_before: int
    """Images"""
    n_after: int
    rows: tuple[DriftRow, ...]
    novelty: Novelty | None = None
    """None: no images were given, or the reference has none"""
    new_frames: tuple[NewFrame, ...] = ()
    n_frames: int = 0
    """Images that were looked at"""

    @property
    def answer(self) -> Word:
        """Drift where any row has it; cannot tell where no row could be tested."""
        words = {row.word for row in self.rows}
        return "drift" if "drift" in words else "no drift seen" if "no drift seen" in words else "cannot tell"

    @property
    def n_tested(self) -> int:
        """Rows that were tested."""
        return sum(row.word != "cannot tell" for row in self.rows)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The answer, each row that says something, and what is new."""
        rule = f"{self.n_tested} of {len(self.rows)} rows tested, α {self.alpha:g} for all of them together (Holm)"
        head = f"{self.answer} against {self.reference}: {rule}"
        if self.answer == "no drift seen":
            head += "; that nothing moved is not shown by this: see the intervals"
        return (head, *(row.sentence for row in self.rows), *self._of_new_frames())

    def _of_new_frames(self) -> tuple[str, ...]:
        if self.novelty is None:
            return ()
        if self.novelty.threshold is None:
            return (f"new frames: cannot tell ({self.novelty.note})",)
        expected = f"at most {self.novelty.share:.1%} are expected of images as the reference's"
        return (f"new frames: {len(self.new_frames)} of {self.n_frames} ({expected})",)


def find_drift(
    before: DayTable,
    after: DayTable,
    reference: str,
    *,
    alpha: float = 0.05,
    level: float = 0.95,
    novelty: Novelty | None = None,
    new_frames: Sequence[NewFrame] = (),
    n_frames: int = 0,
) -> DriftFinding:
    """Return what moved between two periods.

    Args:
        before: days of the reference; one without names of cameras is compared with every camera.
        after: days of production.
        reference: what it is, in words.
        alpha: accepted probability of any false alarm.
        level: of the intervals.
        novelty: from which distance on an image is new.
        new_frames: the images beyond it.
        n_frames: images that were looked at.
    """
    named = before.cameras != ("",)
    pairs = []
    for statistic in STATISTICS:
        cameras, sides = _sides(statistic, before, after, named)
        if not any(len(first) for first, _ in sides) or not any(len(second) for _, second in sides):
            continue
        series = [side for pair in sides for side in pair] if named else [*[b for _, b in sides], sides[0][0]]
        correlation = day_correlation(series)
        pairs += [
            (statistic, camera, correlation, day_shift(first, second, correlation, level))
            for camera, (first, second) in zip(cameras, sides, strict=True)
        ]
    adjusted = holm([np.nan if one[3].p is None else one[3].p for one in pairs])
    rows = []
    for (statistic, camera, correlation, shift), p in zip(pairs, adjusted.tolist(), strict=True):
        word: Word = "cannot tell" if shift.p is None else "drift" if p <= alpha else "no drift seen"
        rows.append(DriftRow(statistic, camera, shift, correlation, None if shift.p is None else p, word))
    return DriftFinding(
        reference, alpha, level, before.n_images, after.n_images, tuple(rows), novelty, tuple(new_frames), n_frames
    )


def _sides(
    statistic: Statistic, before: DayTable, after: DayTable, named: bool
) -> tuple[list[str], list[tuple[DailyValues, DailyValues]]]:
    """Return the cameras and both periods of each. One that is silent now is among them, so that it is said."""
    cameras, sides = [], []
    for one in sorted({*after.cameras, *(before.cameras if named else ())}):
        pair = before.values(statistic, one if named else None), after.values(statistic, one)
        if len(pair[0]) or len(pair[1]):
            cameras.append(one)
            sides.append(pair)
    return cameras, sides
