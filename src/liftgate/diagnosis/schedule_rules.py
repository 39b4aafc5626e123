"""Rules about the learning rate and the end of a run."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from liftgate.diagnosis.signals import Floats, middle, noise, spark, theil_sen
from liftgate.diagnosis.symptom import Symptom
from liftgate.diagnosis.trace import Trace, filled

_DEFAULT = {"lr0": 0.01, "momentum": 0.937}
_EARLY = 5  # epochs in which a missing warm-up shows
_WIDE = 3.0  # validation over training loss; sound runs end below 2
_SAME = (1 / 1.5, 1.5)  # ratio of learning rates that is no contradiction: versions round and count epochs differently


class Schedule(NamedTuple):
    """What the learning-rate columns say."""

    rate: Floats
    peak: float
    peak_row: int
    planned: int | None
    """epochs that the run was to take: as args.yaml says, else as a straight fall reveals"""
    lr0: float | None
    """the start rate whose plan the columns follow after their peak; None: they follow none (the warm-up, which is
    100 iterations or more, may never have ended, or the run was resumed under other arguments)"""

    @property
    def left(self) -> float:
        """Last rate as a fraction of the peak."""
        return float(self.rate[-1]) / self.peak

    @property
    def constant(self) -> bool:
        """Whether the first epoch's rate is also every other one's: it neither warmed up nor fell."""
        return float(self.rate.min()) >= 0.99 * self.peak


def read_schedule(trace: Trace) -> Schedule | None:
    """Return the schedule; None where the file has no usable learning rate."""
    rate = trace.learning_rate
    if rate is None or len(rate) < 3 or not np.isfinite(rate).all() or rate.max() <= 0:
        return None
    peak_row = int(np.argmax(rate))
    planned = _said_epochs(trace) or _straight_end(rate, peak_row)
    return Schedule(rate, float(rate[peak_row]), peak_row, planned, _plan(trace, rate, peak_row, planned))


def planned_epochs(trace: Trace) -> int | None:
    """Return how many epochs the run was to take; None where nothing says it."""
    schedule = read_schedule(trace)
    return _said_epochs(trace) if schedule is None else schedule.planned


def _said_epochs(trace: Trace) -> int | None:
    said = trace.args.get("epochs")
    return said if isinstance(said, int) and not isinstance(said, bool) and said >= len(trace) else None


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


class Logged(NamedTuple):
    """The optimizer that the log says was made."""

    name: str
    lr: float
    momentum: float


_LOGGED = re.compile(r"optimizer:\S* +(\w+)\(lr=([\d.eE+-]+), momentum=([\d.]+)\)")


def logged_optimizer(trace: Trace) -> Logged | None:
    """Return the optimizer of the log's last start; None: there is no log, or it does not say."""
    said = _LOGGED.findall(trace.log)
    return Logged(said[-1][0], float(said[-1][1]), float(said[-1][2])) if said else None


def extreme_rate(trace: Trace) -> float | None:
    """Return the peak rate where it is five times the usual of its optimizer or more; None: it is not."""
    schedule, logged = read_schedule(trace), logged_optimizer(trace)
    kind = (logged.name if logged else str(trace.args.get("optimizer", ""))).lower()
    usual = 0.002 if "adam" in kind else 0.01
    return schedule.peak if schedule is not None and schedule.peak >= 5 * usual else None


def lower_rate(trace: Trace) -> dict[str, Any]:
    """Return the change of the recipe after which a tenth of the rate that ran would run; empty: nobody knows it.

    Under optimizer=auto another lr0 changes nothing, so the optimizer is named; where the recipe asked for a lower rate
    than ran, naming it is all that is needed.
    """
    schedule, asked, auto = read_schedule(trace), asked_rate(trace), _auto(trace)
    ran = schedule.lr0 or schedule.peak if schedule else None if auto else asked
    if ran is None:
        return {}
    rate = {"lr0": float(f"{ran / 10:.1g}")}
    if not auto:
        return rate
    named = {"optimizer": optimizer_that_ran(trace, ran)}
    return named if asked is not None and asked <= 0.5 * ran else named | rate


def asked_rate(trace: Trace) -> float | None:
    """Return lr0 as args.yaml has it; None: it does not say."""
    asked = trace.args.get("lr0")
    return float(asked) if isinstance(asked, int | float) and not isinstance(asked, bool) and asked > 0 else None


def optimizer_that_ran(trace: Trace, rate: float | None) -> str:
    """Return what the log says, else what Ultralytics pairs with such a rate when it chooses itself."""
    logged = logged_optimizer(trace)
    return logged.name if logged else "AdamW" if rate is not None and rate < 0.005 else "SGD"


def _auto(trace: Trace) -> bool:
    return str(trace.args.get("optimizer", "")).lower() == "auto"


