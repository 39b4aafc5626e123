"""Split by group, balanced as well as groups allow, frozen."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read
from liftgate.data.splits.split import Split, make_split, read_split, split_counts
from liftgate.errors import DataError
from liftgate.testing import data as factory


def test_41_videos_in_7_categories_split_29_6_6() -> None:
    rng = np.random.default_rng(0)
    made = factory.dataset(41 * 10, n_groups=41)
    video = np.arange(410) % 41
    made = replace(made, classes=tuple(f"operation{n}" for n in range(7)))
    labels = replace(made.labels, cls=(video % 7)[made.labels.image])
    made = replace(made, labels=labels.take(rng.permutation(len(labels))))
    split = make_split(made)
    counts = split_counts(split)
    assert counts["groups"] == {"train": 29, "val": 6, "test": 6}
    applied = split.apply(made)
    for part in ("train", "val", "test"):
        shown = np.bincount(applied.split(part).labels.cls, minlength=7)
        assert shown.min() >= (60 if part == "train" else 0)
    for part in ("val", "test"):
        present = (np.bincount(applied.split(part).labels.cls, minlength=7) > 0).sum()
        assert present == 6, "six videos can show six of seven categories"


@pytest.mark.parametrize("seed", range(5))
def test_classes_come_near_to_the_ratios(fixtures: Path, seed: int) -> None:
    applied = make_split(read(fixtures / "bccd"), seed=seed).apply(read(fixtures / "bccd"))
    total = np.bincount(applied.labels.cls)
    for part, ratio in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
        share = np.bincount(applied.split(part).labels.cls) / total
        np.testing.assert_allclose(share, ratio, atol=0.01)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_split() -> None:
    made = factory.dataset(100, n_groups=20)
    assert make_split(made, seed=1).sha256 == make_split(made, seed=1).sha256
    assert len({make_split(made, seed=seed).sha256 for seed in range(5)}) == 5


def test_the_order_of_images_does_not_matter_to_which_groups_exist() -> None:
    made = factory.dataset(60, n_groups=12)
    turned = made.take(np.arange(60)[::-1])
    assert make_split(made).sha256 == make_split(turned).sha256


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=3, max_size=40),
    seed=st.integers(0, 3),
    test=st.sampled_from([0.0, 0.1, 0.3]),
)
def test_no_group_ever_crosses_and_no_split_is_empty(sizes: list[int], seed: int, test: float) -> None:
    group = np.repeat(np.arange(len(sizes)), sizes)
    made = factory.dataset(len(group))
    made = made.with_images([replace(i, group=f"g{g}") for i, g in zip(made.images, group, strict=True)])
    split = make_split(made, (0.8 - test, 0.2, test), seed)
    applied = split.apply(made)
    where: dict[str, set[str | None]] = {}
    for image in applied.images:
        where.setdefault(image.key, set()).add(image.split)
    assert all(len(splits) == 1 for splits in where.values())
    assert set(applied.splits) == {"train", "val"} | ({"test"} if test else set())


def test_one_huge_group_does_not_starve_the_others() -> None:
    made = factory.dataset(200)
    made = made.with_images(
        [replace(image, group="huge" if number < 120 else f"g{number % 8}") for number, image in enumerate(made.images)]
    )
    counts = split_counts(make_split(made))["images"]
    assert counts["train"] >= 120
    assert min(counts["val"], counts["test"]) >= 20


def test_fewer_groups_than_splits_is_an_error() -> None:
    with pytest.raises(DataError, match="fewer groups than splits"):
        make_split(factory.dataset(10, n_groups=2))
    assert set(make_split(factory.dataset(10, n_groups=2), (0.5, 0.5, 0)).assignment.values()) == {"train", "val"}


@pytest.mark.parametrize("ratios", [(1, 2), (0, 0, 0), (-1, 1, 1), (float("nan"), 1, 1)])
def test_ratios_that_are_none(ratios: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="not ratios"):
        make_split(factory.dataset(10), ratios)


def test_a_frozen_split_reads_back_with_the_same_hash_whatever_the_names(tmp_path: Path) -> None:
    names = ["plain.jpg", "a,b.jpg", 'quo"te.jpg', "line\nbreak.jpg", "Ünïcode.jpg", "b\udcffroken.jpg", " space .jpg"]
    assignment = {name: "train" if number % 2 else "val" for number, name in enumerate(names)}
    split = Split(assignment, {name: f"g{number}" for number, name in enumerate(names)}, seed=3)
    again = read_split(split.write(tmp_path / "split.csv"))
    assert again.sha256 == split.sha256
    assert again.assignment == split.assignment
    assert again.groups == split.groups
    lines = split.to_csv().decode("utf-8", "surrogateescape").splitlines()
    assert lines[0] == "image,group,split"


def test_a_split_in_which_a_group_crosses_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    path.write_text("image,group,split\na.jpg,video7,train\nb.jpg,video7,test\n")
    with pytest.raises(DataError, match="video7 in test, train"):
        read_split(path)
    path.write_text("image,split\na.jpg,train\na.jpg,test\n")
    with pytest.raises(DataError, match=r"split.csv:3"):
        read_split(path)


def test_applying_refuses_where_the_datasets_own_groups_cross(tmp_path: Path) -> None:
    made = factory.dataset(4, n_groups=2)
    (tmp_path / "s.csv").write_text("image,split\n0000.jpg,train\n0001.jpg,train\n0002.jpg,test\n0003.jpg,train\n")
    with pytest.raises(DataError, match="group0 in test, train"):
        read_split(tmp_path / "s.csv").apply(made)


def test_applying_says_what_is_gone_and_what_is_new(tmp_path: Path) -> None:
    made: Dataset = factory.dataset(3)
    (tmp_path / "s.csv").write_text("image,split\n0000,train\n0001.jpg,test\ngone.jpg,val\n")
    applied = read_split(tmp_path / "s.csv").apply(made)
    assert [image.split for image in applied.images] == ["train", "test", None]
    assert Counter(fault.kind for fault in applied.faults) == {"split_image_gone": 1, "split_unassigned": 1}
    with pytest.raises(DataError, match="names none"):
        Split({"x.jpg": "train"}, {"x.jpg": "x"}).apply(made)


@pytest.mark.slow
def test_a_hundred_thousand_images_take_seconds() -> None:
    made = factory.dataset(100_000, objects=1)
    counts = split_counts(make_split(made))["images"]
    assert counts["train"] == pytest.approx(70_000, rel=0.01)
