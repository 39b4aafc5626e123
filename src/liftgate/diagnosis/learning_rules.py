"""Rules about learning: NaN losses, divergence, forgetting, overfitting, oscillation, and heads that never learn."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from liftgate.diagnosis.schedule import extreme_learning_rate, lower_learning_rate, planned_epochs, read_schedule
from liftgate.diagnosis.signals import Floats, nan_median, noise, smooth, sparkline, theil_sen
from liftgate.diagnosis.symptom import Symptom
from liftgate.diagnosis.trace import Trace, filled, head_curves, without_gaps

_BATCHES = re.compile(r"^ *\d+/\d+ .*100%\D+(\d+)/\1 ", re.MULTILINE)  # the progress bar of a finished epoch
_MIN_COUNT = 300  # batches, after which every recorded sound run had detected something
_HEADS = {"B": "boxes", "P": "keypoints", "M": "masks"}


def non_finite_loss(trace: Trace) -> Iterator[Symptom]:
    """Report NaN or infinity in a training loss, or in a validation figure up to the end of the run."""
    last = int(trace.epochs[-1])
    for name, epochs in trace.non_finite.items():
        lasting = epochs[-1] == last and len(epochs) >= min(3, len(trace))
        in_training = name.startswith("train/")
        if in_training or (lasting and name.startswith(("val/", "metrics/"))):
            yield Symptom(
                "trace.nan",
                "error" if in_training or len(epochs) >= 3 else "info",  # in validation it may be passing
                f"{name} is NaN or infinite in {len(epochs)} of {len(trace)} epochs, first in epoch {epochs[0]}",
                {"column": name, "epochs": list(epochs)},
                (
                    "the learning rate is too high for this batch: look at the losses of the epochs before",
                    "half precision overflows: one epoch with amp=False shows it",
                    "a label outside its image: `liftgate check` finds it in seconds",
                ),
                {"amp": False},
            )
            return
    if "recovering from last.pt" in trace.log:
        yield Symptom(
            "trace.nan",
            "warning",
            "by the log a loss became NaN and the last checkpoint was reloaded: the epoch was trained twice",
            {"log": "recovering from last.pt"},
            ("the learning rate is too high, or half precision overflows: one epoch with amp=False shows it",),
            {"amp": False},
        )


def never_learned(trace: Trace) -> Iterator[Symptom]:
    """Report a head that detects nothing long after warm-up, or whose training loss is exactly 0."""
    for head, objects in _HEADS.items():
        curve = without_gaps(trace.column(f"metrics/mAP50({head})"))
        if curve is None:
            continue
        best = float(curve.max())
        others = [trace.column(f"metrics/mAP50({other})") for other in _HEADS if other != head]
        beside = max((float(np.nanmax(values, initial=0.0)) for values in others if values is not None), default=0.0)
        untrained = _untrained_loss(trace, head) if best < 0.1 else None
        dead_beside_others = not curve.any() and beside > 0.5 and len(trace) >= 20
        early = _batches(trace) * len(trace) < _MIN_COUNT or _warmed_up_throughout(trace)
        planned = planned_epochs(trace)
        over = planned is not None and int(trace.epochs[-1]) >= 0.9 * planned and len(trace) >= 10
        if untrained is None and not dead_beside_others:
            over_long = over and len(trace) >= 20
            found_nothing = best < (0.03 if over_long else 0.02) and (over or (_had_its_chance(trace) and not early))
            lost_all = best < 0.05 and over_long and nan_median(curve[-5:]) < 0.005
            if not found_nothing and not lost_all:
                continue
        high = extreme_learning_rate(trace)
        causes = list(_causes_of_nothing(trace, head, untrained))
        if early and untrained is None and head == "B":
            causes.insert(0, _FEW_STEPS)
        if high is not None:
            causes.insert(0, f"the learning rate of {high:.3g} is far above the usual: three epochs at a tenth show it")
        too_few = causes[0] == _FEW_STEPS
        why = f", and {untrained} is exactly 0: no {objects} ever reached the loss" if untrained else ""
        yield Symptom(
            "trace.never_learned",
            "error",
            f"the model never learned to find {objects}: best mAP50 {best:.4f} in {len(trace)} epochs{why}",
            {"head": head, "best_mAP50": best, "epochs": len(trace), "other_heads_mAP50": beside},
            tuple(causes),
            lower_learning_rate(trace) if high is not None else {"epochs": 10 * len(trace)} if too_few else {},
            sparkline(curve),
        )
        if head == "B":
            return  # keypoints and masks are found in boxes


_FEW_STEPS = (
    "too few optimizer steps: the warm-up takes at least 100 iterations, and gradients accumulate over nbs=64 images; "
    "more epochs, or nbs down to the batch size, show it"
)


def _untrained_loss(trace: Trace, head: str) -> str | None:
    """Return the name of a head's loss that is exactly 0 in every epoch, so that no object contributed to it, or None.

    A class loss is never 0, because the background contributes to it. `kobj_loss` is 0 in every sound run whose
    keypoints have no visibility.
    """
    for name in {"B": ("box_loss", "dfl_loss", "box_om"), "P": ("pose_loss",), "M": ("seg_loss",)}[head]:
        loss = trace.column(f"train/{name}")
        if loss is not None and len(loss) >= 3 and not loss.any():
            if head == "B" and any((other := trace.column(f"train/{one}")) is not None and other.any() for one in _BOX):
                continue
            return f"train/{name}"
    return None


_BOX = ("box_loss", "giou_loss", "iou_loss")
"""Box losses; a head without distribution focal loss writes 0 for dfl_loss"""


def _causes_of_nothing(trace: Trace, head: str, untrained: str | None) -> Iterator[str]:
    if head == "P":
        yield "the keypoints are all unlabelled (visibility 0) or kpt_shape is wrong: see `liftgate check`"
        return
    if untrained is not None:
        yield (
            "the trainer found no label: label files are missing, empty or not where it looks for them, or images and "
            "labels do not pair up: see `liftgate check`"
        )
    yield (
        "boxes do not lie on the objects (transposed, shifted, another scale): run the geometry probe of "
        "`liftgate check` before touching the learning rate"
    )
    yield "class numbers do not fit the names, or labels lie where the trainer does not look"
    yield "start weights were not loaded"


def _batches(trace: Trace) -> float:
    """Return the number of batches of an epoch, as the log shows; infinity where there is no log."""
    batches = _BATCHES.search(trace.log)
    return math.inf if batches is None else int(batches[1])


def _warmed_up_throughout(trace: Trace) -> bool:
    """Return whether the warm-up, which takes 100 iterations or more, took up a quarter of the run or all of it."""
    schedule = read_schedule(trace)
    if schedule is None or schedule.constant:
        return False
    return schedule.peak_row + 1 >= max(4, len(trace) / 4)


def _had_its_chance(trace: Trace) -> bool:
    """Return whether a run has trained long enough after its warm-up to be judged.

    Warm-up takes at least 100 iterations, which is 100 epochs for one batch of images. Such a data set detected nothing
    for 46 epochs and ended at .97, so a run whose rates do not show the end of the warm-up is judged later.
    """
    schedule = read_schedule(trace)
    if schedule is None:
        return len(trace) >= 60
    if schedule.lr0 is None and not schedule.constant:
        return len(trace) >= 150
    after = len(trace) - schedule.peak_row - 1
    return after >= 30 or (after >= 12 and schedule.left <= 0.15)


def forgetting(trace: Trace) -> Iterator[Symptom]:
    """Report a stage whose metric fell below that of its start weights, for good or for at least a dozen epochs."""
    trace = filled(trace)
    for name, curve, _ in head_curves(trace):
        start = float(curve[0])
        if len(curve) < 12 or start < 0.05:
            continue
        level = smooth(curve, 3)
        lost = max(0.1 * start, 3 * noise(curve), 0.02)
        again = np.flatnonzero(level[1:] >= start - 0.1 * lost) + 1
        back = int(again[0]) if len(again) else None
        below = level[1:back]
        if len(below) < 12 or start - float(np.nanmin(below)) < lost:
            continue
        if start - nan_median(below) < 0.3 * lost:
            continue  # the level stayed about the same, with one dip
        if back and nan_median(curve[-3:]) >= 1.5 * start and len(below) < max(20, len(curve) / 3):
            continue  # a start that was soon overtaken: little was known, and little was lost
        low = int(np.nanargmin(curve[1 : back if back else len(curve)])) + 1
        recovered = f"was back only at epoch {trace.epochs[back]}" if back else "never came back"
        yield Symptom(
            "trace.forgetting",
            "warning",
            f"{name} fell from {start:.4f} in epoch {trace.epochs[0]} to {curve[low]:.4f} in epoch {trace.epochs[low]} "
            f"and {recovered}: the stage forgot what its start weights could do",
            {
                "metric": name,
                "start": start,
                "lowest": float(curve[low]),
                "lowest_epoch": int(trace.epochs[low]),
                "recovered_epoch": None if back is None else int(trace.epochs[back]),
            },
            (
                "the learning rate is too high for fine-tuning: the rate that really ran is in the lr columns",
                "the new data looks different or its labels contradict the old: compare a few images side by side",
            ),
            lower_learning_rate(trace),
            sparkline(curve),
        )


def diverged(trace: Trace) -> Iterator[Symptom]:
    """Report a training loss that rose and stayed high while a metric fell with it.

    Before anything is detected the loss may rise tenfold in a sound run: boxes without a match add no loss.
    """
    n = len(trace)
    for name, curve, head in head_curves(trace) if n >= 10 else ():
        loss, able = without_gaps(trace.summed("train/", head)), np.flatnonzero(curve >= 0.05)
        if loss is None or not len(able):
            continue
        level = smooth(loss)
        best = int(able[0] + np.argmin(level[able[0] :]))
        end = nan_median(loss[-max(3, n // 10) :])
        if n - best < 5 or end < 1.5 * level[best]:
            continue
        top = float(smooth(curve)[: best + 1].max())
        now = nan_median(curve[-max(3, n // 10) :])
        if now > 0.6 * top:
            continue  # the loss changed its scale (other augmentation), the model is unharmed
        yield Symptom(
            "trace.diverged",
            "error",
            f"the training loss rose from {level[best]:.3f} (epoch {trace.epochs[best]}) to {end:.3f} and "
            f"{name} fell from {top:.4f} to {now:.4f}",
            {"lowest_loss": float(level[best]), "epoch": int(trace.epochs[best]), "last_loss": end, "metric": now},
            ("the learning rate is too high", "half precision overflows: a few epochs with amp=False show it"),
            lower_learning_rate(trace),
            sparkline(loss),
        )


def overfit(trace: Trace) -> Iterator[Symptom]:
    """Report a metric that fell from its best while the training loss kept falling and the validation loss rose.

    A rising validation loss alone is no symptom: it may rise by half at an mAP of .99.
    """
    n = len(trace)
    if n < 20 or next(forgetting(trace), None) is not None:
        return
    tail = max(5, n // 10)
    for name, curve, head in head_curves(trace):
        train, val = without_gaps(trace.summed("train/", head)), trace.summed("val/", head)
        if train is None or val is None:
            continue
        level = smooth(curve)
        best = int(np.nanargmax(level))
        drop = float(level[best]) - nan_median(curve[-tail:])
        # A median of five around the best and one at the end: their difference has about the noise of one epoch.
        if n - best < max(8, 0.2 * n) or drop < max(0.02, 0.05 * level[best], 2.5 * noise(curve)):
            continue
        val_ratio = _val_ratio(trace, head, val, best, tail)
        train_ratio = _ratio(nan_median(train[-tail:]), nan_median(train[max(0, best - 2) : best + 3]))
        if val_ratio < 1.1 or train_ratio > 0.95:
            continue
        yield Symptom(
            "trace.overfit",
            "warning",
            f"{name} fell from {level[best]:.4f} (epoch {trace.epochs[best]}) by {drop:.4f} while the validation loss "
            f"rose by {val_ratio - 1:.0%} and the training loss fell by {1 - train_ratio:.0%}",
            {
                "metric": name,
                "best_epoch": int(trace.epochs[best]),
                "drop": drop,
                "val": val_ratio,
                "train": train_ratio,
            },
            (
                "too few different images for this many epochs: best.pt is not hurt, more data would help",
                "val comes from elsewhere than train: compare their statistics with `liftgate data stats`",
            ),
            {"patience": max(10, n // 10)},
            sparkline(curve),
        )


def _val_ratio(trace: Trace, head: str | None, total: Floats, best: int, tail: int) -> float:
    """Return the validation loss at the end over that at the best epoch: the sum, or a part that rose by a fifth."""

    def ratio(values: Floats) -> float:
        return _ratio(nan_median(values[-tail:]), nan_median(values[max(0, best - 2) : best + 3]), of_nothing=0.0)

    parts = [ratio(values) for values in trace.losses("val/", head)]
    return max([ratio(total), *(one for one in parts if one >= 1.2)])


def _ratio(value: float, base: float, *, of_nothing: float = 1.0) -> float:
    """Return value ÷ base, and `of_nothing` of a base that is 0, as losses are that a trainer rounds."""
    return value / base if base > 0 else of_nothing


def oscillation(trace: Trace) -> Iterator[Symptom]:
    """Report a metric and validation loss that oscillate together at a high learning rate."""
    n = len(trace)
    if n < 20:
        return
    schedule = read_schedule(trace)
    rows = np.arange(n) >= max(5, n // 4)
    if schedule is not None:
        rows &= schedule.rate >= 0.2 * schedule.peak
    if rows.sum() < 12:
        return
    for name, curve, head in head_curves(trace):
        val = without_gaps(trace.summed("val/", head))
        if val is None:
            continue
        part, loss = curve[rows], val[rows]
        swing, least = noise(part), max(0.05, 0.12 * nan_median(part))
        shaken = _ratio(noise(loss), nan_median(loss), of_nothing=0.0)
        if swing < least or shaken < max(0.05, 0.1 * least / swing):
            continue  # the wider the metric swings, the less the loss has to
        together = float(np.corrcoef(np.diff(part), np.diff(loss))[0, 1])
        if together > -0.5:
            continue
        yield Symptom(
            "trace.oscillation",
            "warning",
            f"{name} swings by ±{swing:.3f} from epoch to epoch around {nan_median(part):.3f}, "
            "the validation loss with it",
            {"metric": name, "swing": swing, "level": nan_median(part), "correlation_with_val_loss": together},
            ("the learning rate is too high for this batch size", "a batch of few images: its statistics are noise"),
            lower_learning_rate(trace),
            sparkline(part),
        )


def plateau(trace: Trace) -> Iterator[Symptom]:
    """Report a metric and training loss that did not change for most of a long run at a high learning rate.

    Where the metric is low, the training loss may fall: the model then learns what val does not contain. (With a high
    metric every sound run ends like that.)
    """
    n = len(trace)
    schedule = read_schedule(trace)
    rows = np.arange(n) >= n // 2
    if schedule is not None:
        rows = (np.arange(n) >= n // 3) & (schedule.rate >= 0.1 * schedule.peak)
    if rows.sum() < 25:
        return
    for name, curve, head in head_curves(trace):
        loss = without_gaps(trace.summed("train/", head))
        if loss is None:
            continue
        part, losses = curve[rows], loss[rows]
        third, level, swing = len(part) // 3, nan_median(part), noise(part)
        gain = nan_median(part[-third:]) - nan_median(part[:third])
        if not 0.02 <= level <= 0.8 or swing > 0.12 * level:
            continue  # nothing learned, saturated, or swings
        if theil_sen(part).low > 0 or abs(gain) > max(0.005, swing):
            continue
        fallen = 1 - _ratio(nan_median(losses[-third:]), nan_median(losses[:third]))
        if fallen > 0.03 and not _is_low(trace, head, rows):
            continue
        epochs = trace.epochs[rows]
        beside = f"while the training loss fell by {fallen:.0%}" if fallen > 0.03 else "and the training loss with it"
        causes: tuple[str, ...] = (
            "the labels set the limit: look at where boxes fall on pixels, and at 50 labels by hand",
            "the model or imgsz is too small for these objects: one run with a larger imgsz shows it",
        )
        if fallen > 0.03:
            causes = ("val shows other things than train: compare both with `liftgate data stats`", *causes)
        yield Symptom(
            "trace.plateau",
            "info",
            f"{name} stayed at {level:.3f} from epoch {epochs[0]} to {epochs[-1]}, {beside}",
            {
                "metric": name,
                "level": level,
                "gain": gain,
                "loss_fallen": fallen,
                "epochs": [int(epochs[0]), int(epochs[-1])],
            },
            causes,
            {},
            sparkline(curve),
        )


def _is_low(trace: Trace, head: str | None, rows: NDArray[np.bool_]) -> bool:
    """Return whether the median mAP50 over at least 40 epochs is below .25."""
    curve = trace.column(f"metrics/mAP50({head})")
    return curve is not None and int(rows.sum()) >= 40 and nan_median(curve[rows]) < 0.25
