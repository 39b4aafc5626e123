"""What a shadow test says: that two models differ at times, and whether they differ on average; never which is better.

Blocks of time are the units. Their length is four times as long as the scene stays the same: how long differences,
counts and brightness stay correlated. That is measured at the end of a warm-up and again at each doubling of the time,
because a short look cannot show a slow change (docs/decisions/0033). Then too it is said how likely the time that is
left shows three points of recall on one camera. Two fifths of α are spent on a test that may be looked at at any time,
three fifths on one at the planned end, which sees more (docs/decisions/0050).
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from liftgate.deploy.shadow.pairs import CameraMinutes
from liftgate.deploy.shadow.request import ShadowRequest
from liftgate.stats.block_means import BLOCKS_OF_TAU, mean_chance, mean_p_values
from liftgate.stats.block_signs import (
    Floats,
    Growth,
    average_log_e,
    blocks_until,
    log_e_process,
    scene_persistence,
)
from liftgate.stats.interval import Interval
from liftgate.stats.rates import korn_graubard

Answer = Literal["different", "not settled", "cannot tell", "warming up"]

_AT_ANY_TIME, _AT_THE_END = 0.4, 0.6
"""Parts of α"""
_SEEN_OF_TAU = 8.0
_LONGEST_TAU = 3
_TOO_SHORT = 2.0
"""Share by which blocks have to grow for the test to begin again"""
LOST_RECALL, LIKELY = 0.03, 0.8
"""What a test should see on one camera, and with which chance"""
_MOST_DAYS = 365
_DAY = 1440
_Columns = tuple[Floats, Floats, Floats]
"""Champion only, challenger only and agreed of each block"""


@dataclass(frozen=True, slots=True)
class CameraFinding:
    """One camera in the tested blocks."""

    camera: str
    n_images: int
    agreed: int
    champion_only: int
    challenger_only: int
    blocks_champion: int
    """In which the champion reports more"""
    blocks_challenger: int
    e_value: float
    """Largest so far, of this camera alone"""
    end_p: float | None = None
    """Of the test at the planned end, times the number of cameras; None: it was not made"""

    @property
    def side(self) -> str:
        """Which of the two reports more there, by the totals: what is tested are sums, not the number of blocks."""
        difference = self.champion_only - self.challenger_only
        who = "the champion" if difference > 0 else "the challenger" if difference else "neither"
        blocks = f"the champion more in {self.blocks_champion} blocks, the challenger in {self.blocks_challenger}"
        alone = f"{self.champion_only} objects of the champion alone, {self.challenger_only} of the challenger"
        return f"{self.camera or 'camera not said'}: {who} reports more ({alone}; {blocks})"


@dataclass(frozen=True, slots=True)
class ShadowFinding:
    """Both statements, with what they rest on."""

    answer: Answer
    alpha: float
    e_value: float
    """Largest so far of the mean over cameras; different from `bar` on"""
    end_p: float | None
    """Of the test at the planned end, over all cameras; None: it is not there yet, or has too few blocks"""
    settled_after_minutes: int | None
    """Since the test began"""
    minutes: int
    """Looked at"""
    warm_up_minutes: int
    """When it is looked at first; in the future: the scene is still being measured"""
    tau_minutes: float
    """How long a scene stays the same; 0: too short to be seen by the minute"""
    block_minutes: int
    n_blocks: int
    """Tested so far"""
    n_blocks_planned: int
    n_blocks_needed: int
    """The fewest that could settle it, all of one sign"""
    chance: float | None
    """That three points of recall lost on one camera are seen in the planned time; None: not yet known"""
    days_needed: int | None
    """For a chance of 80%; None: not yet known, or more than a year"""
    rate: Interval | None
    """Disagreements of all that either reports; None: nothing was tested yet"""
    cameras: tuple[CameraFinding, ...]
    is_by_end: bool = False
    """Whether the test at the planned end alone says "different": blocks and correlation time are its own then"""

    @property
    def bar(self) -> float:
        """What e has to reach."""
        return 1 / (_AT_ANY_TIME * self.alpha)

    def _is_seen_in(self, camera: CameraFinding) -> bool:
        return camera.e_value >= self.bar or (camera.end_p is not None and camera.end_p <= _AT_THE_END * self.alpha)

    @property
    def at_times(self) -> str:
        """Sentence on differences at times."""
        if self.rate is None:
            return "differ at times: nothing was compared yet"
        between = f"no interval: {self.rate.note}"
        if self.rate.low is not None and self.rate.high is not None:
            between = f"{self.rate.low:.1%} to {self.rate.high:.1%}, {self.rate.basis}"
        share = f"{self.rate.estimate:.1%} of what either reports"
        return f"differ at times: {share} ({between}; a group is one block of a camera)"

    @property
    def on_average(self) -> str:
        """Sentence on differences on average."""
        blocks = f"{self.n_blocks} blocks of {self.block_minutes} minutes"
        e_value = f"e = {self.e_value:.3g} of {self.bar:g}"
        how = f"{e_value}, {blocks}"
        if self.answer == "different":
            sides = [one.side for one in self.cameras if self._is_seen_in(one)]
            where = f": {'; '.join(sides)}" if sides else ""
            if self.is_by_end:  # the blocks are those of p
                how = f"at the planned end p = {self.end_p:.2g} of {_AT_THE_END * self.alpha:g}, {blocks}; {e_value}"
            return f"differ on average: yes, at α {self.alpha:g} however often one looks ({how}){where}"
        if self.answer == "warming up":
            so_far = f"{self.minutes} of {self.warm_up_minutes} minutes"
            return f"differ on average: how long a scene stays the same is being measured ({so_far})"
        if self.answer == "cannot tell":
            return f"differ on average: cannot tell: {self._why_not}"
        seen = (
            ""
            if self.chance is None
            else f", a loss of 3 points on one camera is seen with a chance of {self.chance:.0%}"
        )
        return f"differ on average: not settled ({how}{seen}); that they are equal is not shown by this"

    @property
    def _why_not(self) -> str:
        scene = f"a scene stays the same for about {self.tau_minutes:.0f} minutes"
        room = f"the time holds {self.n_blocks_planned} blocks of {self.block_minutes} minutes"
        few = (
            f", and at least {self.n_blocks_needed} are needed" if self.n_blocks_planned < self.n_blocks_needed else ""
        )
        if self.chance is None:
            return f"{scene}, {room}{few}"
        seen = f"a loss of 3 points of recall on one camera is seen with a chance of {self.chance:.0%}"
        days = f"about {self.days_needed} days" if self.days_needed else "more than a year"
        return f"{scene}, {room}{few}: {seen}; {days} for {LIKELY:.0%}"

    @property
    def advice(self) -> str:
        """What turns it into a verdict."""
        return "which of them is better is not known: `liftgate judge` on the kept disagreements says it"


def find(minutes: Sequence[CameraMinutes], request: ShadowRequest, *, is_over: bool = False) -> ShadowFinding:
    """Return what a test says by now; how often one looked before changes nothing.

    Args:
        minutes: of each camera.
        request: with the times and α.
        is_over: whether the planned time is over and no pair comes any more: only then is the end tested.
    """
    length = len(minutes[0].images) if minutes else 0
    planned = int(request.hours * 60)
    stretch = _last_stretch(minutes, request, length, planned)
    n_planned, needed = planned // stretch.block, blocks_until(_AT_ANY_TIME * request.alpha, 1)
    n_blocks = stretch.n_blocks(min(length, planned))
    rows = [_blocks(one, stretch.block, n_blocks) for one in minutes]
    paths = [log_e_process(row[0] - row[1], row[0] + row[1]) for row in rows]
    mean = stretch.log_e + (average_log_e(paths) if n_blocks else np.zeros(0))
    crossed = np.flatnonzero(mean >= _log_bar(request))
    settled = max(stretch.start, (int(crossed[0]) + 1) * stretch.block) if len(crossed) else None
    forecast = _forecast(minutes, stretch, request, min(stretch.start, length))
    end = _end_test(minutes, request, min(length, planned)) if is_over else None  # once
    block, tau, shown, is_by_end = stretch.block, stretch.tau, rows, False
    answer: Answer = "not settled"
    if settled is not None:
        answer = "different"
    elif end is not None and min(end.p) <= _AT_THE_END * request.alpha:
        answer, settled = "different", min(length, planned)
        block, tau, shown, is_by_end = end.block, end.tau, end.rows, True
    elif n_planned < needed or stretch.start >= planned:
        answer = "cannot tell"
    elif length < stretch.start:
        answer = "warming up"
    elif forecast is not None and forecast.chance < LIKELY:
        answer = "cannot tell"
    span = block * len(shown[0][0]) if shown else 0
    of_cameras: Sequence[float | None] = [None] * len(rows) if end is None else end.p
    return ShadowFinding(
        answer=answer,
        alpha=request.alpha,
        e_value=float(np.exp(mean.max())) if n_blocks else math.exp(stretch.log_e),
        end_p=None if end is None else min(end.p),
        settled_after_minutes=settled,
        minutes=length,
        warm_up_minutes=stretch.start,
        tau_minutes=tau,
        block_minutes=block,
        n_blocks=span // block,
        n_blocks_planned=n_planned,
        n_blocks_needed=needed,
        chance=forecast.chance if forecast else None,
        days_needed=forecast.days if forecast else None,
        rate=_rate(minutes, shown, span),
        cameras=tuple(
            _camera(one, row, path, span, p)
            for one, row, path, p in zip(minutes, shown, paths, of_cameras, strict=True)
        ),
        is_by_end=is_by_end,
    )


def _log_bar(request: ShadowRequest) -> float:
    return -math.log(_AT_ANY_TIME * request.alpha)


class _EndTest(NamedTuple):
    p: list[float]
    """Of each camera"""
    block: int
    """Minutes"""
    tau: float
    rows: list[_Columns]


def _end_test(minutes: Sequence[CameraMinutes], request: ShadowRequest, length: int) -> _EndTest | None:
    """Test blocks as long as all that was seen asks for; None: the time was too short for the scene."""
    if length < min(request.warm_up_minutes, int(request.hours * 60) // 2):
        return None
    tau = _persistence(minutes, length)
    block = max(request.least_block_minutes, math.ceil(BLOCKS_OF_TAU * tau))
    rows = [_blocks(one, block, length // block) for one in minutes]
    found = mean_p_values([row[0] - row[1] for row in rows])
    return None if found is None else _EndTest(found, block, tau, rows)


class _Forecast(NamedTuple):
    chance: float
    """Of seeing a loss of LOST_RECALL on one camera in the planned time, the mean over cameras"""
    days: int | None


def _forecast(
    minutes: Sequence[CameraMinutes], stretch: _Stretch, request: ShadowRequest, end: int
) -> _Forecast | None:
    """Return what the rest can show, by what was seen until the stretch began; None: that is too little."""
    block = min(stretch.block, end // 2)
    if not block or not minutes:
        return None
    rows = [_blocks(one, block, end // block) for one in minutes]
    alone = sum(float((row[0] + row[1]).sum()) for row in rows)
    varied = sum(float(np.var(row[0] - row[1], ddof=1)) for row in rows)
    scale = max(varied * (end // block) / alone, 1.0) if alone else 1.0
    longer, alpha = stretch.block / block, request.alpha
    cameras = []
    for row in rows:
        shift = LOST_RECALL * longer * float((row[0] + row[2]).mean())
        count = longer * float((row[0] + row[1]).mean()) + shift
        cameras.append((Growth(shift, count, scale), shift, math.sqrt(scale * count)))

    def chance(n_minutes: float) -> float:
        n, n_blocks = len(cameras), int(n_minutes) // stretch.block
        ways = (
            max(growth.chance(_AT_ANY_TIME * alpha, n, n_blocks),
                mean_chance(shift, deviation, _AT_THE_END * alpha, n, n_blocks))
            for growth, shift, deviation in cameras
        )  # fmt: skip
        return sum(ways) / n

    days = bisect.bisect_left(range(1, _MOST_DAYS + 1), LIKELY, key=lambda n: chance(n * _DAY)) + 1
    return _Forecast(chance(request.hours * 60), days if days <= _MOST_DAYS else None)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A length of blocks that time is tested in, all of it from the first minute on."""

    start: int
    """When it is looked at first, minutes since the test began; in the future: the scene is still being measured"""
    block: int
    tau: float
    log_e: float = 0.0
    """Of the lengths before, where they lost; what they won by blocks that were too short is not kept"""
    is_tested: bool = False

    def n_blocks(self, end: int) -> int:
        return end // self.block if self.is_tested and end >= self.start else 0


