"""What a shadow test says: that two models differ at times, and whether they differ on average; never which is better.

Blocks of time are the units. Their length is at least three times as long as the scene stays the same: how long
differences, counts and brightness stay correlated. That is measured before the blocks that it is used for, and again at
each doubling of the time, because a short look cannot show a slow change (docs/decisions/0033).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from liftgate.deploy.shadow.pairs import CameraMinutes
from liftgate.deploy.shadow.request import ShadowRequest
from liftgate.stats.block_signs import Floats, average_log_e, blocks_until, log_e_process, scene_persistence
from liftgate.stats.interval import Interval
from liftgate.stats.rates import korn_graubard

Answer = Literal["different", "not settled", "cannot tell", "warming up"]

_BLOCKS_OF_TAU = 3.0
_SEEN_OF_TAU = 8.0
_LONGEST_TAU = 3
_TOO_SHORT = 2.0
"""Share by which blocks have to grow for the test to begin again"""


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

    @property
    def side(self) -> str:
        """Which of the two reports more there."""
        more = "champion" if self.blocks_champion > self.blocks_challenger else "challenger"
        most, total = max(self.blocks_champion, self.blocks_challenger), self.blocks_champion + self.blocks_challenger
        return f"{self.camera or 'camera not said'}: the {more} reports more in {most} of {total} unequal blocks"


@dataclass(frozen=True, slots=True)
class ShadowFinding:
    """Both statements, with what they rest on."""

    answer: Answer
    alpha: float
    e_value: float
    """Largest so far of the mean over cameras; different from 1/α on"""
    settled_after_minutes: int | None
    """Since the test began"""
    minutes: int
    """Looked at"""
    warm_up_minutes: int
    """When the blocks that are tested now begin; in the future: the scene is still being measured"""
    tau_minutes: float
    """How long a scene stays the same; 0: too short to be seen by the minute"""
    block_minutes: int
    n_blocks: int
    """Tested so far"""
    n_blocks_planned: int
    n_blocks_needed: int
    """The fewest that could settle it, all of one sign"""
    rate: Interval | None
    """Disagreements of all that either reports; None: nothing was tested yet"""
    cameras: tuple[CameraFinding, ...]

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
        how = f"e = {self.e_value:.3g} of {1 / self.alpha:g}, {self.n_blocks} blocks of {self.block_minutes} minutes"
        if self.answer == "different":
            sides = [one.side for one in self.cameras if one.e_value >= 1 / self.alpha]
            where = f": {'; '.join(sides)}" if sides else ""
            return f"differ on average: yes, at α {self.alpha:g} however often one looks ({how}){where}"
        if self.answer == "warming up":
            so_far = f"{self.minutes} of {self.warm_up_minutes} minutes"
            return f"differ on average: how long a scene stays the same is being measured ({so_far})"
        if self.answer == "cannot tell":
            scene = f"a scene stays the same for about {self.tau_minutes:.0f} minutes"
            room = f"the time holds {self.n_blocks_planned} blocks of {self.block_minutes} minutes"
            return f"differ on average: cannot tell: {scene}, {room}, and at least {self.n_blocks_needed} are needed"
        return f"differ on average: not settled ({how}); that they are equal is not shown by this"

    @property
    def advice(self) -> str:
        """What turns it into a verdict."""
        return "which of them is better is not known: `liftgate judge` on the kept disagreements says it"


def find(minutes: Sequence[CameraMinutes], request: ShadowRequest) -> ShadowFinding:
    """Return what a test says by now; how often one looked before changes nothing.

    Args:
        minutes: of each camera.
        request: with the times and α.
    """
    length = len(minutes[0].images) if minutes else 0
    planned = int(request.hours * 60)
    stretch = _last_stretch(minutes, request, length, planned)
    n_planned, needed = max(planned - stretch.start, 0) // stretch.block, blocks_until(request.alpha, 1)
    n_blocks = stretch.n_blocks(min(length, planned))
    rows = [_blocks(one, stretch.start, stretch.block, n_blocks) for one in minutes]
    paths = [log_e_process(np.sign(row[0] - row[1]).astype(np.int8)) for row in rows]
    mean = stretch.log_e + (average_log_e(paths) if n_blocks else np.zeros(0))
    crossed = np.flatnonzero(mean >= math.log(1 / request.alpha))
    answer: Answer = "not settled"
    if len(crossed):
        answer = "different"
    elif length >= stretch.start and n_planned < needed:
        answer = "cannot tell"
    elif length < stretch.start:
        answer = "warming up" if n_planned >= needed else "cannot tell"
    return ShadowFinding(
        answer=answer,
        alpha=request.alpha,
        e_value=float(np.exp(mean.max())) if n_blocks else math.exp(stretch.log_e),
        settled_after_minutes=stretch.start + (int(crossed[0]) + 1) * stretch.block if len(crossed) else None,
        minutes=length,
        warm_up_minutes=stretch.start,
        tau_minutes=stretch.tau,
        block_minutes=stretch.block,
        n_blocks=n_blocks,
        n_blocks_planned=n_planned,
        n_blocks_needed=needed,
        rate=_rate(minutes, rows, stretch.start, stretch.block * n_blocks),
        cameras=tuple(
            _camera(one, row, path, stretch.start, stretch.block * n_blocks)
            for one, row, path in zip(minutes, rows, paths, strict=True)
        ),
    )


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Time that is tested in blocks of one length."""

    start: int
    """Minutes since the test began; in the future: the scene is still being measured"""
    block: int
    tau: float
    log_e: float = 0.0
    """Of the stretches before, where they lost; what they won by blocks that were too short is not kept"""

    def n_blocks(self, end: int) -> int:
        return max(end - self.start, 0) // self.block


