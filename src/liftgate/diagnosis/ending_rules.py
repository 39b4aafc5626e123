"""Rules about the end of a run: it ended while its metric still rose, or because of a short patience."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from liftgate.diagnosis.schedule import extreme_learning_rate, lower_learning_rate, planned_epochs, read_schedule
from liftgate.diagnosis.signals import Floats, Slope, nan_median, noise, sparkline, theil_sen
from liftgate.diagnosis.symptom import Symptom
from liftgate.diagnosis.trace import Curve, Trace, filled, head_curves

_LARGE_LOSS_GAP = 3.0  # validation over training loss; sound runs end below 2
_LONG_PATIENCE = 50  # epochs without a gain, after which a plateau is one at any rate
_LIKELY_LEVEL = 0.8  # of the interval of a slope that is likely, not certain
MIN_GAIN = 0.1
"""Share of a metric that a rise over the last part of a run must gain, for more epochs to be worthwhile"""
NEARLY_SATURATED = 0.9
"""mAP50 from which a rise at the planned end of a run is not reported: it is nearly saturated"""


class Rise(NamedTuple):
    """A metric over the last part of a run."""

    curve: Curve
    first: int
    """First epoch of the part"""
    values: Floats
    """Values of the part, one per epoch"""
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
        """Return whether the rise is significant; of fewer than five values each must exceed the one before."""
        if len(self.values) < 5:
            return bool((np.diff(self.values) > 0).all())
        return self.slope.low > 0


def stopped_rising(trace: Trace) -> Iterator[Symptom]:
    """Report a run that ended while a metric was still rising: significantly, or (info) probably."""
    certain = find_rise(trace)
    rise = certain or _likely_rise(trace)
    if rise is None:
        return
    last, planned, schedule = int(trace.epochs[-1]), planned_epochs(trace), read_schedule(trace)
    if planned is not None and last < planned:
        left = f", with {schedule.left:.0%} of the peak learning rate left" if schedule else ""
        rising = "was still rising" if certain else "was probably still rising"
        message = f"it ended at epoch {last} of {planned} while {rise.curve.name} {rising}{left}"
        causes, change = _causes_of_early_end(trace)
    else:
        message = f"all {last} epochs are over and {rise.curve.name} was still rising"
        causes, change = _causes_of_too_few_epochs(trace, last)
    yield Symptom(
        "trace.stopped_rising",
        "info" if certain is None or _is_common_rise(trace, rise) else "warning",
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
        sparkline(rise.curve.values),
    )


def _causes_of_early_end(trace: Trace) -> tuple[tuple[str, ...], dict[str, object]]:
    patience = trace.args.get("patience")
    if not isinstance(patience, int) or not patience:
        return ("interrupted or out of time: the same command goes on",), {}
    first = f"patience={patience} counts from the best epoch, which may lie at the start"
    if _ended_by_patience(trace, patience):
        first = f"patience={patience} ended it: no epoch was better than epoch {_best_epoch(trace)}"
    return (first, "interrupted or out of time: the same command goes on"), {"patience": max(2 * patience, 50)}


def _causes_of_too_few_epochs(trace: Trace, last: int) -> tuple[tuple[str, ...], dict[str, object]]:
    few = "too few epochs for this data and start weights; the learning rate is spent, so a new run, not a resumed one"
    if (high := extreme_learning_rate(trace)) is not None:
        above = f"the rate of {high:.3g} is far above the usual: three epochs at a tenth show it"
        return (above, few), lower_learning_rate(trace)
    if (gap := _loss_gap(trace)) >= _LARGE_LOSS_GAP:
        wide = f"the validation loss is {gap:.1f} times the training loss: more images give more than epochs"
        return (wide, few), {}
    return (few,), {"epochs": 2 * last}


def patience_short(trace: Trace) -> Iterator[Symptom]:
    """Report a run that its patience ended at a high learning rate, where no rise is significant or likely."""
    patience, planned, schedule = trace.args.get("patience"), planned_epochs(trace), read_schedule(trace)
    if not isinstance(patience, int) or not 0 < patience < _LONG_PATIENCE or planned is None or schedule is None:
        return
    last = int(trace.epochs[-1])
    if not is_cut_short(trace) or not _ended_by_patience(trace, patience):
        return
    if (find_rise(trace) or _likely_rise(trace)) is not None:
        return
    yield Symptom(
        "trace.patience_short",
        "info",
        f"patience={patience} ended it at epoch {last} of {planned}, at {schedule.left:.0%} of the peak learning rate",
        {"patience": patience, "epochs": [_best_epoch(trace), last], "planned": planned, "rate_left": schedule.left},
        ("metrics swing by more than they gain in so few epochs while the rate is high",),
        {"patience": _LONG_PATIENCE},
    )


def find_rise(trace: Trace) -> Rise | None:
    """Return the rise of a metric over the last part of a run, if it is significant and large enough; else None.

    A run that ended early is judged by its last half. At the end of a complete schedule nearly every sound run gains a
    little, mostly in mAP50-95, because the rate is small and mosaic is off: there a metric must gain a tenth over the
    last third, and its mAP50 must be below 0.9.
    """
    given, trace = trace, filled(trace)
    if len(trace) < 4:
        return None
    cut, excerpt = _ended_early(trace), given is not trace
    # An excerpt has too few values to trust one metric where the other fell.
    for metrics in (("mAP50-95", "mAP50"),) if excerpt else (("mAP50-95",), ("mAP50",)):
        for curve in head_curves(trace, metrics):
            rise = _rise_of_early_end(trace, curve) if cut else _rise_at_planned_end(trace, curve)
            if rise is None:
                continue
            if excerpt and (np.diff(curve.values[given.epochs[-4:] - given.epochs[0]]) <= 0).any():
                continue  # in an excerpt each of the last given epochs must rise
            if all(other.slope.high >= 0 for other in _other_heads(trace, rise)):
                return rise
    return None


def is_cut_short(trace: Trace) -> bool:
    """Return whether a run ended before 70% of its plan, with half of its peak learning rate left or more."""
    planned, schedule = planned_epochs(trace), read_schedule(trace)
    if planned is None or schedule is None:
        return False
    return int(trace.epochs[-1]) < 0.7 * planned and schedule.left >= 0.5


def is_ended_by_patience(trace: Trace) -> bool:
    """Return whether the last epoch is as far from the best one as `patience` says."""
    patience = trace.args.get("patience")
    return isinstance(patience, int) and patience > 0 and _ended_by_patience(trace, patience)


def _likely_rise(trace: Trace) -> Rise | None:
    """Return a rise of at least 5% over the last half of a run that was cut short at a high rate, or None.

    It is likely, not certain: metrics swing by more than they gain in so few epochs.
    """
    if len(trace) < 6 or filled(trace) is not trace or not is_cut_short(trace):
        return None
    for metric in ("mAP50-95", "mAP50"):
        for curve in head_curves(trace, (metric,)):
            rise = _last_part(trace, curve, max(5, len(trace) // 2), _LIKELY_LEVEL)
            enough = rise.gain >= max(0.05 * rise.end, 0.01)
            if rise.certain and enough and all(other.slope.high >= 0 for other in _other_heads(trace, rise)):
                return rise
    return None


def _other_heads(trace: Trace, rise: Rise) -> Iterator[Rise]:
    """Yield the other heads over the same epochs: where they fall, a rise of one is no reason to train longer."""
    for curve in head_curves(trace):
        if curve.head != rise.curve.head:
            yield _last_part(trace, curve, len(rise.values), 0.9)


def _ended_early(trace: Trace) -> bool:
    """Return whether the run ended well before its planned epochs, while its learning rate was not yet small."""
    planned, schedule, last = planned_epochs(trace), read_schedule(trace), int(trace.epochs[-1])
    left = None if schedule is None else schedule.left
    if planned is None:
        return left is not None and left >= 0.6
    return last <= 0.9 * planned and (left is None or left > 0.2)


def _rise_of_early_end(trace: Trace, curve: Curve) -> Rise | None:
    """Return a rise by a tenth over the last half, or any significant rise over the last two fifths, or None."""
    values, n = curve.values, len(curve.values)
    half = _last_part(trace, curve, max(3, n // 2), 0.9)
    share = 1.5 * MIN_GAIN if _final_map50(trace, curve) >= 0.95 else MIN_GAIN
    third = max(3, n // 3)
    falls = n >= 2 * third and nan_median(values[-third:]) < nan_median(values[-2 * third : -third])
    if half.certain and half.gain >= max(share * half.end, 0.02) and not falls:
        return half
    recent = _last_part(trace, curve, max(8, round(0.4 * n)), 0.99)
    enough = max(2.5 * noise(values[n // 3 :]), 0.01 * recent.end, 0.003)
    return recent if n >= 10 and recent.certain and recent.end > 0.005 and recent.gain >= enough else None


def _rise_at_planned_end(trace: Trace, curve: Curve) -> Rise | None:
    """Return a rise by a tenth over the last third of a complete schedule, unless mAP50 is above .9; else None.

    With fewer than 20 epochs it is the last half, because a third has too few values; or the whole curve, where its
    last third lies a tenth above the one before.
    """
    n = len(curve.values)
    part = _last_part(trace, curve, max(3, n // 2 if n < 20 else -(-n // 3)), 0.9)
    if _final_map50(trace, curve) >= NEARLY_SATURATED:
        return None
    if part.certain and part.gain >= max(MIN_GAIN * part.end, 0.01) and _is_still_rising(part, curve.values):
        return part
    third = n // 3
    before, last = nan_median(curve.values[-2 * third : -third or None]), nan_median(curve.values[-third or None :])
    if not 8 <= n < 20 or last - before < max(MIN_GAIN * last, 0.01) or curve.values[-1] < last:
        return None
    whole = _last_part(trace, curve, n, 0.99)
    return whole if whole.certain else None


def _is_common_rise(trace: Trace, rise: Rise) -> bool:
    """Return whether sound runs commonly have such a rise at their planned end."""
    return len(trace) >= 20 and not _ended_early(trace) and rise.gain < 1.5 * MIN_GAIN * rise.end


def _is_still_rising(rise: Rise, values: Floats) -> bool:
    """Return whether the last epochs rise too, at a third of the slope of the whole part or more."""
    few = max(3, len(rise.values) // 6)
    if len(values) < 2 * few:
        return True
    step = nan_median(values[-few:]) - nan_median(values[-2 * few : -few])
    return step >= 0.3 * rise.slope.estimate * few


def _last_part(trace: Trace, curve: Curve, width: int, level: float) -> Rise:
    part = curve.values[-width:]
    few = min(3, max(1, len(part) // 2))
    first = int(trace.epochs[-len(part)])
    return Rise(curve, first, part, nan_median(part[:few]), nan_median(part[-few:]), theil_sen(part, level))


def _final_map50(trace: Trace, curve: Curve) -> float:
    """Return the mAP50 of the curve's head at the end."""
    coarse = trace.column(f"metrics/mAP50({curve.head})") if curve.head else curve.values
    return 0.0 if coarse is None else nan_median(coarse[-3:])


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
    low, high = nan_median(train[-5:]), nan_median(val[-5:])
    return high / low if low > 0 and np.isfinite(high) else 0.0
