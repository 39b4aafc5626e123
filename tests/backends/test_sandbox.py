"""The sealed environment: a home of its own, and nothing of the user's that training has no business with."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from liftgate.backends.sandbox import sandbox_environment


def test_secrets_and_trackers_of_the_user_are_not_handed_down(tmp_path: Path) -> None:
    outer = {
        "AWS_SECRET_ACCESS_KEY": "x",
        "WANDB_API_KEY": "y",
        "COMET_API_KEY": "z",
        "PATH": "/bin",
        "CUDA_HOME": "/c",
    }
    inner = sandbox_environment(tmp_path / "home", outer | {"XDG_CACHE_HOME": str(tmp_path)})
    assert inner["PATH"] == "/bin"
    assert inner["CUDA_HOME"] == "/c"
    assert not {"AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY", "COMET_API_KEY"} & inner.keys()


def test_every_place_that_a_library_writes_to_is_inside_the_sealed_home_or_our_cache(tmp_path: Path) -> None:
    inner = sandbox_environment(tmp_path / "home", {"XDG_CACHE_HOME": str(tmp_path / "cache")})
    for name in (
        "HOME",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "TMPDIR",
        "TORCH_HOME",
        "YOLO_CONFIG_DIR",
    ):
        assert Path(inner[name]).is_relative_to(tmp_path / "home")
    assert Path(inner["MPLCONFIGDIR"]).is_relative_to(tmp_path / "cache" / "liftgate")


def test_ultralytics_finds_settings_that_report_nothing(tmp_path: Path) -> None:
    inner = sandbox_environment(tmp_path / "home", {"XDG_CACHE_HOME": str(tmp_path)})
    settings = json.loads((Path(inner["YOLO_CONFIG_DIR"]) / "Ultralytics" / "settings.json").read_text())
    assert not [name for name, value in settings.items() if value is True]
    assert inner["YOLO_OFFLINE"] == "1"
    assert inner["YOLO_AUTOINSTALL"] == "false"


@pytest.mark.train
@pytest.mark.skipif(importlib.util.find_spec("ultralytics") is None, reason="needs the `train` extra")
def test_the_fonts_that_ultralytics_would_ask_a_server_for_are_there(tmp_path: Path) -> None:
    inner = sandbox_environment(tmp_path / "home", {"XDG_CACHE_HOME": str(tmp_path)})
    for name in ("Arial.ttf", "Arial.Unicode.ttf"):
        assert (Path(inner["YOLO_CONFIG_DIR"]) / "Ultralytics" / name).read_bytes()[:4] == b"\x00\x01\x00\x00"


def test_sealing_twice_is_the_same(tmp_path: Path) -> None:
    outer = {"XDG_CACHE_HOME": str(tmp_path)}
    assert sandbox_environment(tmp_path / "home", outer) == sandbox_environment(tmp_path / "home", outer)


def test_a_cache_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    inner = sandbox_environment(tmp_path / "home", {"XDG_CACHE_HOME": str(tmp_path / "file")})
    assert Path(inner["MPLCONFIGDIR"]).is_relative_to(tmp_path / "home")
