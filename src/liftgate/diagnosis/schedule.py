"""Learning-rate schedule of a run: what its columns, its log and its arguments say of the rate that ran."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np

from liftgate.diagnosis.signals import Floats
from liftgate.diagnosis.trace import Trace


class Schedule(NamedTuple):
    """The learning rate of each epoch, and the plan that it follows."""

    rate: Floats
    peak: float
    peak_row: int
    planned: int | None
    """Epochs of the plan: as args.yaml has it, else as a straight fall of the rate reveals"""
    lr0: float | None
    """Start rate of the plan that the columns follow after their peak; None: they follow none (the warm-up, which is
    100 iterations or more, may never have ended, or the run was resumed under other arguments)"""

    @property
    def left(self) -> float:
        """Last rate as a fraction of the peak."""
        return float(self.rate[-1]) / self.peak

    @property
    def constant(self) -> bool:
        """Whether the rate is the same in every epoch: it neither warmed up nor fell."""
        return float(self.rate.min()) >= 0.99 * self.peak


def read_schedule(trace: Trace) -> Schedule | None:
    """Return the schedule; None where the file has no usable learning rate."""
    rate = trace.learning_rate
    if rate is None or len(rate) < 3:
        return None
    if not np.isfinite(rate[-1]):  # the last line was cut off
        rate = np.concatenate([rate[:-1], rate[-2:-1]])
    if not np.isfinite(rate).all() or rate.max() <= 0:
        return None
    peak_row = int(np.argmax(rate))
    planned = _epochs_of_args(trace) or _straight_end(rate, peak_row)
    return Schedule(rate, float(rate[peak_row]), peak_row, planned, _plan(trace, rate, peak_row, planned))


def planned_epochs(trace: Trace) -> int | None:
    """Return the number of epochs of the plan; None where it is unknown."""
    schedule = read_schedule(trace)
    return _epochs_of_args(trace) if schedule is None else schedule.planned


def _epochs_of_args(trace: Trace) -> int | None:
    epochs = trace.args.get("epochs")
    return epochs if isinstance(epochs, int) and not isinstance(epochs, bool) and epochs >= len(trace) else None


def _straight_end(rate: Floats, peak_row: int) -> int | None:
    """Return where a straight fall of the rate ends; None where it is not straight (a cosine, steps, a warm-up)."""
    falling = rate[peak_row:]
    if len(falling) < 5:
        return None
    rows = np.arange(len(falling), dtype=np.float64)
    slope, start = np.polyfit(rows, falling, 1)
    if slope * rows[-1] > -0.005 * start:
        return None  # constant, but for what a fit makes of its last digits
    if np.abs(falling - (start + slope * rows)).max() > 0.01 * falling[0]:
        return None
    return max(len(rate), round(float(peak_row + 0.99 * falling[0] / -slope)))


def _plan(trace: Trace, rate: Floats, peak_row: int, planned: int | None) -> float | None:
    """Return the start rate that every row after the peak implies, if they agree within a tenth."""
    if planned is None or len(rate) - peak_row < 4:
        return None
    lrf = trace.args.get("lrf", 0.01)
    lrf = float(lrf) if isinstance(lrf, int | float) else 0.01
    done = (trace.epochs[peak_row:] - 1) / planned
    share = (1 + np.cos(math.pi * done)) / 2 if trace.args.get("cos_lr") is True else 1 - done
    whole = share > 0.1  # later rows say more about lrf than about lr0
    implied = rate[peak_row:][whole] / (share * (1 - lrf) + lrf)[whole]
    if len(implied) < 3 or implied.max() > 1.1 * implied.min():
        return None
    return float(np.median(implied))


class LoggedOptimizer(NamedTuple):
    """The optimizer of the log."""

    name: str
    lr: float
    momentum: float


_LOGGED = re.compile(r"optimizer:\S* +(\w+)\(lr=([\d.eE+-]+), momentum=([\d.]+)\)")


def logged_optimizer(trace: Trace) -> LoggedOptimizer | None:
    """Return the optimizer of the log's last start; None where there is no log, or no such line in it."""
    found = _LOGGED.findall(trace.log)
    return LoggedOptimizer(found[-1][0], float(found[-1][1]), float(found[-1][2])) if found else None


def extreme_rate(trace: Trace) -> float | None:
    """Return the peak rate where it is at least five times the usual one of its optimizer, else None."""
    schedule, logged = read_schedule(trace), logged_optimizer(trace)
    kind = (logged.name if logged else str(trace.args.get("optimizer", ""))).lower()
    usual = 0.002 if "adam" in kind else 0.01
    return schedule.peak if schedule is not None and schedule.peak >= 5 * usual else None


def lower_rate(trace: Trace) -> dict[str, object]:
    """Return the change of the recipe that gives a tenth of the rate that ran; empty where that rate is unknown.

    Under optimizer=auto another lr0 changes nothing, so the optimizer is named; where the recipe has a lower rate than
    ran, naming the optimizer is all that is needed.
    """
    schedule, asked, auto = read_schedule(trace), asked_rate(trace), chosen_by_auto(trace)
    ran = schedule.lr0 or schedule.peak if schedule else None if auto else asked
    if ran is None:
        return {}
    rate: dict[str, object] = {"lr0": float(f"{ran / 10:.1g}")}
    if not auto:
        return rate
    named: dict[str, object] = {"optimizer": optimizer_that_ran(trace, ran)}
    return named if asked is not None and asked <= 0.5 * ran else named | rate


def asked_rate(trace: Trace) -> float | None:
    """Return lr0 of args.yaml; None where it has none."""
    asked = trace.args.get("lr0")
    return float(asked) if isinstance(asked, int | float) and not isinstance(asked, bool) and asked > 0 else None


def optimizer_that_ran(trace: Trace, rate: float | None) -> str:
    """Return the optimizer of the log, else the one that `optimizer=auto` pairs with such a rate."""
    logged = logged_optimizer(trace)
    return logged.name if logged else "AdamW" if rate is not None and rate < 0.005 else "SGD"


def chosen_by_auto(trace: Trace) -> bool:
    """Return whether Ultralytics chose optimizer and rate itself (`optimizer=auto`, its default)."""
    return str(trace.args.get("optimizer", "")).lower() == "auto"
