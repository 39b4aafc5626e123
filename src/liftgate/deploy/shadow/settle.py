"""What a shadow test says: that two models differ at times, and whether they differ on average; never which is better.

Blocks of time are the units. Their length is at least three times as long as the scene stays the same, which is
measured in a warm-up that is not tested itself: how long differences, counts and brightness stay correlated.
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
_WARM_UP_OF_TAU = 20.0
_LONGEST_TAU = 3


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
    """Return what a test says by now.

    Args:
        minutes: of each camera.
        request: with the times and α.
    """
    length = len(minutes[0].images) if minutes else 0
    planned = int(request.hours * 60)
    warm_up, tau = _warm_up(minutes, request, length, planned)
    block = max(request.least_block_minutes, math.ceil(_BLOCKS_OF_TAU * tau))
    n_planned, needed = max(planned - warm_up, 0) // block, blocks_until(request.alpha, 1)
    n_blocks = max(min(length, planned) - warm_up, 0) // block
    rows = [_blocks(one, warm_up, block, n_blocks) for one in minutes]
    paths = [log_e_process(np.sign(row[0] - row[1]).astype(np.int8)) for row in rows]
    mean = average_log_e(paths) if n_blocks else np.zeros(0)
    crossed = np.flatnonzero(mean >= math.log(1 / request.alpha))
    answer: Answer = "not settled"
    if length < warm_up:
        answer = "warming up"
    elif len(crossed):
        answer = "different"
    elif n_planned < needed:
        answer = "cannot tell"
    return ShadowFinding(
        answer=answer,
        alpha=request.alpha,
        e_value=float(np.exp(mean.max())) if n_blocks else 1.0,
        settled_after_minutes=warm_up + (int(crossed[0]) + 1) * block if len(crossed) else None,
        minutes=length,
        warm_up_minutes=warm_up,
        tau_minutes=tau,
        block_minutes=block,
        n_blocks=n_blocks,
        n_blocks_planned=n_planned,
        n_blocks_needed=needed,
        rate=_rate(minutes, rows, warm_up, block * n_blocks),
        cameras=tuple(
            _camera(one, row, path, warm_up, block * n_blocks)
            for one, row, path in zip(minutes, rows, paths, strict=True)
        ),
    )


def _warm_up(minutes: Sequence[CameraMinutes], request: ShadowRequest, length: int, planned: int) -> tuple[int, float]:
    """Return the length of the warm-up and the persistence that it shows; longer where the scene needs it."""
    warm_up, most = min(request.warm_up_minutes, planned // 2), planned // 2
    while True:
        if length < warm_up or not minutes:
            return warm_up, 0.0
        longest = max(warm_up // _LONGEST_TAU, 1)
        tau = max(
            scene_persistence([one.difference[:warm_up] for one in minutes], longest).tau,
            scene_persistence([one.champion_only[:warm_up] + one.agreed[:warm_up] for one in minutes], longest).tau,
            scene_persistence([one.brightness[:warm_up] for one in minutes], longest).tau,
        )
        if warm_up >= _WARM_UP_OF_TAU * tau or warm_up >= most:
            return warm_up, tau
        warm_up = min(int(_WARM_UP_OF_TAU * tau) + 1, most)


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
