"""Copies: the same pixels are told from nearly the same, in whatever format and at whatever size they are decoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from checks.small_set import texture
from liftgate.checks import Subject
from liftgate.data.reading import read


@pytest.mark.parametrize("size", [(96, 96), (640, 480), (331, 977), (1300, 802), (3001, 420)])
def test_equal_pixels_are_exact_copies_in_any_format(tmp_path: Path, size: tuple[int, int]) -> None:
    """A large JPEG is decoded at a fraction of its size, a PNG cannot be: both must still meet."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(size[0])
    picture = Image.fromarray(texture(rng)).resize(size)
    noisy = np.asarray(picture, dtype=np.float64) + rng.normal(0, 20, (size[1], size[0], 3))
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / "a.jpg", quality=90)
    with Image.open(folder / "a.jpg") as opened:
        opened.save(folder / "b.png", compress_level=1)
        opened.save(folder / "c.bmp")
        opened.point(lambda value: min(value + 1, 255)).save(folder / "d.png", compress_level=1)
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnames: [thing]\n")
    pairs = Subject({"one": read(tmp_path / "data.yaml")}).copies
    names = {(pair.first.image.path.stem + pair.second.image.path.stem): pair.exact for pair in pairs}
    assert names == {"ab": True, "ac": True, "bc": True, "ad": False, "bd": False, "cd": False}
