"""Power: what the GPUs of a run draw, where nvidia-smi tells it; quiet everywhere else."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from liftgate.backends.base import Event

_EVERY = 5.0  # seconds between two looks; nvidia-smi averages over about one itself
_PATIENCE = 10.0  # seconds for an answer: a hanging driver must not hang the run


def draw(device: str | None) -> float | None:
    """Return the watts that the GPUs of a job draw together; None: there are none, or nobody tells.

    >>> draw("cpu") is None
    True
    """
    numbers = _numbers(device)
    if not numbers:
        return None
    words = ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits", "-i", numbers]
    try:
        said = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE, check=True).stdout
        return sum(float(line) for line in said.split()) or None
    except (OSError, ValueError, subprocess.SubprocessError):
        return None  # no nvidia-smi, no GPU, or one that says [N/A]


def _numbers(device: str | None) -> str:
    """Return the GPUs as nvidia-smi counts them: CUDA_VISIBLE_DEVICES renumbers what a program sees."""
    words = (device or "0").replace("cuda:", "").split(",")
    if not all(word.isdecimal() for word in words):
        return ""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return ",".join(words)
    seen = [name.strip() for name in visible.split(",") if name.strip()]
    return ",".join(seen[int(word)] for word in words) if all(int(word) < len(seen) for word in words) else ""


class Meter:
    """Measures while it is open; each epoch that passes gets the energy since the one before."""

    def __init__(self, device: str | None, look: Callable[[str | None], float | None] = draw) -> None:
        self._device, self._look = device, look
        self._over, self._turn = threading.Event(), threading.Lock()
        self._joules, self._seconds, self._last = 0.0, 0.0, time.monotonic()
        self._watts: float | None = None

    def __enter__(self) -> Meter:
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def through(self, emit: Callable[[Event], None]) -> Callable[[Event], None]:
        """Return `emit` that adds `power_w` (mean) and `energy_wh` to epochs, where they are known."""
        return lambda event: emit(Event("epoch", {**event.body, **self._taken()}) if event.kind == "epoch" else event)

    def _watch(self) -> None:
        while (watts := self._look(self._device)) is not None:
            with self._turn:
                self._count()
                self._watts = watts
            if self._over.wait(_EVERY):
                return

    def _count(self) -> None:
        """Let the power seen last have lasted until now."""
        now = time.monotonic()
        if self._watts is not None:
            self._joules += self._watts * (now - self._last)
            self._seconds += now - self._last
        self._last = now

    def _taken(self) -> Mapping[str, Any]:
        with self._turn:
            self._count()
            joules, seconds = self._joules, self._seconds
            self._joules = self._seconds = 0.0
        return {"power_w": round(joules / seconds, 1), "energy_wh": round(joules / 3600, 4)} if seconds else {}
