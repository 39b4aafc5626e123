"""The truth: one split of a data set, with groups that a rule gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from liftgate.errors import UsageError
from liftgate.evaluation.truth import read_truth


@pytest.fixture
def data_yaml(tmp_path: Path) -> Path:
    for split, names in {"train": ["a", "b", "c", "d"], "val": ["v1_0", "v1_1", "v2_0"]}.items():
        for kind in ("images", "labels"):
            (tmp_path / kind / split).mkdir(parents=True)
        for name in names:
            Image.new("RGB", (40, 30)).save(tmp_path / "images" / split / f"{name}.jpg")
            (tmp_path / "labels" / split / f"{name}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    path = tmp_path / "data.yaml"
    path.write_text("path: .\ntrain: images/train\nval: images/val\nnames: [thing]\n")
    return path


def test_a_rule_for_groups_need_not_fit_images_that_nobody_measures(data_yaml: Path) -> None:
    measured = read_truth(data_yaml, groups=r"^(?P<group>v\d)_")  # val is what is measured unless somebody says
    assert [image.group for image in measured.images] == ["v1", "v1", "v2"]


def test_an_unknown_split_is_named_with_those_there_are(data_yaml: Path) -> None:
    with pytest.raises(UsageError, match=r"no split 'night'.*expected train, val"):
        read_truth(data_yaml, split="night")
