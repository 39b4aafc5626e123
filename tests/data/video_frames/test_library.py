"""Without PyAV there is one clear error, and images need none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from liftgate.data.video_frames import extract, find_sources
from liftgate.errors import UsageError


def test_a_missing_pyav_is_said_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "a.mp4").touch()
    with pytest.raises(UsageError, match="PyAV") as caught:
        extract(find_sources([tmp_path]), tmp_path / "out")
    assert caught.value.hint == "pip install '.[frames]' in the clone of Liftgate"
    assert not (tmp_path / "out").exists()


def test_images_need_no_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "in").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "in" / "a.png")
    assert len(extract(find_sources([tmp_path / "in"]), tmp_path / "out").frames) == 1
