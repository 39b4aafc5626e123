"""Near-copies look the same, different scenes do not."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from liftgate.data.core.perceptual_hash import difference_hash, hamming_distances, hash_files


def scene(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)


def test_a_copy_that_was_scaled_brightened_and_compressed_is_a_near_copy(tmp_path: Path) -> None:
    picture = scene(1)
    picture.save(tmp_path / "a.png")
    picture.resize((200, 150)).point(lambda value: value * 0.9 + 10).save(tmp_path / "b.jpg", quality=60)
    scene(2).save(tmp_path / "c.png")
    looks, readable = hash_files([tmp_path / name for name in ("a.png", "b.jpg", "c.png")])
    assert readable.all()
    near, far = hamming_distances(looks[1:], looks[0])
    assert near <= 12 < 60 < far


def test_a_file_that_is_no_picture_is_said_to_be_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff")
    looks, readable = hash_files([tmp_path / "a.jpg", tmp_path / "gone.jpg"])
    assert not readable.any()
    assert not looks.any()


def test_frames_of_a_fixed_camera_differ_when_somebody_walks_through(fixtures: Path) -> None:
    av = pytest.importorskip("av", reason="needs the `frames` extra")
    with av.open(str(fixtures / "videos" / "one-by-one-person-detection.mp4")) as video:
        looks = [difference_hash(frame.to_image()) for frame in itertools.islice(video.decode(video=0), 0, 200, 10)]
    away = [int(hamming_distances(looks[i][None], looks[j])[0]) for i in range(20) for j in range(i)]
    assert max(away) > 24
    assert min(away) <= 12
