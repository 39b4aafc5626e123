"""Budget: limits of money, GPU hours and energy, predicted for a plan and enforced while a training runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from liftgate.errors import Stopped, UsageError
from liftgate.ledger.records import Spent
from liftgate.ledger.results import EpochRow
from liftgate.ledger.runs import RunFolder
from liftgate.pipeline.context import Context
from liftgate.pipeline.epoch_timer import EpochTimer
from liftgate.pipeline.spending import energy_kwh, reported_epochs
from liftgate.study.records import Budget
from liftgate.training.power import power_draw
from liftgate.training.ranks import count_devices

_SECONDS_BETWEEN = 2.0  # seconds between two readings of all runs


def foreseen_excess(budget: Budget, used: Spent, seconds: float, devices: int = 1) -> str:
    """Return which limit a plan is expected to exceed, in a sentence; empty: none, as far as known.

    Args:
        budget: the study's budget.
        used: what training has used so far.
        seconds: expected duration of the trainings of the plan, as far as known.
        devices: number of devices that each of them trains on.

    >>> foreseen_excess(Budget(usd=200.0, usd_per_hour=0.8), Spent(0.0, 0.0, None), 300 * 3600)
    'training will come to about 240 of 200 usd: it will pause at the ceiling'
    """
    more_hours, rate = seconds / 3600, budget.usd_per_hour or 0.0
    foreseen = {"gpu_hours": used.gpu_hours + devices * more_hours, "usd": rate * (used.hours + more_hours)}
    if used.kwh is not None and used.gpu_hours > 0:
        foreseen["kwh"] = used.kwh * (1 + devices * more_hours / used.gpu_hours)
    for name, amount in foreseen.items():
        ceiling = getattr(budget, name)
        if ceiling is not None and amount > ceiling:
            return f"training will come to about {amount:.3g} of {ceiling:g} {name}: it will pause at the ceiling"
    return ""


class Ceiling:
    """Enforces the budget while a stage trains: reports when to pause because the rest does not pay for another epoch.

    >>> now = 0.0
    >>> ceiling = Ceiling(Budget(gpu_hours=2.0), Spent(1.0, 1.0, None), clock=lambda: now)
    >>> ceiling.timer.seconds = 600
    >>> ceiling.reason()
    ''
    >>> now = 3100.0
    >>> ceiling.reason()
    'the budget is spent: 1.86 of 2 gpu_hours, and another epoch would pass it'
    """

    def __init__(
        self, budget: Budget, used: Spent, *, devices: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start the clock.

        Args:
            budget: the study's budget.
            used: what training has used so far.
            devices: number of devices that the stage trains on.
            clock: returns the time in seconds.
        """
        self._budget, self._used, self._devices = budget, used, devices
        self._clock = clock
        self._started = clock()
        self._kwh = self._last_kwh = 0.0
        self.timer = EpochTimer(clock)

    @classmethod
    def of(cls, context: Context, run: RunFolder | None) -> Ceiling:
        """Return the ceiling for a stage that begins, or resumes in `run`.

        Raises:
            Stopped: the budget is spent, or the rest does not pay for another epoch.
            UsageError: energy is limited, and the power of the device is unknown.
        """
        study = context.study
        if study.budget.kwh is not None and power_draw(study.device) is None:
            hint = "leave `kwh` out: gpu_hours and usd can be kept on any machine"
            what = "a ceiling of energy cannot be kept here: nvidia-smi does not report the power of the device"
            raise UsageError(what, where=study.source, got=f"device: {study.device}", hint=hint)
        # Without limits nobody asks what was used, and adding it up takes a look at every run.
        used = Spent(0.0, 0.0, None) if study.budget == Budget() else context.runs.spent()
        ceiling = cls(study.budget, used, devices=count_devices(study.device))
        for row in [] if run is None else reported_epochs(run)[-1:]:
            ceiling.timer.seconds = row.seconds
            ceiling._last_kwh = energy_kwh([row]) or 0.0
        if reason := ceiling.reason():
            hint = "everything so far is kept; raise `budget:` to go on"
            raise Stopped(reason, where=study.source, hint=hint)
        return ceiling

    def start(self) -> None:
        """Start the clock again, with that of the run: what was prepared before is not the run's time."""
        self._started = self._clock()

    def record(self, row: EpochRow) -> None:
        """Record a finished epoch."""
        self.timer.record(row.seconds)
        self._last_kwh = energy_kwh([row]) or 0.0
        self._kwh += self._last_kwh

    def reason(self) -> str:
        """Return why to pause at the next epoch boundary; empty: the rest of the budget pays for another epoch."""
        hours, epoch = (self._clock() - self._started) / 3600, self.timer.seconds / 3600
        rate = self._budget.usd_per_hour or 0.0
        now = {  # what is used so far, and what another epoch would use
            "gpu_hours": (self._used.gpu_hours + self._devices * hours, self._devices * epoch),
            "usd": (rate * (self._used.hours + hours), rate * epoch),
            "kwh": ((self._used.kwh or 0.0) + self._kwh, self._last_kwh),
        }
        return _passed(self._budget, now)


class SharedCeiling:
    """Enforces the budget over all trainings of an engine, those of other tasks that run at the same time included.

    It knows their finished epochs only, so it leaves room for another epoch of each run that has not ended.
    """

    def __init__(self, context: Context, clock: Callable[[], float] = time.monotonic) -> None:
        self._context, self._clock = context, clock
        self._next, self._last = 0.0, ""

    def reason(self) -> str:
        """Return why everything has to pause; empty: the rest of the budget pays for an epoch of each run."""
        budget = self._context.study.budget
        if budget == Budget() or self._clock() < self._next:
            return self._last
        begun = self._clock()
        self._last = self._reason(budget)
        now = self._clock()
        self._next = now + max(_SECONDS_BETWEEN, 10 * (now - begun))
        return self._last

    def _reason(self, budget: Budget) -> str:
        runs, rate = self._context.runs, budget.usd_per_hour or 0.0
        used, devices, last = runs.spent(), count_devices(self._context.study.device), runs.last_epochs()
        hours = sum(row.seconds for row in last) / 3600
        now = {
            "gpu_hours": (used.gpu_hours, devices * hours),
            "usd": (rate * used.hours, rate * hours),
            "kwh": (used.kwh or 0.0, energy_kwh(last) or 0.0),
        }
        return _passed(budget, now)


def _passed(budget: Budget, now: Mapping[str, tuple[float, float]]) -> str:
    """Return which limit is reached: `now` has what is used so far, and what another epoch would use."""
    for name, (used, next_epoch) in now.items():
        ceiling = getattr(budget, name)
        if ceiling is not None and used + next_epoch >= ceiling:
            passing = "" if used >= ceiling else ", and another epoch would pass it"
            return f"the budget is spent: {used:.3g} of {ceiling:g} {name}{passing}"
    return ""
