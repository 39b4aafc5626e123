"""Headers: size as stored, orientation as OpenCV takes it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from liftgate.data.core.image_headers import read_header, read_headers
from liftgate.testing.data import picture


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "bmp"])
def test_size_as_stored_and_orientation(tmp_path: Path, suffix: str) -> None:
    turned = suffix not in ("bmp",)
    header = read_header(picture(tmp_path / f"a.{suffix}", (64, 48), orientation=6 if turned else 1))
    assert (header.width, header.height, header.orientation) == (64, 48, 6 if turned else 1)
    assert header.kind is None


@pytest.mark.train
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_upright_is_what_opencv_loads(tmp_path: Path, suffix: str) -> None:
    cv2 = pytest.importorskip("cv2")
    from liftgate.data.core.dataset import Image

    for orientation in range(1, 9):
        path = picture(tmp_path / f"{orientation}.{suffix}", (64, 48), orientation=orientation)
        header = read_header(path)
        image = Image("a", path, header.width, header.height, orientation=header.orientation)
        assert cv2.imread(str(path)).shape[1::-1] == image.upright


def test_what_is_wrong_is_said_not_raised(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("text")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder.jpg").mkdir()
    picture(tmp_path / "anim.gif", (20, 20))
    picture(tmp_path / "thin.png", (200, 3))
    names = ["gone.jpg", "text.jpg", "empty.jpg", "folder.jpg", "anim.gif", "thin.png"]
    headers = read_headers([tmp_path / name for name in names])
    assert [header.kind for header in headers] == [
        "image_missing",
        "image_unreadable",
        "image_unreadable",
        "image_unreadable",
        "image_format",
        "image_small",
    ]


def test_damaged_exif_turns_nothing(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg", (64, 48), orientation=6)
    data = path.read_bytes()
    at = data.index(b"Exif\0\0")
    path.write_bytes(data[: at + 6] + b"\xff" * 8 + data[at + 14 :])
    assert read_header(path).orientation == 1


def test_a_named_pipe_is_no_image_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert read_header(tmp_path / "pipe.png").problem == "not a regular file"
