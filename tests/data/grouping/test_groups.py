"""Groups: one rule, and figures on how well it fits."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image as Picture

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.formats.read import read
from liftgate.data.grouping.groups import assign_groups
from liftgate.errors import DataError


def named(*names: str, root: Path = Path("/d")) -> Dataset:
    images = tuple(Image(name, root / name, 64, 48) for name in names)
    return Dataset("d", root, root / "data.yaml", "yolo", ("cat",), images, Labels.build([], [], []))


def groups(dataset: Dataset, rule: str, base: Path = Path()) -> list[str | None]:
    return [image.group for image in assign_groups(dataset, rule, base=base).images]


def test_a_regex_looks_at_the_file_name_and_then_at_the_id() -> None:
    dataset = named("cam1/10_a.jpg", "cam2/10_b.jpg", "cam2/x.jpg")
    assert groups(dataset, r"^(?P<group>\d+)_") == ["10", "10", None]
    assert groups(dataset, r"(?P<group>cam\d)/") == ["cam1", "cam2", "cam2"]


def test_a_rule_that_fits_only_some_is_a_fault_with_figures() -> None:
    grouped = assign_groups(named("1_a.jpg", "1_b.jpg", "x.jpg"), r"^(?P<group>\d+)_", base=Path())
    assert [fault.kind for fault in grouped.faults] == ["group_unmatched"]
    assert "1 of 3" in grouped.faults[0].message
    assert grouped.groups == ("1", "1", "image:x.jpg"), "an image without a group is its own"


def test_a_rule_that_fits_hardly_any_is_an_error_with_figures_and_names() -> None:
    with pytest.raises(DataError, match=r"fits 1 of 3 images") as caught:
        groups(named("1_a.jpg", "y.jpg", "x.jpg"), r"^(?P<group>\d+)_")
    assert "y.jpg" in str(caught.value)


@pytest.mark.parametrize("rule", ["", "video", r"^(\d+)_", "(?P<group>[", "(?P<group>x", "nope.txt"])
def test_what_is_no_rule_is_an_error(rule: str) -> None:
    with pytest.raises(DataError):
        groups(named("1_a.jpg"), rule)


def test_a_csv_names_images_by_id_file_name_or_stem(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text('image,group\na/1.jpg,A\n2.jpg,"B, the second"\n3,C\n')
    assert groups(named("a/1.jpg", "a/2.jpg", "b/3.png"), "g.csv", tmp_path) == ["A", "B, the second", "C"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("image,video\na,1\n", "g.csv:1"),
        ("", "column is missing"),
        ("image,group\nzzz,1\n", "no image of the CSV"),
        ("image,group\n1.jpg,A\n1.jpg,B\n", "g.csv:3"),
        ('image,group\n"1.jpg,A\n', "not a CSV"),
    ],
)
def test_a_csv_that_cannot_be_used_is_one_clear_error(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "g.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        groups(named("1.jpg"), "g.csv", tmp_path)
    with pytest.raises(DataError, match="cannot read the CSV"):
        groups(named("1.jpg"), "gone.csv", tmp_path)


def test_folders_group_without_the_words_that_only_sort() -> None:
    dataset = named("images/train/videoA/1.jpg", "images/val/videoA/2.jpg", "images/train/videoB/1.jpg")
    assert groups(dataset, "folder") == ["videoA", "videoA", "videoB"], "a video in two splits is one group"
    with pytest.raises(DataError, match="fits 0 of 2"):
        groups(named("images/train/1.jpg", "images/val/2.jpg"), "folder")


def test_name_time_cuts_sessions_at_long_pauses_and_between_cameras() -> None:
    dataset = named(
        "IMG_20190209_100000.jpg",
        "IMG_20190209_102900.jpg",
        "IMG_20190209_105800.jpg",
        "IMG_20190209_113000.jpg",
        "cam2_2019-02-09_10-00-05.jpg",
        "IMG_20191399_100000.jpg",
    )
    found = groups(dataset, "name-time")
    assert found == ["IMG 2019-02-09 10:00:00"] * 3 + ["IMG 2019-02-09 11:30:00", "cam2 2019-02-09 10:00:05", None]


def test_exif_groups_by_camera_and_day(tmp_path: Path) -> None:
    for name, camera, taken in (
        ("a", "X1", "2020:01:02 10:00:00"),
        ("b", "X1", "2020:01:02 23:00:00"),
        ("c", "X2", "2020:01:02 10:00:00"),
    ):
        exif = Picture.Exif()
        exif[0x0110], exif[0x0132] = camera, taken
        Picture.new("RGB", (16, 16)).save(tmp_path / f"{name}.jpg", exif=exif)
    Picture.new("RGB", (16, 16)).save(tmp_path / "d.jpg")
    found = groups(named("a.jpg", "b.jpg", "c.jpg", "d.jpg", root=tmp_path), "exif")
    assert found == ["X1 2020-01-02", "X1 2020-01-02", "X2 2020-01-02", None]


def test_dice_has_two_sessions_on_two_days(tmp_path: Path, fixtures: Path) -> None:
    (tmp_path / "data.yaml").write_text(
        f"path: {fixtures}/dice\ntrain: images/train\ntest: images/test\nnames: [one, two, three, four, five, six]\n"
    )
    dataset = read(tmp_path / "data.yaml")
    counts = Counter(groups(dataset, "name-time"))
    assert [(str(name)[:14], count) for name, count in sorted(counts.items())] == [
        ("IMG 2019-12-08", 121),
        ("IMG 2019-12-09", 129),
    ]
