"""Shows a run as it goes: one line per step, one live bar per training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from liftgate.cli.output import Screen
from liftgate.progress import duration

if TYPE_CHECKING:
    from liftgate.pipeline.notice import Notice


class NoticePrinter:
    """Prints the notices of a run on a Screen."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def __call__(self, notice: Notice) -> None:
        body = notice.body
        if notice.kind in ("cached", "skipped"):
            self._screen.say(f"  {notice.kind:<8} {notice.step}: {body['why']}")
        elif notice.kind == "started":
            self._screen.say(f"  running  {notice.step} ({body['why']})")
            if body["kind"] in ("train", "predict"):  # the others say themselves how far they are
                self._screen.begin(notice.step)
        elif notice.kind == "done":
            self._screen.end(notice.step)
            if body["seconds"] >= 1:
                self._screen.say(f"  done     {notice.step} in {duration(body['seconds'])}")
        elif notice.kind == "verdict":
            self._screen.say(f"  verdict  {notice.step}: {body['sentence']}")
        elif notice.kind == "event" and body["kind"] == "epoch":
            self._screen(notice.step, body["epoch"], body["epochs"], _detail(body))
        elif notice.kind == "event" and "decision" in body:
            self._screen.say(f"  decided  {notice.step}: {body['message']}")
        elif notice.kind == "event" and body["kind"] == "warning":
            self._screen.say(f"  warning  {body['message']}")
        elif notice.kind == "event" and body["kind"] == "note":
            self._screen.say(f"  note     {body['message']}")


def _detail(body: Mapping[str, Any]) -> str:
    """Training losses and validation mAP of an epoch, and the time left by that epoch's own."""
    losses = {
        name.removeprefix("train/").removesuffix("_loss"): value
        for name, value in body.get("losses", {}).items()
        if not name.startswith("val/")
    }
    scores = {name: value for name, value in body.get("metrics", {}).items() if name.startswith("mAP")}
    shown = [
        " ".join(f"{name} {value:.3f}" for name, value in numbers.items() if value is not None)
        for numbers in (losses, scores)
    ]
    left = body.get("seconds", 0) * (body["epochs"] - body["epoch"])
    return "  ".join([part for part in shown if part] + ([f"{duration(left)} left"] if left else []))
