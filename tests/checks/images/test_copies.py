"""Copies: the same pixels are told from nearly the same, in whatever format and at whatever size they are decoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from checks.small_set import texture
from liftgate.checks.images.copies import NEAR_BITS, candidate_pairs
from liftgate.checks.images.near_duplicates import near_pairs
from liftgate.checks.images.scan import THUMB
from liftgate.checks.subject import Subject
from liftgate.data.formats.read import read


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
    assert {type(pair.exact) for pair in pairs} == {bool}, "JSON knows no other"


@pytest.mark.parametrize("flips", [0.0, 0.01, 0.05])
def test_frames_of_a_camera_that_never_moves_make_groups_not_millions_of_pairs(flips: float) -> None:
    rng = np.random.default_rng(0)
    noise = np.packbits(rng.random((20_000, 64)) < flips, axis=1).view(np.uint64).ravel()
    hashes = np.concatenate([noise ^ np.uint64(0x0F0F_3355_AA55_C3C3), rng.integers(0, 2**63, 100, dtype=np.uint64)])
    thumbs = rng.integers(0, 255, (len(hashes), THUMB * THUMB), dtype=np.uint8)
    thumbs[[5, 9_000]] = thumbs[5]  # equal pixels far apart
    hashes[9_000] = hashes[5]
    pairs = candidate_pairs(hashes, thumbs)
    assert len(pairs) < 1_000_000
    assert [5, 9_000] in pairs.tolist()
    _, which, times = np.unique(hashes, return_inverse=True, return_counts=True)
    assert set(np.flatnonzero(times[which] > 1).tolist()) <= set(pairs.ravel().tolist()), "equal hashes are linked"


def test_of_a_usual_set_every_pair_is_a_candidate() -> None:
    rng = np.random.default_rng(1)
    hashes = rng.integers(0, 2**63, 500, dtype=np.uint64)
    hashes[100:120] = hashes[:20] ^ np.uint64(0b1011)
    thumbs = np.zeros((500, THUMB * THUMB), dtype=np.uint8)
    assert candidate_pairs(hashes, thumbs).tolist() == near_pairs(hashes, NEAR_BITS).tolist()


@pytest.mark.parametrize("light", [0.4, 0.6, 1.2])
def test_a_copy_is_found_however_dark_and_other_dark_pictures_are_none(tmp_path: Path, light: float) -> None:
    """Bright and of little contrast, as a slide under a microscope: at 0.4 hardly five grey levels of it are left."""
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(4)
    for number in range(8):
        coarse = Image.fromarray(rng.integers(150, 190, (9, 9), dtype=np.uint8)).resize((240, 240))
        coarse.save(tmp_path / f"images/{number}.png")
        if number < 3:
            coarse.point(lambda value: int(value * light)).save(tmp_path / f"images/{number}-light.png")
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnames: [a]\n")
    pairs = Subject({"a": read(tmp_path / "data.yaml")}).copies
    found = {frozenset((p.first.image.path.stem, p.second.image.path.stem)) for p in pairs}
    assert found == {frozenset((f"{n}", f"{n}-light")) for n in range(3)}
