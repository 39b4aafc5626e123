"""Rules of the data set as a whole: a path that leads nowhere is reported once, and called what it is."""

from __future__ import annotations

import shutil

import pytest

from checks.small_set import SmallSet
from liftgate.checks.run import run


@pytest.mark.parametrize(
    ("path", "called"),
    [
        (r"C:\work\cups\images\train", "Windows path"),
        ("D:/work/cups/images/train", "Windows path"),
        (r"\\server\share\images\train", "Windows path"),
        (r"..\images\train", "Windows path"),
        (r"images\train", "Windows path"),
        ("/mnt/elsewhere/images/train", "another machine"),
        ("/content/drive/MyDrive/cups/train/images", "another machine"),
        ("/kaggle/input/cups/images/train", "another machine"),
        ("/Users/bob/Desktop/images/train", "another machine"),
    ],
)
def test_paths_of_another_machine_are_called_that_and_the_images_beside_the_yaml_are_used(
    small: SmallSet, path: str, called: str
) -> None:
    small.keys(train=path)
    (found,) = run(small.subject(), select=["data.path"]).findings
    assert (found.severity, found.data["kind"]) == ("warning", "path_elsewhere")
    assert called in found.message
    assert sum(image.split == "train" for image in small.read().images) == 30


def test_images_in_a_folder_of_their_split_are_found(small: SmallSet) -> None:
    (small.root / "valid").mkdir()
    shutil.move(small.root / "images" / "val", small.root / "valid" / "images")
    shutil.move(small.root / "labels" / "val", small.root / "valid" / "labels")
    dataset = small.read()
    assert sum(image.split == "val" for image in dataset.images) == 20
    assert any(fault.kind == "path_elsewhere" for fault in dataset.faults)


@pytest.mark.parametrize(
    "layout", ["images/{}", "{}/images", "data/images/{}", "data/{}/images", "dataset/{}/images", "datasets/images/{}"]
)
@pytest.mark.parametrize("declared", ["/home/alice/cups/{}", r"C:\Users\me\cups\{}", "cups/{}"])
def test_images_beside_the_yaml_are_found_in_every_usual_layout(small: SmallSet, layout: str, declared: str) -> None:
    """Whatever `path:` and the splits say; labels move with the images."""
    shutil.move(small.root / "images", small.root / "was_images")
    shutil.move(small.root / "labels", small.root / "was_labels")
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            place = small.root / layout.format(split).replace("images", kind)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(small.root / f"was_{kind}" / split, place)
    small.keys(path="/nowhere", train=declared.format("train"), val=declared.format("val"))
    dataset = small.read()
    assert [sum(image.split == split for image in dataset.images) for split in ("train", "val")] == [30, 20]
    assert len(dataset.labels) > 100


def test_no_image_is_not_reported_beside_the_path_that_leads_nowhere(small: SmallSet) -> None:
    shutil.rmtree(small.root / "images")
    found = {finding.id for finding in run(small.subject(), select=["data"]).findings}
    assert "data.path" in found and "data.empty" not in found


def test_folders_without_an_image_are_one_error(small: SmallSet) -> None:
    for image in (small.root / "images").rglob("*.png"):
        image.unlink()
    (found,) = run(small.subject(), select=["data"]).findings
    assert (found.id, found.severity, found.data["kind"]) == ("data.path", "error", "split_empty")
