"""The machine that trains: versions, device, memory, for the record of a run."""

from __future__ import annotations

import platform
import resource
import sys

import numpy as np
import torch
import ultralytics


def versions() -> dict[str, str | None]:
    """Return the versions that a training's result depends on."""
    return {
        "backend": "ultralytics",
        "version": ultralytics.__version__,
        "torch": str(torch.__version__),  # a class of its own, which a safe load refuses
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def default_device() -> str:
    """Return the device of a job that names none: the first GPU, else the CPU."""
    return "0" if torch.cuda.is_available() else "cpu"


def device_name(device: torch.device) -> str:
    """Return the name of a GPU, or `cpu`."""
    return str(torch.cuda.get_device_name(device) if device.type == "cuda" else device.type)


def peak_memory_mb(device: torch.device) -> float:
    """Return the peak memory so far: of the GPU where one trains, else of this process."""
    if device.type == "cuda":
        return round(float(torch.cuda.max_memory_allocated(device)) / 2**20, 1)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)
