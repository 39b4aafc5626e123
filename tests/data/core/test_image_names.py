"""Names of images in side files: pictures of several folders with one file name are not taken for each other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from judging.two_models import two_models
from liftgate.data.agreement.shared_frames import shared_frames
from liftgate.data.core.dataset import Dataset
from liftgate.data.detections import read_predictions
from liftgate.data.grouping.groups import assign_groups
from liftgate.data.grouping.slicing import slice_images
from liftgate.data.splits.split import Split
from liftgate.errors import DataError

TWO_DAYS = ("mon", "tue")


def days(*names: str) -> Dataset:
    """Three images for each day, val/DAY/0.jpg to 2.jpg."""
    truth = two_models(1, groups=len(names), per_group=3).truth
    images = [
        replace(image, id=f"val/{names[index // 3]}/{index % 3}.jpg", group=None)
        for index, image in enumerate(truth.images)
    ]
    return truth.with_images(images)


def results(path: Path, key: str, *names: str) -> Path:
    rows = [
        {
            "image_id": name if key == "image_id" else number,
            key: name,
            "category_id": 0,
            "bbox": [1, 1, 9, 9],
            "score": 0.9,
        }
        for number, name in enumerate(names, 1)
    ]
    path.write_text(json.dumps(rows))
    return path


@pytest.mark.parametrize("key", ["image_id", "file_name"])
def test_the_end_of_a_name_decides_where_file_names_repeat(tmp_path: Path, key: str) -> None:
    names = ["mon/1.jpg", "tue/1.jpg", "tue/2.jpg"]
    found = read_predictions(results(tmp_path / "p.json", key, *names), days(*TWO_DAYS))
    assert [found.images[image] for image in found.image] == [f"val/{name}" for name in names]


@pytest.mark.parametrize("key", ["image_id", "file_name"])
@pytest.mark.parametrize("names", [("mon/1.jpg", "tue/1.jpg"), ("tue/1.jpg", "mon/1.jpg"), ("tue/1.jpg", "wed/1.jpg")])
def test_predictions_of_other_folders_are_refused_and_not_piled_on_one_image(
    tmp_path: Path, key: str, names: tuple[str, str]
) -> None:
    """The truth has Monday only: Tuesday's picture of the same file name is another one."""
    with pytest.raises(DataError, match="two pictures would be one image"):
        read_predictions(results(tmp_path / "p.json", key, *names), days("mon"))
    csv = tmp_path / "p.csv"
    csv.write_text("image,x1,y1,x2,y2,class,score\n" + "".join(f"{name},1,1,9,9,cat,0.9\n" for name in names))
    with pytest.raises(DataError, match="two pictures would be one image"):
        read_predictions(csv, days("mon"))


def test_two_cameras_are_not_piled_on_the_images_of_a_folder_of_one(tmp_path: Path) -> None:
    """The truth begins within the folder of one camera, so its names have no folder at all."""
    bare = days("mon").with_images([replace(one, id=Path(one.id).name) for one in days("mon").images])
    names = ["cam1/0.jpg", "cam2/0.jpg"]
    for before in ([], ["0.jpg"]):  # a picture of the folder itself hides no others
        with pytest.raises(DataError, match="two pictures would be one image"):
            read_predictions(results(tmp_path / "p.json", "file_name", *before, *names), bare)
    csv = tmp_path / "all.csv"
    csv.write_text("image,group\n" + "".join(f"{name},{name[:4]}\n" for name in [*names, "cam1/1.jpg"]))
    with pytest.raises(DataError, match="fits 1 of 3 images"):
        assign_groups(bare, csv.name, base=tmp_path)


def test_annotators_frames_are_paired_by_their_own_folder_first() -> None:
    both = days("tue", "mon")
    shared = shared_frames(days("mon"), both)
    assert [both.images[index].id for index in shared.b] == ["val/mon/0.jpg", "val/mon/1.jpg", "val/mon/2.jpg"]
    ben = days("mon").with_images([replace(one, id=one.id.replace("val/mon", "ben")) for one in days("mon").images])
    assert len(shared_frames(days("mon"), ben)) == 3, "folders may be of annotators"


def test_pictures_that_lie_elsewhere_on_another_machine_are_found_by_file_name(tmp_path: Path) -> None:
    found = read_predictions(
        results(tmp_path / "p.json", "file_name", "/gpu/data/1.jpg", "/gpu/data/2.jpg"), days("mon")
    )
    assert [found.images[image] for image in found.image] == ["val/mon/1.jpg", "val/mon/2.jpg"]


def test_groups_slices_and_splits_of_more_images_than_these_go_to_the_right_ones(tmp_path: Path) -> None:
    csv, names = tmp_path / "all.csv", [f"{day}/{number}.jpg" for day in ("sun", "mon", "tue") for number in range(3)]
    csv.write_text("image,group\n" + "".join(f"{name},{name[:3]}\n" for name in names))
    monday = days("mon")
    assert {image.group for image in assign_groups(monday, csv.name, base=tmp_path).images} == {"mon"}
    assert set(slice_images(monday, f"{csv.name}#group", base=tmp_path).values()) == {"mon"}
    parts = {"sun": "train", "mon": "val", "tue": "test"}
    split = Split({name: parts[name[:3]] for name in names}, {name: name[:3] for name in names}, 0, (0.4, 0.3, 0.3))
    assert {image.split for image in split.apply(monday).images} == {"val"}