def _last_stretch(minutes: Sequence[CameraMinutes], request: ShadowRequest, length: int, planned: int) -> _Stretch:
    """Return the stretch that is tested now: the scene is measured at the end of the warm-up and at each doubling.

    A length is chosen by what was before its blocks, whenever one looks. Where a longer look shows that the blocks were
    too short, the test begins again with longer ones; money that was lost until then stays lost, so that beginning
    again is no new chance. A test that is settled is not taken back.
    """
    start = min(request.warm_up_minutes, planned // 2)
    now = _Stretch(start, request.least_block_minutes, 0.0)
    log_e, is_tested = 0.0, False
    while start <= length and start < planned:
        tau = _persistence(minutes, start)
        block = max(request.least_block_minutes, math.ceil(_BLOCKS_OF_TAU * tau))
        if start < _SEEN_OF_TAU * tau:  # too short a look to be sure of it
            log_e, is_tested = min(log_e, _log_e_of(minutes, now, start)) if is_tested else log_e, False
            now = _Stretch(2 * start, block, tau, log_e)
        elif not is_tested or block > _TOO_SHORT * now.block:
            log_e = min(log_e, _log_e_of(minutes, now, start)) if is_tested else log_e
            now, is_tested = _Stretch(start, block, tau, log_e), True
        end = min(2 * start, length, planned)
        if is_tested and _log_e_of(minutes, now, end, highest=True) >= math.log(1 / request.alpha):
            return now
        start *= 2
    return now


def _log_e_of(minutes: Sequence[CameraMinutes], stretch: _Stretch, end: int, *, highest: bool = False) -> float:
    """Return the logarithm of the mean e over cameras at a time, or its highest until then."""
    count = stretch.n_blocks(end)
    if not count:
        return stretch.log_e
    rows = [_blocks(one, stretch.start, stretch.block, count) for one in minutes]
    path = average_log_e([log_e_process(np.sign(row[0] - row[1]).astype(np.int8)) for row in rows])
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


_Columns = tuple[Floats, Floats, Floats]


def _blocks(one: CameraMinutes, warm_up: int, block: int, count: int) -> _Columns:
    """Return champion only, challenger only and agreed of each block."""
    columns = (one.champion_only, one.challenger_only, one.agreed)
    first, second, third = (
        column[warm_up : warm_up + block * count].reshape(count, block).sum(axis=1) for column in columns
    )
    return first, second, third


def _rate(minutes: Sequence[CameraMinutes], rows: Sequence[_Columns], warm_up: int, span: int) -> Interval | None:
    alone = np.concatenate([row[0] + row[1] for row in rows]) if rows else np.zeros(0)
    both = np.concatenate([row[2] for row in rows]) if rows else np.zeros(0)
    used = alone + both > 0
    if not used.any():
        return None
    n_images = int(sum(one.images[warm_up : warm_up + span].sum() for one in minutes))
    return korn_graubard(alone[used], (alone + both)[used], n_images=n_images)


def _camera(one: CameraMinutes, row: _Columns, path: Floats, warm_up: int, span: int) -> CameraFinding:
    sign = np.sign(row[0] - row[1])
    return CameraFinding(
        camera=one.camera,
        n_images=int(one.images[warm_up : warm_up + span].sum()),
        agreed=int(row[2].sum()),
        champion_only=int(row[0].sum()),
        challenger_only=int(row[1].sum()),
        blocks_champion=int((sign > 0).sum()),
        blocks_challenger=int((sign < 0).sum()),
        e_value=float(np.exp(path.max())) if len(path) else 1.0,
    )
