"""Preflight: machine, versions and git state before a run, for preflight.json."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from liftgate._version import __version__

_PACKAGES = ("numpy", "scipy", "torch", "torchvision", "ultralytics", "onnxruntime", "pillow")
_TIMEOUT = 10.0  # seconds for git and nvidia-smi, so that a hanging driver does not block the run


def preflight(folder: Path, **known: Any) -> dict[str, Any]:
    """Return the facts for preflight.json as plain JSON values, None where unknown.

    No package is imported to get its version: torch alone would take seconds.

    Args:
        folder: the study's folder; its disk and its git state are recorded.
        known: further facts from the caller: dataset fingerprint, hash of the split, recipe, findings.
    """
    return {
        **known,
        "liftgate": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "cpus": os.cpu_count(),
        "memory_gb": _memory_gb(),
        "gpus": _gpus(),
        "disk_free_gb": _disk_free_gb(folder),
        "git": _git(folder),
        "executable": sys.executable,
    }


def _version(package: str) -> str | None:
    return _version_in(package, tuple(path.stat().st_mtime_ns for path in map(Path, sys.path) if path.is_dir()))


@lru_cache(maxsize=64)
def _version_in(package: str, written: tuple[int, ...]) -> str | None:
    """Return the version of a package; read again once something was installed in the folders of `sys.path`."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError):
        return None


def _disk_free_gb(folder: Path) -> float | None:
    try:
        return round(shutil.disk_usage(folder).free / 1e9, 1)
    except OSError:
        return None


def _gpus() -> list[dict[str, str]]:
    fields = ("name", "memory.total", "driver_version")
    text = _output("nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader")
    rows = [line.split(", ") for line in (text or "").splitlines()]
    return [dict(zip(fields, row, strict=True)) for row in rows if len(row) == len(fields)]


def _git(folder: Path) -> Mapping[str, Any] | None:
    """Return commit and uncommitted files of the study's folder; None: it is in no repository, or there is no git."""
    commit = _output("git", "-C", str(folder), "rev-parse", "HEAD")
    status = _output("git", "-C", str(folder), "status", "--porcelain", "--", ".")
    if commit is None or status is None:
        return None
    return {"commit": commit.strip(), "uncommitted": sorted(line[3:] for line in status.splitlines())[:20]}


def _output(*command: str) -> str | None:
    """Return what a command prints, or None where it is missing, fails or hangs."""
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
