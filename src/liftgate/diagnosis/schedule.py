"""Determine the learning-rate schedule that a run used, from its columns, its log and its arguments."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np

from liftgate.diagnosis.signals import Floats
from liftgate.diagnosis.trace import Trace, without_gaps


class Schedule(NamedTuple):
    """The learning rate of each epoch, and the planned schedule."""

    rate: Floats
    peak: float
    peak_row: int
    planned: int | None
    """Planned epochs: from args.yaml, else from a linear decay of the rate"""
    lr0: float | None
    """Start rate of the schedule that the columns follow after their peak; None: they follow none (the warm-up never
    ended, or the run was resumed with other arguments)"""

    @property
    def left(self) -> float:
        """Return the last rate as a fraction of the peak."""
        return float(self.rate[-1]) / self.peak

    @property
    def constant(self) -> bool:
        """Return whether the rate is the same in every epoch."""
        return float(self.rate.min()) >= 0.99 * self.peak


def read_schedule(trace: Trace) -> Schedule | None:
    """Return the schedule; None where the file has no usable learning rate."""
    rate = trace.learning_rate
    if rate is not None and len(rate) >= 3 and not np.isfinite(rate[-1]):  # the last line was cut off
        rate = np.concatenate([rate[:-1], rate[-2:-1]])
    rate = without_gaps(rate)
    if rate is None or len(rate) < 3 or rate.max() <= 0:
        return None
    peak_row = int(np.argmax(rate))
    planned = _epochs_argument(trace) or _end_of_linear_decay(rate, peak_row)
    return Schedule(rate, float(rate[peak_row]), peak_row, planned, _implied_lr0(trace, rate, peak_row, planned))


def planned_epochs(trace: Trace) -> int | None:
    """Return the planned number of epochs; None where it is unknown."""
    schedule = read_schedule(trace)
    return _epochs_argument(trace) if schedule is None else schedule.planned


def _epochs_argument(trace: Trace) -> int | None:
    epochs = trace.args.get("epochs")
    return epochs if isinstance(epochs, int) and not isinstance(epochs, bool) and epochs >= len(trace) else None


def _end_of_linear_decay(rate: Floats, peak_row: int) -> int | None:
    """Return the epoch at which a linear decay of the rate ends; None where the decay is not linear."""
    falling = rate[peak_row:]
    if len(falling) < 5:
        return None
    rows = np.arange(len(falling), dtype=np.float64)
    slope, start = np.polyfit(rows, falling, 1)
    if slope * rows[-1] > -0.005 * start:
        return None  # constant, but for rounding
    if np.abs(falling - (start + slope * rows)).max() > 0.01 * falling[0]:
        return None
    return max(len(rate), round(float(peak_row + 0.99 * falling[0] / -slope)))


def _implied_lr0(trace: Trace, rate: Floats, peak_row: int, planned: int | None) -> float | None:
    """Return the start rate that the rows after the peak imply; None where they disagree by more than a tenth."""
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
    """The optimizer as the log has it."""

    name: str
    lr: float
    momentum: float


_LOGGED = re.compile(r"optimizer:\S* +(\w+)\(lr=([\d.eE+-]+), momentum=([\d.]+)\)")


def logged_optimizer(trace: Trace) -> LoggedOptimizer | None:
    """Return the optimizer of the log's last start; None where there is no log, or no such line in it."""
    found = _LOGGED.findall(trace.log)
    return LoggedOptimizer(found[-1][0], float(found[-1][1]), float(found[-1][2])) if found else None


def extreme_learning_rate(trace: Trace) -> float | None:
    """Return the peak rate where it is at least five times the usual one of its optimizer, else None."""
    schedule, logged = read_schedule(trace), logged_optimizer(trace)
    kind = (logged.name if logged else str(trace.args.get("optimizer", ""))).lower()
    usual = 0.002 if "adam" in kind else 0.01
    return schedule.peak if schedule is not None and schedule.peak >= 5 * usual else None


def lower_learning_rate(trace: Trace) -> dict[str, object]:
    """Return the recipe arguments for a tenth of the rate that was used; empty where that rate is unknown.

    optimizer=auto ignores lr0, so the optimizer is set as well; where the recipe has a lower rate than the one used,
    setting the optimizer is enough.
    """
    schedule, asked, auto = read_schedule(trace), requested_lr0(trace), is_auto_optimizer(trace)
    ran = schedule.lr0 or schedule.peak if schedule else None if auto else asked
    if ran is None:
        return {}
    rate: dict[str, object] = {"lr0": float(f"{ran / 10:.1g}")}
    if not auto:
        return rate
    named: dict[str, object] = {"optimizer": optimizer_used(trace, ran)}
    return named if asked is not None and asked <= 0.5 * ran else named | rate


def requested_lr0(trace: Trace) -> float | None:
    """Return lr0 of args.yaml; None where it has none."""
    asked = trace.args.get("lr0")
    return float(asked) if isinstance(asked, int | float) and not isinstance(asked, bool) and asked > 0 else None


def optimizer_used(trace: Trace, rate: float | None) -> str:
    """Return the optimizer from the log, else the one that `optimizer=auto` combines with such a rate."""
    logged = logged_optimizer(trace)
    return logged.name if logged else "AdamW" if rate is not None and rate < 0.005 else "SGD"


def is_auto_optimizer(trace: Trace) -> bool:
    """Return whether Ultralytics chose optimizer and rate itself (`optimizer=auto`, its default)."""
    return str(trace.args.get("optimizer", "")).lower() == "auto"
