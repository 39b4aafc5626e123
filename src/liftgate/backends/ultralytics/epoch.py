"""Report of an epoch, from what Ultralytics' trainer holds at its end. Nothing here imports ultralytics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from liftgate.backends.events import EpochReport
from liftgate.errors import UsageError


def epoch_report(trainer: Any, peak_memory_mb: float) -> EpochReport:
    """Return the report of the epoch that a trainer has just finished."""
    train = trainer.label_loss_items(trainer.tloss)
    losses = train | {name: value for name, value in trainer.metrics.items() if name.startswith("val/")}
    return EpochReport(
        epoch=trainer.epoch + 1,
        epochs=trainer.epochs,
        losses={name: to_number(value) for name, value in losses.items()},
        metrics={name: to_number(value) for name, value in _metrics(trainer.metrics).items()},
        fitness=to_number(trainer.fitness),
        lr={name: float(value) for name, value in trainer.lr.items()},
        seconds=round(trainer.epoch_time, 3),
        peak_memory_mb=peak_memory_mb,
    )


def selected_metric(metrics: Mapping[str, float], select: str) -> float:
    """Return the metric of an epoch that the job selects the best epoch by.

    Raises:
        UsageError: the trainer reports no such metric.

    >>> selected_metric({"metrics/mAP50(B)": 0.5, "val/box_loss": 1.2}, "mAP50")
    0.5
    """
    named = _metrics(metrics)
    if select not in named:
        raise UsageError("no such metric to select by", expected=", ".join(named), got=select)
    return named[select]


def metric_name(name: str) -> str:
    """`metrics/mAP50(B)` → `mAP50`; of keypoints, `(P)`, → `pose_mAP50`."""
    word, _, head = name.removeprefix("metrics/").partition("(")
    return f"pose_{word}" if head == "P)" else word


def to_number(value: Any) -> Any:
    """Return a plain Python number; None and strings as they are."""
    return value.item() if hasattr(value, "item") else value


def _metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    return {metric_name(name): value for name, value in metrics.items() if name.startswith("metrics/")}
