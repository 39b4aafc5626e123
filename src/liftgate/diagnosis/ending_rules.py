"""Rules about the end of a run: it ended while its metric still rose, or because of a short patience."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from liftgate.diagnosis.schedule import extreme_rate, lower_rate, planned_epochs, read_schedule
from liftgate.diagnosis.signals import Floats, Slope, middle, noise, spark, theil_sen
from liftgate.diagnosis.symptom import Symptom
from liftgate.diagnosis.trace import Curve, Trace, filled, head_curves

_WIDE = 3.0  # validation over training loss; sound runs end below 2
_SHORT_PATIENCE = 10
WORTH = 0.1
"""Share of a metric that a rise over the last part of a run must gain, so that more epochs are worth having"""
NEARLY_ALL = 0.9
"""mAP50 of a head that finds nearly every object: the rise of such a head at the end of a plan is polish"""


class Rise(NamedTuple):
    """A metric over the last part of a run."""

    curve: Curve
    first: int
    """Epoch where the part begins"""
    values: Floats
    """of the part"""
    start: float
    """Median of the part's first three values"""
    end: float
    """Median of its last three"""
    slope: Slope
    """per epoch"""

    @property
    def gain(self) -> float:
        """Gain over the part, by its median slope."""
        return self.slope.estimate * (len(self.values) - 1)

    @property
    def certain(self) -> bool:
        """Whether it rose against its own noise; of three or four values each must be above the one before."""
        if len(self.values) < 5:
            return bool((np.diff(self.values) > 0).all())
        return self.slope.low > 0


def stopped_rising(trace: Trace) -> Iterator[Symptom]:
    """Name a run that ended while a metric was still going up, clearly against its noise."""
    rise = find_rise(trace)
    if rise is None:
        return
    last, planned, schedule = int(trace.epochs[-1]), planned_epochs(trace), read_schedule(trace)
    if planned is not None and last < planned:
        left = f", with {schedule.left:.0%} of the peak learning rate left" if schedule else ""
        message = f"it ended at epoch {last} of {planned} while {rise.curve.name} was still rising{left}"
        causes, change = _causes_of_a_cut(trace)
    else:
        message = f"all {last} epochs are over and {rise.curve.name} was still rising"
        causes, change = _causes_of_a_short_plan(trace, last)
    yield Symptom(
        "trace.stopped_rising",
        "info" if _is_usual(trace, rise) else "warning",
        f"{message}: {rise.start:.4f} → {rise.end:.4f} over epochs {rise.first}–{last}",
        {
            "metric": rise.curve.name,
            "epochs": [rise.first, last],
            "from": rise.start,
            "to": rise.end,
            "slope_per_epoch": rise.slope.estimate,
            "slope_interval": [bound if np.isfinite(bound) else None for bound in (rise.slope.low, rise.slope.high)],
            "best_epoch": _best_epoch(trace),
            "other_heads": {other.curve.name: [other.start, other.end] for other in _other_heads(trace, rise)},
        },
        causes,
        change,
        spark(rise.curve.values),
    )


def _causes_of_a_cut(trace: Trace) -> tuple[tuple[str, ...], dict[str, object]]:
    patience = trace.args.get("patience")
    if not isinstance(patience, int) or not patience:
        return ("interrupted or out of time: the same command goes on",), {}
    first = f"patience={patience} counts from the best epoch, which may lie at the start"
    if _ended_by_patience(trace, patience):
        first = f"patience={patience} ended it: no epoch was better than epoch {_best_epoch(trace)}"
    return (first, "interrupted or out of time: the same command goes on"), {"patience": max(2 * patience, 50)}


def _causes_of_a_short_plan(trace: Trace, last: int) -> tuple[tuple[str, ...], dict[str, object]]:
    few = "too few epochs for this data and start weights; the learning rate is spent, so a new run, not a resumed one"
    if (high := extreme_rate(trace)) is not None:
        above = f"the rate of {high:.3g} is far above the usual: three epochs at a tenth show it"
        return (above, few), lower_rate(trace)
    if (gap := _loss_gap(trace)) >= _WIDE:
        wide = f"the validation loss is {gap:.1f} times the training loss: more images give more than epochs"
        return (wide, few), {}
    return (few,), {"epochs": 2 * last}


def patience_short(trace: Trace) -> Iterator[Symptom]:
    """Name a run that a patience of a few epochs ended at a high learning rate, though no rise is certain."""
    patience, planned, schedule = trace.args.get("patience"), planned_epochs(trace), read_schedule(trace)
    if not isinstance(patience, int) or not 0 < patience <= _SHORT_PATIENCE or planned is None or schedule is None:
        return
    last = int(trace.epochs[-1])
    if last >= 0.7 * planned or schedule.left < 0.5 or not _ended_by_patience(trace, patience):
        return
    if find_rise(trace) is not None:
        return
    yield Symptom(
        "trace.patience_short",
        "info",
        f"patience={patience} ended it at epoch {last} of {planned}, at {schedule.left:.0%} of the peak learning rate",
        {"patience": patience, "epochs": [_best_epoch(trace), last], "planned": planned, "rate_left": schedule.left},
        ("metrics swing by more than they gain in so few epochs while the rate is high",),
        {"patience": 50},
    )


