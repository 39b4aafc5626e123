"""What Ultralytics says in its log, leaves unsaid, or puts in words of its own, as events and errors of ours.

Nothing here imports it: what is looked at is handed in.
"""

from __future__ import annotations

import errno
import logging
import re
import shutil
from collections.abc import Callable, Mapping
from typing import Any

from liftgate.backends.base import Event
from liftgate.backends.training_tree import Tree
from liftgate.errors import LiftgateError, OutOfMemory, TrainingError, UsageError

_LOG = logging.getLogger("ultralytics")

Emit = Callable[[Event], None]


class LogListener(logging.Handler):
    """Listens to Ultralytics' log for what it only says there."""

    def __init__(self, emit: Emit) -> None:
        super().__init__(logging.WARNING)
        self._emit, self.heard, self.lost_boxes = emit, list[str](), False

    def __enter__(self) -> LogListener:
        _LOG.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        _LOG.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        text = re.sub(r"\x1b\[[0-9;]*m|[^\x20-\x7e]", "", record.getMessage())
        text = text.strip().removeprefix("WARNING").strip()  # its own handlers put that into the message
        self.lost_boxes |= "NMS time limit" in text
        if text not in self.heard:
            self.heard.append(text)
            self._emit(Event("warning", {"message": text, "from": "ultralytics"}))


def warn_of_dropped(trainer: Any, tree: Tree, emit: Emit) -> None:
    """Say which images of the tree the trainer left out, which it does not."""
    for split, loader in (("train", trainer.train_loader), ("val", trainer.test_loader)):
        kept = set(map(str, loader.dataset.im_files))
        lost = [tree.image_id(path) for path in tree.images(split) if str(path) not in kept]
        if lost and trainer.args.fraction == 1.0:
            message = f"Ultralytics left out {len(lost)} images of {split}: {', '.join(lost[:5])}"
            emit(Event("warning", {"message": message, "fact": "dropped_images", "images": lost}))


def explain(error: Exception) -> LiftgateError:
    """Return what a person needs to know of an error from inside the trainer."""
    text = f"{type(error).__name__}: {error}".splitlines()[0]
    if "out of memory" in str(error).lower():
        return OutOfMemory("the device ran out of memory", got=text, hint="a smaller `batch` or `imgsz`")
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or "inline_container" in text or "PytorchStreamWriter" in text:  # torch's own words for a short write
        got = f"{shutil.disk_usage('.').free / 1e6:,.1f} MB free"
        hint = "make room: the same command goes on from the last epoch that was reported"
        return TrainingError("the state of an epoch could not be written: the disk is full", got=got, hint=hint)
    if isinstance(error, FileNotFoundError):
        return TrainingError(text, hint="was the data set moved or deleted while it ran?")
    return TrainingError(text)


def report(trainer: Any, peak_memory_mb: float) -> dict[str, Any]:
    """Return the body of an epoch event."""
    train = trainer.label_loss_items(trainer.tloss)
    losses = train | {name: value for name, value in trainer.metrics.items() if name.startswith("val/")}
    metrics = {plain_name(name): value for name, value in trainer.metrics.items() if name.startswith("metrics/")}
    return {
        "epoch": trainer.epoch + 1,
        "epochs": trainer.epochs,
        "losses": {name: number(value) for name, value in losses.items()},
        "metrics": {name: number(value) for name, value in metrics.items()},
        "fitness": number(trainer.fitness),
        "lr": {name: float(value) for name, value in trainer.lr.items()},
        "seconds": round(trainer.epoch_time, 3),
        "peak_memory_mb": peak_memory_mb,
    }


def chosen_optimizer(metrics: Mapping[str, Any], select: str) -> Any:
    """Return the metric of an epoch that the job names.

    Raises:
        UsageError: the trainer reports no such metric.

    >>> chosen({"metrics/mAP50(B)": 0.5, "val/box_loss": 1.2}, "mAP50")
    0.5
    """
    named = {plain_name(name): value for name, value in metrics.items() if name.startswith("metrics/")}
    if select not in named:
        raise UsageError("no such metric to select by", expected=", ".join(named), got=select)
    return named[select]


def plain_name(name: str) -> str:
    """`metrics/mAP50(B)` → `mAP50`; keypoints, `(P)`, → `pose_mAP50`."""
    word, _, head = name.removeprefix("metrics/").partition("(")
    return f"pose_{word}" if head == "P)" else word


def number(value: Any) -> Any:
    """Return a plain Python number; None and strings as they are."""
    return value.item() if hasattr(value, "item") else value
