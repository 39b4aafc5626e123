"""Inspect this machine: clock and time zone, free disk space, GPU memory and installed packages.

The packages are not imported for it: torch alone would take seconds.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

PACKAGES = (
    *("liftgate", "ultralytics", "ultralytics-thop", "torch", "torchvision", "numpy", "scipy", "numba", "matplotlib"),
    *("opencv-python", "opencv-python-headless", "pillow", "polars", "onnxruntime"),
)
"""Packages that training and checking depend on"""
_NVIDIA_SMI_TIMEOUT = 10.0  # seconds: a driver that hangs must not block the check


class Package(NamedTuple):
    """An installed package."""

    version: str
    requires: tuple[str, ...] = ()
    """Its requirements, as in PEP 508"""


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts of a machine; a fact that could not be determined is None or empty."""

    now: float
    """Unix time in seconds, by the machine's clock"""
    unknown_zone: str | None = None
    """The time zone in TZ where this machine does not know it: it then uses UTC"""
    free_disk: int | None = None
    """Free bytes on the disk that holds the study's folder"""
    gpu_memory: tuple[int, ...] = ()
    """Bytes of memory of each GPU"""
    packages: Mapping[str, Package] = field(default_factory=dict)


def inspect_machine(folder: Path) -> Machine:
    """Return the facts of this machine, its disk as seen from `folder`."""
    return Machine(time.time(), _unknown_zone(os.environ.get("TZ")), _free_disk(folder), _gpu_memory(), _packages())


def _unknown_zone(name: str | None) -> str | None:
    """Return TZ where it has the form `Europe/Berlin` and is not installed; the C library reads all other forms."""
    if name is None or not re.fullmatch(r":?[A-Za-z_]+(/[A-Za-z_+-]+)+", name) or not zoneinfo.available_timezones():
        return None
    return None if name.lstrip(":") in zoneinfo.available_timezones() else name


def _free_disk(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder.absolute()).free
    except OSError:
        return None


def _gpu_memory() -> tuple[int, ...]:
    command = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=_NVIDIA_SMI_TIMEOUT, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ()
    lines = done.stdout.split() if done.returncode == 0 else ()
    return tuple(int(line) << 20 for line in lines if line.isdecimal())


def _packages() -> dict[str, Package]:
    found = {}
    for name in PACKAGES:
        try:
            about = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        if about.version:  # a broken install has none
            found[name] = Package(about.version, tuple(about.requires or ()))
    return found
