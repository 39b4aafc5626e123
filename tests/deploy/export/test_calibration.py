from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from liftgate.data.core.dataset import Dataset
from liftgate.deploy.export.calibration import draw_calibration, read_calibration
from liftgate.errors import DataError, UsageError
from liftgate.testing.data import dataset, picture


def with_files(folder: Path, split: str = "train", n_images: int = 48) -> Dataset:
    data = dataset(n_images, n_groups=8)
    images = [
        replace(one, split=split, path=picture(folder / f"{i}.png", (8, 8), i)) for i, one in enumerate(data.images)
    ]
    return data.with_images(images)


def test_every_group_gives_its_share(tmp_path: Path) -> None:
    drawn = draw_calibration(with_files(tmp_path), n_images=36)
    counts = Counter(one.group for one in drawn.images)
    assert sorted(counts.values()) == [4, 4, 4, 4, 5, 5, 5, 5]
    assert (drawn.record.n_images, drawn.record.n_groups) == (36, 8)


def test_the_seed_decides_and_the_hash_says_which(tmp_path: Path) -> None:
    data = with_files(tmp_path)
    one, again, other = (draw_calibration(data, n_images=32, seed=seed) for seed in (0, 0, 1))
    assert one == again
    assert one.record.sha256 != other.record.sha256


@pytest.mark.parametrize("split", ["val", "test"])
def test_val_and_test_are_never_calibrated_on(tmp_path: Path, split: str) -> None:
    with pytest.raises(UsageError, match="no split train to calibrate on"):
        draw_calibration(with_files(tmp_path, split))


def test_a_handful_of_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"too few calibration images.*expected 32 or more, got 8"):
        draw_calibration(with_files(tmp_path), n_images=8)
    with pytest.raises(UsageError, match="too few calibration images"):
        draw_calibration(with_files(tmp_path, n_images=9))


def test_an_edited_list_does_not_fit_its_card(tmp_path: Path) -> None:
    drawn = draw_calibration(with_files(tmp_path / "set"), n_images=32)
    drawn.write(tmp_path)
    assert read_calibration(tmp_path, drawn.record) == drawn.images
    path = tmp_path / "calibration.json"
    path.write_text(path.read_text().replace(drawn.images[0].sha256, "0" * 64))
    with pytest.raises(DataError, match="not the calibration images of the card"):
        read_calibration(tmp_path, drawn.record)
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        read_calibration(tmp_path, drawn.record)
