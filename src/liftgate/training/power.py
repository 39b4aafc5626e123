"""Measure the power draw of a run's GPUs with nvidia-smi, where it is installed."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from liftgate.backends.events import Emit, EpochReport

_INTERVAL = 5.0  # seconds between two readings; nvidia-smi itself averages over about one second
_TIMEOUT = 10.0  # seconds: a driver that hangs must not block the run


def power_draw(device: str | None) -> float | None:
    """Return the total power draw of a job's GPUs in watts; None where there are none, or it is unknown.

    >>> power_draw("cpu") is None
    True
    """
    numbers = _gpu_numbers(device)
    if not numbers:
        return None
    command = ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits", "-i", numbers]
    try:
        printed = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=True).stdout
        return sum(float(line) for line in printed.split()) or None
    except (OSError, ValueError, subprocess.SubprocessError):
        return None  # no nvidia-smi, no GPU, or one that prints [N/A]


def _gpu_numbers(device: str | None) -> str:
    """Return the GPU numbers of nvidia-smi, which CUDA_VISIBLE_DEVICES does not renumber; "" for other devices."""
    numbers = (device or "0").replace("cuda:", "").split(",")
    if not all(number.isdecimal() for number in numbers):
        return ""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return ",".join(numbers)
    seen = [name.strip() for name in visible.split(",") if name.strip()]
    return ",".join(seen[int(number)] for number in numbers) if all(int(one) < len(seen) for one in numbers) else ""


class PowerMeter:
    """Context manager that measures power while it is open, and adds the energy of each epoch to its report."""

    def __init__(self, device: str | None, read: Callable[[str | None], float | None] = power_draw) -> None:
        self._device, self._read = device, read
        self._ended, self._lock = threading.Event(), threading.Lock()
        self._joules, self._seconds, self._last = 0.0, 0.0, time.monotonic()
        self._watts: float | None = None

    def __enter__(self) -> PowerMeter:
        threading.Thread(target=self._measure, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def wrap(self, emit: Emit) -> Emit:
        """Return an `emit` that adds `power_w` (mean) and `energy_wh` to epoch reports, where they are known."""
        return lambda event: emit(self._add_power(event) if isinstance(event, EpochReport) else event)

    def _measure(self) -> None:
        while (watts := self._read(self._device)) is not None:
            with self._lock:
                self._count()
                self._watts = watts
            if self._ended.wait(_INTERVAL):
                return

    def _count(self) -> None:
        """Add the energy since the last count, at the power of the last reading."""
        now = time.monotonic()
        if self._watts is not None:
            self._joules += self._watts * (now - self._last)
            self._seconds += now - self._last
        self._last = now

    def _add_power(self, report: EpochReport) -> EpochReport:
        with self._lock:
            self._count()
            joules, seconds = self._joules, self._seconds
            self._joules = self._seconds = 0.0
        if not seconds:
            return report
        return replace(report, power_w=round(joules / seconds, 1), energy_wh=round(joules / 3600, 4))
