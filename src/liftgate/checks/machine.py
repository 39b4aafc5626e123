"""What this machine has that a plan needs: free disk, GPU memory, a clock that is right, packages that fit together.

Nothing is imported for it: torch alone would take seconds.
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
"""Packages that training and checking rest on"""
_PATIENCE = 10.0  # seconds for nvidia-smi: a hanging driver must not hang the check


class Package(NamedTuple):
    """An installed package."""

    version: str
    requires: tuple[str, ...] = ()
    """Its requirements, as in PEP 508"""


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts of a machine; what could not be found out is None or empty."""

    now: float
    """Seconds since 1970, by its clock"""
    zone: str | None = None
    """A time zone in TZ that this machine does not know: it takes UTC instead"""
    free: int | None = None
    """Bytes that may still be written where the study keeps its runs"""
    gpus: tuple[int, ...] = ()
    """Bytes of memory of each GPU"""
    packages: Mapping[str, Package] = field(default_factory=dict)


def inspect_machine(folder: Path) -> Machine:
    """Return the facts of this machine, its disk as seen from `folder`."""
    return Machine(time.time(), _unknown_zone(os.environ.get("TZ")), _free(folder), _gpus(), _packages())


def _unknown_zone(name: str | None) -> str | None:
    """Return a zone named like `Europe/Berlin` that is not there; other ways to write TZ are the C library's affair."""
    if name is None or not re.fullmatch(r":?[A-Za-z_]+(/[A-Za-z_+-]+)+", name) or not zoneinfo.available_timezones():
        return None
    return None if name.lstrip(":") in zoneinfo.available_timezones() else name


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder.absolute()).free
    except OSError:
        return None


def _gpus() -> tuple[int, ...]:
    command = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=_PATIENCE, stdin=subprocess.DEVNULL
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
