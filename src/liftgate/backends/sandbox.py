"""Isolate a backend's child process: a home folder of its own, no experiment trackers, no downloads.

Ultralytics writes settings to the home folder and looks up hosts on import, installs packages at run time, and joins
any experiment tracker that it finds. Each has its own switch, and the switches are read at import: so they are set
before the child starts. An allow-list of environment variables was chosen over removing known ones,
because new trackers and their keys appear, while the variables that a GPU needs stay the same.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path

from liftgate.files import cache_folder, write_json

_KEPT_VARIABLES = frozenset(
    {"PATH", "LANG", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG"}
)
_KEPT_PREFIXES = (
    *("LC_", "LD_", "CUDA", "NVIDIA", "NCCL_", "HIP_", "HSA_", "ROCR_", "ROCM_"),
    *("OMP_", "ATEN_", "MKL_", "OPENBLAS_", "KMP_", "GOMP_", "NUMEXPR_", "NUMBA_", "PYTORCH_", "TORCH_", "LIFTGATE_"),
)
_FIXED_VARIABLES = {
    "YOLO_OFFLINE": "1",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "true",
    "ULTRALYTICS_SAFE_LOAD": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "WANDB_MODE": "disabled",
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "MPLBACKEND": "Agg",
    "PYTHONUNBUFFERED": "1",
    "PYTHONNOUSERSITE": "1",
}
_ULTRALYTICS_SETTINGS = {
    "settings_version": "0.0.8",
    "uuid": "",
    "sync": False,
    "api_key": "",
    "openai_api_key": "",
    **dict.fromkeys(("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb"), False),
    "vscode_msg": False,
    "openvino_msg": False,
}


def sandbox_environment(home: Path, outer: Mapping[str, str]) -> dict[str, str]:
    """Create the isolated home folder and return the complete environment of the child.

    Args:
        home: folder that becomes HOME; created if missing, may be deleted when the child has ended.
        outer: the caller's environment; only variables for GPUs, locale and Python itself are kept.
    """
    config = home / "config" / "Ultralytics"
    for folder in (config, home / "cache", home / "data", home / "tmp", home / "torch"):
        folder.mkdir(parents=True, exist_ok=True)
    places = {name: str(home / name.removesuffix("_dir")) for name in ("datasets_dir", "weights_dir", "runs_dir")}
    write_json(config / "settings.json", _ULTRALYTICS_SETTINGS | places)
    _place_fonts(config)
    plots = _matplotlib_cache(cache_folder(outer) / "matplotlib", home)
    kept = {name: value for name, value in outer.items() if name in _KEPT_VARIABLES or name.startswith(_KEPT_PREFIXES)}
    return (
        kept
        | _FIXED_VARIABLES
        | {
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_STATE_HOME": str(home / "data"),
            "TMPDIR": str(home / "tmp"),
            "MPLCONFIGDIR": str(plots),
            "TORCH_HOME": str(home / "torch"),
            "YOLO_CONFIG_DIR": str(home / "config"),
        }
    )


def _matplotlib_cache(shared: Path, home: Path) -> Path:
    # Shared, because building the font list takes seconds per child; a read-only cache is no error.
    with contextlib.suppress(OSError):
        shared.mkdir(parents=True, exist_ok=True)
        if os.access(shared, os.W_OK):
            return shared
    return home / "cache"


def _place_fonts(config: Path) -> None:
    # Without these two files, loading a data.yaml tries to download them.
    found = importlib.util.find_spec("matplotlib")
    if found is None or not found.submodule_search_locations:
        return
    source = Path(found.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    for name in ("Arial.ttf", "Arial.Unicode.ttf"):
        if source.is_file() and not (config / name).exists():
            (config / name).symlink_to(source)