def warmup_short(trace: Trace) -> Iterator[Symptom]:
    """The full rate at once, and what it broke in the first epochs.

    A rate that stands at its peak in the first epoch is no harm by itself: short data sets and fine-tuning do well with
    it, and a loss that leaps in the second epoch mostly comes back. It is said when the loss was no number right there,
    or stayed above the first epoch's for a third of the run; not of a rate that no warm-up would make bearable.
    """
    schedule, loss, n = read_schedule(trace), trace.summed("train/"), len(trace)
    if schedule is None or loss is None or n < _EARLY or extreme_rate(trace) is not None:
        return
    first, early, since = loss[0], loss[1:_EARLY], loss[1 : max(10, n // 3) + 1]
    if schedule.rate[0] < 0.9 * schedule.peak or not np.isfinite(first):
        return
    if not np.isfinite(early).all():
        what = "the training loss was no number in the next epochs"
    elif len(since) >= 10 and (since > first).all() and float(early.max()) >= 1.3 * first:
        what = f"the training loss leapt from {first:.3f} to {float(early.max()):.3f} and stayed above"
    else:
        return
    yield Symptom(
        "trace.warmup_short",
        "warning",
        f"the learning rate stood at its peak of {schedule.peak:.3g} from the first epoch on, and {what}",
        {
            "warmup_epochs": trace.args.get("warmup_epochs"),
            "rate_first_epoch": float(schedule.rate[0]),
            "peak": schedule.peak,
            "train_loss": [float(value) for value in loss[:_EARLY] if np.isfinite(value)],
        },
        (
            "the warm-up is too short for this rate: three epochs with warmup_epochs=3 tell",
            "the rate itself is too high: the same three epochs at a tenth of it tell",
        ),
        {"warmup_epochs": 3},
        spark(loss),
    )


def lr_ignored(trace: Trace) -> Iterator[Symptom]:
    """The learning rate that was asked for is not the one that ran."""
    asked = asked_rate(trace)
    if asked is None:
        return
    auto = _auto(trace)
    schedule, logged = read_schedule(trace), logged_optimizer(trace)
    used = logged.lr if logged else None if schedule is None else schedule.lr0
    ratio = None if used is None else used / asked
    chosen = {name: trace.args.get(name) for name, usual in _DEFAULT.items() if trace.args.get(name, usual) != usual}
    if auto and not chosen:
        return  # nobody asked for anything
    if auto and "lr0" in chosen:
        if ratio is not None and 0.9 < ratio < 1.1:
            return  # ignored, and by chance the same
        what = f"lr0={asked:g} was asked for"
    elif auto:
        what = f"momentum={chosen['momentum']:g} was asked for"
    elif ratio is not None and not _SAME[0] < ratio < _SAME[1]:
        what = f"lr0={asked:g} was asked for"
    else:
        return
    ran = f"the learning-rate columns start from {used:.4g}" if used is not None else "the columns do not say which ran"
    if logged:
        ran = f"{logged.name} with lr {logged.lr:g} and momentum {logged.momentum:g} ran, the log says"
    why = "optimizer=auto ignores lr0 and momentum" if auto else "a resumed run keeps its first arguments"
    yield Symptom(
        "trace.lr_ignored",
        "warning",
        f"{what}, but {why}: {ran}",
        {"asked": chosen or {"lr0": asked}, "optimizer": trace.args.get("optimizer"), "lr0_used": used},
        (f"{why}; the log's line `optimizer:` tells which ran",),
        {"optimizer": optimizer_that_ran(trace, used)} if auto else {},
        "" if trace.learning_rate is None else spark(trace.learning_rate),
    )


def lr_exhausted(trace: Trace) -> Iterator[Symptom]:
    """The learning rate was spent long before the end, or while the model was still improving."""
    schedule = read_schedule(trace)
    if schedule is None or len(trace) < 10:
        return
    n = len(trace)
    spent = np.flatnonzero((schedule.rate <= 0.02 * schedule.peak) & (np.arange(n) > schedule.peak_row))
    idle = len(spent) >= max(10, 0.15 * n) and bool(schedule.rate[-1] <= 0.02 * schedule.peak)
    # The end of a rate that was far too high is an ordinary rate; beside a wide gap of losses no rate would help.
    low = schedule.left <= max(0.03, 1.5 / n) and extreme_rate(trace) is None and _gap(trace) < _WIDE
    rising = low and _rise_at_the_end(trace) is not None
    if not idle and not rising:
        return
    since = int(trace.epochs[spent[0]]) if len(spent) else int(trace.epochs[-1])
    what = (
        f"from epoch {since} on, {len(spent)} of {n} epochs ran at under 2% of the peak rate"
        if idle
        else f"the rate was down to {schedule.rate[-1]:.2g} (peak {schedule.peak:.2g}) while the metric still rose"
    )
    yield Symptom(
        "trace.lr_exhausted",
        "warning",
        f"the learning rate is exhausted: {what}",
        {"epoch": since, "rate": float(schedule.rate[-1]), "peak": schedule.peak, "idle_epochs": len(spent)},
        (
            "the schedule was too short for this data: resuming adds nothing, start a new run with more epochs",
            "lrf is very small: its last epochs change nothing",
        ),
        {"epochs": 2 * n} if rising else {"lrf": 0.05},
        spark(schedule.rate),
    )


def stopped_rising(trace: Trace) -> Iterator[Symptom]:
    """The run ended while its metric was still going up, clearly against its noise."""
    rise = _rise_at_the_end(trace)
    if rise is None:
        return
    planned = planned_epochs(trace)
    schedule = read_schedule(trace)
    early = planned is not None and trace.epochs[-1] < planned
    patience = trace.args.get("patience")
    last = int(trace.epochs[-1])
    if early:
        left = f", with {schedule.left:.0%} of the peak learning rate left" if schedule else ""
        message = f"it ended at epoch {last} of {planned} while {rise['metric']} was still rising{left}"
        causes: tuple[str, ...] = (
            f"patience={patience} counts from the best epoch, which may lie at the start"
            if patience
            else "interrupted",
            "interrupted or out of time: the same command goes on",
        )
        change: dict[str, Any] = (
            {"patience": max(2 * int(patience), 50)} if isinstance(patience, int) and patience else {}
        )
    else:
        message = f"all {last} epochs are over and {rise['metric']} was still rising"
        causes = ("too few epochs for this data and start weights",)
        change = {"epochs": 2 * last}
        if (high := extreme_rate(trace)) is not None:
            causes = (f"the rate of {high:.3g} is far above the usual: three epochs at a tenth tell", *causes)
            change = lower_rate(trace)
        elif (gap := _gap(trace)) >= _WIDE:
            causes = (
                f"the validation loss is {gap:.1f} times the training loss: more images give more than epochs",
                *causes,
            )
            change = {}
    gain = f": {rise['from']:.4f} → {rise['to']:.4f} over epochs {rise['epochs'][0]}–{rise['epochs'][1]}"
    yield Symptom("trace.stopped_rising", "warning", message + gain, rise, causes, change, rise["curve"])


def _gap(trace: Trace) -> float:
    """Return how many times the training loss the validation loss is at the end; 0: nobody knows."""
    train, val = trace.summed("train/"), trace.summed("val/")
    if train is None or val is None:
        return 0.0
    low, high = middle(train[-5:]), middle(val[-5:])
    return high / low if low > 0 and np.isfinite(high) else 0.0


def _rise_at_the_end(trace: Trace) -> dict[str, Any] | None:
    """Return the rise of a metric over the run's last part, if it is certain and worth having."""
    given, trace = trace, filled(trace)
    n = len(trace)
    if n < 10:
        return None
    planned, schedule = planned_epochs(trace), read_schedule(trace)
    cut_short = planned is not None and n < planned and (schedule is None or schedule.left > 0.2)
    for name, curve, _ in main_curves(trace):
        # Cut short at a high rate: any certain slope. At the end of a schedule every sound run gains a little, most of
        # it when mosaic goes off, so there the gain must be large, and must have begun before.
        width = max(8, round((0.4 if cut_short else 0.2) * n))
        tail = curve[-width:]
        slope = theil_sen(tail)
        gain = slope.estimate * width
        level = middle(tail[-3:])
        enough = max(2.5 * noise(curve[n // 3 :]), (0.01 if cut_short else 0.05) * level, 0.003)
        if not slope.low > 0 or gain < enough or level <= 0.005:
            continue
        if given is not trace and (np.diff(curve[given.epochs[-4:] - given.epochs[0]]) <= 0).any():
            continue  # of an excerpt the last epochs that are given must all rise
        if not cut_short:
            before = curve[-2 * width : -width]
            if len(before) < 4 or middle(before[-3:]) - middle(before[:3]) < 0.02 * level:
                continue
        first = int(trace.epochs[-width])
        return {
            "metric": name,
            "epochs": [first, int(trace.epochs[-1])],
            "from": middle(tail[:3]),
            "to": level,
            "slope_per_epoch": slope.estimate,
            "slope_interval": [slope.low, slope.high],
            "best_epoch": int(trace.epochs[int(np.argmax(curve))]),
            "curve": spark(curve),
        }
    return None


class Curve(NamedTuple):
    """The metric that one head is judged by."""

    name: str
    values: Floats
    head: str | None
    """B boxes, P keypoints, M masks; None: a classifier has no heads"""


def main_curves(trace: Trace) -> Iterator[Curve]:
    """Yield the metric that each head is judged by: mAP50-95, or mAP50 where that is missing or nought."""
    for head in "BPM":
        for name in ("mAP50-95", "mAP50"):
            curve = trace.column(f"metrics/{name}({head})")
            if curve is not None and np.isfinite(curve).all() and curve.max() > 0:
                yield Curve(f"{name}({head})", curve, head)
                break
    top1 = trace.column("metrics/accuracy_top1")
    if top1 is not None and np.isfinite(top1).all():
        yield Curve("top-1 accuracy", top1, None)
