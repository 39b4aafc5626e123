"""Show the progress of a run: one line per step, one live bar per training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liftgate.cli.output import Screen
from liftgate.ledger.results import EpochRow
from liftgate.progress import duration

if TYPE_CHECKING:
    from liftgate.pipeline.notice import Notice


class NoticePrinter:
    """Prints the notices of a run on a Screen."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def __call__(self, notice: Notice) -> None:
        """Print one notice."""
        body, kind = notice.body, notice.body.get("kind")
        if notice.kind in ("cached", "skipped"):
            self._screen.say(f"  {notice.kind:<8} {notice.step}: {body['why']}")
        elif notice.kind == "started":
            self._screen.say(f"  running  {notice.step} ({body['why']})")
            if kind in ("train", "predict"):  # the others report their progress themselves
                self._screen.begin(notice.step)
        elif notice.kind == "done":
            self._screen.end(notice.step)
            if body["seconds"] >= 1:
                self._screen.say(f"  done     {notice.step} in {duration(body['seconds'])}")
        elif notice.kind == "verdict":
            self._screen.say(f"  verdict  {notice.step}: {body['sentence']}")
        elif notice.kind == "event" and kind == "epoch":
            row = EpochRow(body)
            self._screen(notice.step, row.epoch, row.epochs or row.epoch, _epoch_detail(row))
        elif notice.kind == "event" and "decision" in body:
            self._screen.say(f"  decided  {notice.step}: {body['message']}")
        elif notice.kind == "event" and kind in ("warning", "note"):
            self._screen.say(f"  {kind:<8} {body['message']}")


def _epoch_detail(row: EpochRow) -> str:
    """Return training losses and validation mAP of an epoch, and the time left by that epoch's duration."""
    losses = {
        name.removeprefix("train/").removesuffix("_loss"): value
        for name, value in row.losses.items()
        if not name.startswith("val/")
    }
    scores = {name: value for name, value in row.metrics.items() if name.startswith("mAP")}
    shown = [
        " ".join(f"{name} {value:.3f}" for name, value in numbers.items() if value is not None)
        for numbers in (losses, scores)
    ]
    left = row.seconds * ((row.epochs or row.epoch) - row.epoch)
    return "  ".join([part for part in shown if part] + ([f"{duration(left)} left"] if left else []))
