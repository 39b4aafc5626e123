"""Rules of the data set as a whole: a path that leads nowhere is reported once, and called what it is."""

from __future__ import annotations

import shutil

import pytest

from checks.small_set import SmallSet
from liftgate.checks import run


@pytest.mark.parametrize(
    ("path", "called"),
    [("C:\\\\work\\\\cups\\\\images\\\\train", "Windows path"), ("/mnt/elsewhere/images/train", "another machine")],
)
def test_paths_of_another_machine_are_called_that_and_the_images_beside_the_yaml_are_used(
    small: SmallSet, path: str, called: str
) -> None:
    small.keys(train=path.replace("\\\\", "\\"))
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


def test_no_image_is_not_reported_beside_the_path_that_leads_nowhere(small: SmallSet) -> None:
    shutil.rmtree(small.root / "images")
    found = {finding.id for finding in run(small.subject(), select=["data"]).findings}
    assert "data.path" in found and "data.empty" not in found
