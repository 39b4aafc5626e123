from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from liftgate.deploy.runtime.images import read_pixels
from liftgate.errors import DataError
from liftgate.testing.data import picture


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_pixels_are_those_that_opencv_reads(tmp_path: Path, orientation: int, suffix: str) -> None:
    cv2 = pytest.importorskip("cv2")
    path = picture(tmp_path / f"a{suffix}", (37, 23), orientation=orientation)
    assert np.array_equal(read_pixels(path), cv2.imread(str(path))[..., ::-1])


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "LA"])
def test_every_kind_of_picture_has_three_channels_of_eight_bits(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (12, 9)).save(tmp_path / "a.png")
    pixels = read_pixels(tmp_path / "a.png")
    assert pixels.shape == (9, 12, 3)
    assert pixels.dtype == np.uint8


def test_sixteen_bits_of_grey_keep_their_upper_eight(tmp_path: Path) -> None:
    Image.fromarray(np.full((9, 12), 0xAB12, np.uint16)).save(tmp_path / "a.png")
    assert set(np.unique(read_pixels(tmp_path / "a.png"))) == {0xAB}


@pytest.mark.parametrize(("content", "message"), [(None, "no such image"), (b"", "no image"), (b"text", "no image")])
def test_what_is_no_image_is_one_error(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_pixels(path)


def test_half_an_image_is_an_error_not_a_grey_field(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg", (200, 150))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match="cannot be decoded"):
        read_pixels(path)
