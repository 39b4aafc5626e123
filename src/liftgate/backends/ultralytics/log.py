"""Ultralytics' log and errors as events and errors of Liftgate. Nothing here imports ultralytics."""

from __future__ import annotations

import errno
import logging
import re
import shutil
from typing import Any

from liftgate.backends.events import Emit, WarningEvent
from liftgate.backends.training_tree import Tree
from liftgate.errors import LiftgateError, OutOfMemory, TrainingError

_LOG = logging.getLogger("ultralytics")


class LogListener(logging.Handler):
    """Turns the warnings of Ultralytics' log into events while its `with` block is open, each text once."""

    def __init__(self, emit: Emit) -> None:
        super().__init__(logging.WARNING)
        self._emit = emit
        self.messages: list[str] = []
        self.lost_boxes = False
        """Whether non-maximum suppression ran out of time and returned images empty"""

    def __enter__(self) -> LogListener:
        _LOG.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        _LOG.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record of the log."""
        text = re.sub(r"\x1b\[[0-9;]*m|[^\x20-\x7e]", "", record.getMessage())
        text = text.strip().removeprefix("WARNING").strip()  # its own handlers put that into the message
        self.lost_boxes |= "NMS time limit" in text
        if text not in self.messages:
            self.messages.append(text)
            self._emit(WarningEvent(message=text, extra={"from": "ultralytics"}))


def warn_of_dropped_images(trainer: Any, tree: Tree, emit: Emit) -> None:
    """Report the images of the tree that the trainer left out, which it does not do itself."""
    for split, loader in (("train", trainer.train_loader), ("val", trainer.test_loader)):
        kept = set(map(str, loader.dataset.im_files))
        lost = [tree.image_id(path) for path in tree.images(split) if str(path) not in kept]
        if lost and trainer.args.fraction == 1.0:
            message = f"Ultralytics left out {len(lost)} images of {split}: {', '.join(lost[:5])}"
            emit(WarningEvent(message=message, fact="dropped_images", extra={"images": lost}))


def explain_error(error: Exception, *, exporting: bool = False) -> LiftgateError:
    """Return an error from inside the trainer, or its exporter, as one with a hint."""
    text = f"{type(error).__name__}: {error}".splitlines()[0]
    if "out of memory" in str(error).lower():
        return OutOfMemory("the device ran out of memory", got=text, hint="a smaller `batch` or `imgsz`")
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    # The words of torch, and of OpenVINO, for a short write.
    if full or any(word in text for word in ("inline_container", "PytorchStreamWriter", "iostream error")):
        got = f"{shutil.disk_usage('.').free / 1e6:,.1f} MB free"
        if exporting:
            hint = "make room, or set TMPDIR to a larger disk: exports are written there first"
            return TrainingError("the export could not be written: the disk is full", got=got, hint=hint)
        hint = "make room: the same command goes on from the last epoch that was reported"
        return TrainingError("the state of an epoch could not be written: the disk is full", got=got, hint=hint)
    if isinstance(error, FileNotFoundError):
        return TrainingError(text, hint="was the data set moved or deleted while it ran?")
    return TrainingError(text)
