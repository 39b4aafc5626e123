"""Rules about the learning rate: a missing warm-up, a rate that was ignored, a rate that decayed too early."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from liftgate.diagnosis.schedule import (
    extreme_learning_rate,
    is_auto_optimizer,
    logged_optimizer,
    optimizer_used,
    read_schedule,
    requested_lr0,
)
from liftgate.diagnosis.signals import sparkline
from liftgate.diagnosis.symptom import Symptom
from liftgate.diagnosis.trace import Trace

_DEFAULT = {"lr0": 0.01, "momentum": 0.937}
_EARLY = 5  # epochs in which a missing warm-up shows
_SAME = (1 / 1.5, 1.5)  # ratios of learning rates that count as equal: versions round differently


def warmup_short(trace: Trace) -> Iterator[Symptom]:
    """Report a missing warm-up that did harm in the first epochs.

    A peak rate in the first epoch is harmless by itself: small data sets and fine-tuning do well with it, and a loss
    that jumps in the second epoch mostly recovers. It is reported when the loss was NaN in the next epochs, or stayed
    above that of the first epoch for a third of the run, unless the rate is too high with any warm-up.
    """
    schedule, loss, n = read_schedule(trace), trace.summed("train/"), len(trace)
    if schedule is None or loss is None or n < _EARLY or extreme_learning_rate(trace) is not None:
        return
    first, early, since = loss[0], loss[1:_EARLY], loss[1 : max(10, n // 3) + 1]
    if schedule.rate[0] < 0.9 * schedule.peak or not np.isfinite(first):
        return
    if not np.isfinite(early).all():
        what = "the training loss was NaN in the next epochs"
    elif len(since) >= 10 and (since > first).all() and float(early.max()) >= 1.3 * first:
        what = f"the training loss jumped from {first:.3f} to {float(early.max()):.3f} and stayed above"
    else:
        return
    yield Symptom(
        "trace.warmup_short",
        "warning",
        f"the learning rate was at its peak of {schedule.peak:.3g} from the first epoch on, and {what}",
        {
            "warmup_epochs": trace.args.get("warmup_epochs"),
            "rate_first_epoch": float(schedule.rate[0]),
            "peak": schedule.peak,
            "train_loss": [float(value) for value in loss[:_EARLY] if np.isfinite(value)],
        },
        (
            "the warm-up is too short for this rate: three epochs with warmup_epochs=3 show it",
            "the rate itself is too high: the same three epochs at a tenth of it show it",
        ),
        {"warmup_epochs": 3},
        sparkline(loss),
    )


def lr_ignored(trace: Trace) -> Iterator[Symptom]:
    """Report a learning rate or momentum of the recipe that was not used."""
    asked = requested_lr0(trace)
    if asked is None:
        return
    auto = is_auto_optimizer(trace)
    schedule, logged = read_schedule(trace), logged_optimizer(trace)
    used = logged.lr if logged else None if schedule is None else schedule.lr0
    ratio = None if used is None else used / asked
    chosen = {name: trace.args.get(name) for name, usual in _DEFAULT.items() if trace.args.get(name, usual) != usual}
    if auto and not chosen:
        return  # both are at their defaults
    if auto and "lr0" in chosen:
        if ratio is not None and 0.9 < ratio < 1.1:
            return  # ignored, and by chance the same
        what = f"lr0={asked:g} was requested"
    elif auto:
        what = f"momentum={chosen['momentum']:g} was requested"
    elif ratio is not None and not _SAME[0] < ratio < _SAME[1]:
        what = f"lr0={asked:g} was requested"
    else:
        return
    ran = (
        f"the learning-rate columns start from {used:.4g}" if used is not None else "the columns do not show which ran"
    )
    if logged:
        ran = f"{logged.name} with lr {logged.lr:g} and momentum {logged.momentum:g} ran, by the log"
    why = "optimizer=auto ignores lr0 and momentum" if auto else "a resumed run keeps its first arguments"
    yield Symptom(
        "trace.lr_ignored",
        "warning",
        f"{what}, but {why}: {ran}",
        {"asked": chosen or {"lr0": asked}, "optimizer": trace.args.get("optimizer"), "lr0_used": used},
        (f"{why}; the log's line `optimizer:` names what ran",),
        {"optimizer": optimizer_used(trace, used)} if auto else {},
        "" if trace.learning_rate is None else sparkline(trace.learning_rate),
    )


def lr_exhausted(trace: Trace) -> Iterator[Symptom]:
    """Report a learning rate that decayed to nearly nothing long before the end.

    A linear or cosine schedule ends at 1% of its peak by design, so the last epochs alone are no finding; a metric that
    still rises there is `stopped_rising`.
    """
    schedule, n = read_schedule(trace), len(trace)
    if schedule is None or n < 10:
        return
    spent = np.flatnonzero((schedule.rate <= 0.02 * schedule.peak) & (np.arange(n) > schedule.peak_row))
    if len(spent) < max(10, 0.15 * n) or schedule.rate[-1] > 0.02 * schedule.peak:
        return
    since = int(trace.epochs[spent[0]])
    yield Symptom(
        "trace.lr_exhausted",
        "warning",
        f"the learning rate is exhausted: from epoch {since} on, {len(spent)} of {n} epochs ran under 2% of the peak",
        {"epoch": since, "rate": float(schedule.rate[-1]), "peak": schedule.peak, "idle_epochs": len(spent)},
        (
            "the schedule was too short for this data: resuming adds nothing, start a new run with more epochs",
            "lrf is very small: its last epochs change nothing",
        ),
        {"lrf": 0.05},
        sparkline(schedule.rate),
    )
