"""How far apart two data sets are, and how far chance alone puts them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.formats.read import read
from liftgate.data.overview import DatasetDifference, compare_datasets, overview
from liftgate.errors import UsageError
from liftgate.services import statistics
from liftgate.services.dataset_source import DatasetSource
from liftgate.testing.data import yolo_folder


def boxes(
    name: str, rng: np.random.Generator, *, groups: int = 20, frames: int = 8, scale: float = 1.0, spread: float = 0.3
) -> Dataset:
    """Videos whose boxes have a size of their own: frames of one group are alike."""
    images, rows = [], []
    for group in range(groups):
        side = 60 * scale * np.exp(rng.normal(0, spread))
        for frame in range(frames):
            rows.append((len(images), 0, [200, 200, 200 + side, 200 + side]))
            images.append(Image(f"{name}{group}_{frame}.jpg", Path(f"/{name}.jpg"), 640, 640, group=f"{name}{group}"))
    labels = Labels.build([r[0] for r in rows], [0] * len(rows), [r[2] for r in rows])
    return Dataset(name, Path("/"), Path("/"), "yolo", ("cat",), tuple(images), labels)


def apart(a: Dataset, b: Dataset) -> DatasetDifference:
    return compare_datasets(a, b, overview(a), overview(b))


def size_of(side: DatasetDifference):  # type: ignore[no-untyped-def]
    return next(d for d in side.distances if d.name == "box_size")


def test_the_distance_is_kolmogorov_smirnovs_on_the_bins() -> None:
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(0)
    a, b = boxes("a", rng), boxes("b", rng, scale=1.5)
    va, vb = overview(a), overview(b)
    bins = [next(c for c in v.columns if c.measure.name == "box_size").bins() for v in (va, vb)]
    assert size_of(compare_datasets(a, b, va, vb)).distance == pytest.approx(ks_2samp(*bins).statistic)


def test_sets_of_one_source_are_seldom_called_different_though_their_frames_are_alike() -> None:
    calls = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        calls += bool(size_of(apart(boxes("a", rng), boxes("b", rng))).differs)
    assert calls <= 6  # 5% of 40 is 2; shuffling frames instead of groups would call nearly all of them


def test_a_real_difference_is_found() -> None:
    rng = np.random.default_rng(0)
    found = size_of(apart(boxes("a", rng), boxes("b", rng, scale=2.0)))
    assert found.differs and found.distance > 0.7


def test_with_fewer_than_five_groups_chance_cannot_be_told() -> None:
    rng = np.random.default_rng(0)
    found = size_of(apart(boxes("a", rng, groups=4), boxes("b", rng, scale=3.0)))
    assert found.by_chance is None and found.differs is None and found.distance > 0.9


def test_classes_go_by_name_whatever_their_order() -> None:
    rng = np.random.default_rng(0)
    a = boxes("a", rng)
    b = replace(boxes("b", rng), classes=("dog", "cat"))
    b = replace(b, labels=replace(b.labels, cls=np.ones_like(b.labels.cls)))
    side = apart(a, b)
    assert next(d for d in side.distances if d.name == "classes").distance == 0
    assert side.only_b == ("dog",) and side.only_a == ()


def test_images_in_both_are_found_by_their_bytes_whatever_their_names(tmp_path: Path) -> None:
    one = yolo_folder(tmp_path / "one", {"train/a.png": "", "train/b.png": ""})
    other = yolo_folder(tmp_path / "two", {"train/c.png": "", "train/d.png": "", "train/e.png": ""})
    shutil.copy(tmp_path / "one/images/train/b.png", tmp_path / "two/images/train/e.png")
    seen = statistics.dataset_statistics(DatasetSource(one), DatasetSource(other))
    assert seen.difference is not None
    pairs = seen.difference.shared_images
    assert [(Path(a).name, Path(b).name) for a, b in pairs if Path(b).name == "e.png"] == [("b.png", "e.png")]


def test_two_views_of_one_set_do_not_differ(fixtures: Path) -> None:
    bccd = read(fixtures / "bccd")
    side = apart(bccd.split("train"), bccd.split("val"))
    assert not any(d.differs for d in side.distances)
    assert side.shared_images == ()
    json.dumps(side.to_dict(), allow_nan=False)


def test_sets_of_one_name_are_told_apart(tmp_path: Path) -> None:
    path = yolo_folder(tmp_path / "set", {"train/a.png": ""})
    names = [view.name for view in statistics.dataset_statistics(DatasetSource(path), DatasetSource(path)).views]
    assert len(set(names)) == 2


def test_a_size_of_zero_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="imgsz"):
        statistics.dataset_statistics(DatasetSource(tmp_path), imgsz=0)


def pose(name: str, left_x: float, spread: float = 0.02) -> Dataset:
    """Cars whose left and right lamps stand at `left_x` and 1 − `left_x` of the box."""
    from liftgate.data.core.dataset import Keypoints

    rng = np.random.default_rng(0)
    images = tuple(Image(f"{i}.jpg", Path(f"/{i}.jpg"), 100, 100) for i in range(30))
    places = np.array([left_x, 1 - left_x]) * 100 + rng.normal(0, spread * 100, (30, 2))
    points = np.stack([places, np.full((30, 2), 50.0), np.full((30, 2), 2.0)], axis=2)
    labels = Labels.build(list(range(30)), [0] * 30, [[0, 0, 100, 100]] * 30, keypoints=points)
    return Dataset(name, Path("/"), Path("/"), "coco", ("car",), images, labels, keypoints=Keypoints(("left", "right")))


def test_left_and_right_swapped_is_told_from_another_place() -> None:
    same, swapped, moved = (apart(pose("a", 0.2), pose("b", x)).keypoints for x in (0.2, 0.8, 0.4))
    assert same and swapped and moved
    assert not same.mirrored and same.apart < 0.02
    assert swapped.mirrored and swapped.apart == pytest.approx(0.6, abs=0.02) and swapped.apart_mirrored < 0.02
    assert not moved.mirrored and moved.apart == pytest.approx(0.2, abs=0.02)
    assert swapped.n_least == 30
    assert apart(pose("a", 0.2), boxes("b", np.random.default_rng(0))).keypoints is None