def _last_stretch(minutes: Sequence[CameraMinutes], request: ShadowRequest, length: int, planned: int) -> _Stretch:
    """Return the length that is tested now: the scene is measured at the end of the warm-up and at each doubling.

    A length is chosen at these times, whenever one looks. What was before them is tested in it too: under the null the
    signs of blocks are independent of counts and brightness, which decide on the length. (The persistence of the
    differences themselves depends on signs, but makes blocks longer where they agree.) Where a longer look shows that
    the blocks were too short, the test begins again with longer ones; money that was lost until then stays lost, so
    that beginning again is no new chance. A test that is settled is not taken back.
    """
    start = min(request.warm_up_minutes, planned // 2)
    now = _Stretch(start, request.least_block_minutes, 0.0)
    while start <= length and start < planned:
        tau = _persistence(minutes, start)
        block = max(request.least_block_minutes, math.ceil(BLOCKS_OF_TAU * tau))
        lost = min(now.log_e, _log_e_of(minutes, now, start)) if now.is_tested else now.log_e
        if start < _SEEN_OF_TAU * tau:  # too short a look to be sure of it
            now = _Stretch(2 * start, block, tau, lost)
        elif not now.is_tested or block > _TOO_SHORT * now.block:
            now = _Stretch(start, block, tau, lost, is_tested=True)
        end = min(2 * start, length, planned)
        if now.is_tested and _log_e_of(minutes, now, end, highest=True) >= _log_bar(request):
            return now
        start *= 2
    return now


def _log_e_of(minutes: Sequence[CameraMinutes], stretch: _Stretch, end: int, *, highest: bool = False) -> float:
    """Return the logarithm of the mean e over cameras at a time, or its highest until then."""
    count = stretch.n_blocks(end)
    if not count:
        return stretch.log_e
    rows = [_blocks(one, stretch.block, count) for one in minutes]
    path = average_log_e([log_e_process(row[0] - row[1], row[0] + row[1]) for row in rows])
    return stretch.log_e + float(path.max() if highest else path[-1])


def _persistence(minutes: Sequence[CameraMinutes], end: int) -> float:
    """Return how long a scene stays the same, by all minutes until `end`."""
    longest = max(end // _LONGEST_TAU, 1)
    series = (
        [one.difference[:end] for one in minutes],
        [(one.champion_only + one.agreed)[:end] for one in minutes],
        [one.brightness[:end] for one in minutes],
    )
    return max(scene_persistence(one, longest).tau for one in series)


def _blocks(one: CameraMinutes, block: int, count: int) -> _Columns:
    """Return champion only, challenger only and agreed of each block."""
    columns = (one.champion_only, one.challenger_only, one.agreed)
    first, second, third = (column[: block * count].reshape(count, block).sum(axis=1) for column in columns)
    return first, second, third


def _rate(minutes: Sequence[CameraMinutes], rows: Sequence[_Columns], span: int) -> Interval | None:
    alone = np.concatenate([row[0] + row[1] for row in rows]) if rows else np.zeros(0)
    both = np.concatenate([row[2] for row in rows]) if rows else np.zeros(0)
    used = alone + both > 0
    if not used.any():
        return None
    n_images = int(sum(one.images[:span].sum() for one in minutes))
    return korn_graubard(alone[used], (alone + both)[used], n_images=n_images)


def _camera(one: CameraMinutes, row: _Columns, path: Floats, span: int, end_p: float | None) -> CameraFinding:
    sign = np.sign(row[0] - row[1])
    return CameraFinding(
        camera=one.camera,
        n_images=int(one.images[:span].sum()),
        agreed=int(row[2].sum()),
        champion_only=int(row[0].sum()),
        challenger_only=int(row[1].sum()),
        blocks_champion=int((sign > 0).sum()),
        blocks_challenger=int((sign < 0).sum()),
        e_value=float(np.exp(path.max())) if len(path) else 1.0,
        end_p=end_p,
    )
