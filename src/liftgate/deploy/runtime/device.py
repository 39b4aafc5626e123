"""The GPU of this machine, and the rule that an engine runs only on the device that built it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from liftgate.deploy.export.card import TargetDevice
from liftgate.errors import DataError

_SECONDS = 10


def this_gpu() -> tuple[str, str] | None:
    """Return name and driver of the first GPU, as its driver's own tool says; None: there is none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    command = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader", "--id=0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    name, comma, driver = done.stdout.strip().partition(", ")
    return (name, driver) if done.returncode == 0 and comma else None


def require_device(device: TargetDevice, where: Path) -> None:
    """Refuse a model that was built on another device, or with another driver.

    Raises:
        DataError: this machine is not that device.
    """
    here = this_gpu()
    if here == (device.name, device.driver):
        return
    got = "no GPU" if here is None else f"{here[0]}, driver {here[1]}"
    hint = "build it on this device: `liftgate export --on-target` writes what that takes"
    expected = f"{device.name}, driver {device.driver}"
    raise DataError("the engine was built on another device", where=where, expected=expected, got=got, hint=hint)