def find_rise(trace: Trace) -> Rise | None:
    """Return the rise of a metric over the last part of a run, if it is certain and worth having.

    A run that was cut short is judged by its last half. At the end of a whole schedule nearly every sound run gains a
    little, most of it in mAP50-95, with small rates and when mosaic goes off: there a metric must gain a tenth over the
    last third, of a head that does not find nearly every object already.
    """
    given, trace = trace, filled(trace)
    if len(trace) < 4:
        return None
    cut, excerpt = _was_cut_short(trace), given is not trace
    # Of an excerpt there are too few values to judge one metric where the other fell.
    for metrics in (("mAP50-95", "mAP50"),) if excerpt else (("mAP50-95",), ("mAP50",)):
        for curve in head_curves(trace, metrics):
            rise = _rise_of_a_cut(trace, curve) if cut else _rise_of_a_plan(trace, curve)
            if rise is None:
                continue
            if excerpt and (np.diff(curve.values[given.epochs[-4:] - given.epochs[0]]) <= 0).any():
                continue  # of an excerpt the last epochs that are given must all rise
            if all(other.slope.high >= 0 for other in _other_heads(trace, rise)):
                return rise
    return None


def _other_heads(trace: Trace, rise: Rise) -> Iterator[Rise]:
    """Yield the other heads over the same epochs: a rise of one that the others pay for is no reason to go on."""
    for curve in head_curves(trace):
        if curve.head != rise.curve.head:
            yield _last_part(trace, curve, len(rise.values), 0.9)


def _was_cut_short(trace: Trace) -> bool:
    """Return whether the run ended well before its plan, at a learning rate that still teaches."""
    planned, schedule, last = planned_epochs(trace), read_schedule(trace), int(trace.epochs[-1])
    left = None if schedule is None else schedule.left
    if planned is None:
        return left is not None and left >= 0.6
    return last <= 0.9 * planned and (left is None or left > 0.2)


def _rise_of_a_cut(trace: Trace, curve: Curve) -> Rise | None:
    """Return a rise by a tenth over the last half; or any certain one over the last two fifths."""
    values, n = curve.values, len(curve.values)
    half = _last_part(trace, curve, max(3, n // 2), 0.9)
    share = 1.5 * WORTH if _level(trace, curve) >= 0.95 else WORTH
    third = max(3, n // 3)
    falls = n >= 2 * third and middle(values[-third:]) < middle(values[-2 * third : -third])
    if half.certain and half.gain >= max(share * half.end, 0.02) and not falls:
        return half
    recent = _last_part(trace, curve, max(8, round(0.4 * n)), 0.99)
    enough = max(2.5 * noise(values[n // 3 :]), 0.01 * recent.end, 0.003)
    return recent if n >= 10 and recent.certain and recent.end > 0.005 and recent.gain >= enough else None


def _rise_of_a_plan(trace: Trace, curve: Curve) -> Rise | None:
    """Return a rise by a tenth over the last third of a schedule that came to its end, unless mAP50 is above .9.

    Of fewer than 20 epochs a third is too few values to judge: there it is the last half.
    """
    n = len(curve.values)
    part = _last_part(trace, curve, max(3, n // 2 if n < 20 else -(-n // 3)), 0.9)
    if _level(trace, curve) >= NEARLY_ALL or not part.certain or part.gain < max(WORTH * part.end, 0.01):
        return None
    return part if _goes_on(part, curve.values) else None


def _is_usual(trace: Trace, rise: Rise) -> bool:
    """Return whether the rise is one that a sound run may have at the end of its plan."""
    return len(trace) >= 20 and not _was_cut_short(trace) and rise.gain < 1.5 * WORTH * rise.end


def _goes_on(rise: Rise, values: Floats) -> bool:
    """Return whether the last epochs rise too, at a third of the whole part's pace or more."""
    few = max(3, len(rise.values) // 6)
    if len(values) < 2 * few:
        return True
    step = middle(values[-few:]) - middle(values[-2 * few : -few])
    return step >= 0.3 * rise.slope.estimate * few


def _last_part(trace: Trace, curve: Curve, width: int, level: float) -> Rise:
    part = curve.values[-width:]
    few = min(3, max(1, len(part) // 2))
    first = int(trace.epochs[-len(part)])
    return Rise(curve, first, part, middle(part[:few]), middle(part[-few:]), theil_sen(part, level))


def _level(trace: Trace, curve: Curve) -> float:
    """Return mAP50 of the curve's head at the end: near 1 a rise is polish."""
    coarse = trace.column(f"metrics/mAP50({curve.head})") if curve.head else curve.values
    return 0.0 if coarse is None else middle(coarse[-3:])


def _ended_by_patience(trace: Trace, patience: int) -> bool:
    best = _best_epoch(trace)
    return best is not None and int(trace.epochs[-1]) - best == patience


def _best_epoch(trace: Trace) -> int | None:
    fitness = trace.fitness
    if fitness is None or not np.isfinite(fitness).any():
        return None
    return int(trace.epochs[int(np.nanargmax(fitness))])


def _loss_gap(trace: Trace) -> float:
    """Return the ratio of validation to training loss at the end; 0 where it is unknown."""
    train, val = trace.summed("train/"), trace.summed("val/")
    if train is None or val is None:
        return 0.0
    low, high = middle(train[-5:]), middle(val[-5:])
    return high / low if low > 0 and np.isfinite(high) else 0.0
