"""An annotator's image that could not be read is not one that they left empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftgate.data.agreement import shared_frames
from liftgate.data.formats.read import read
from liftgate.testing.data import yolo_folder


@pytest.mark.parametrize("missing_is_empty", [False, True])
def test_unreadable_labels_are_left_out_of_the_comparison(missing_is_empty: bool, tmp_path: Path) -> None:
    row = "0 .5 .5 .25 .5\n"
    a = read(yolo_folder(tmp_path / "a", {"train/1.jpg": row, "train/2.jpg": row, "train/3.jpg": ""}))
    b = read(yolo_folder(tmp_path / "b", {"train/1.jpg": row, "train/2.jpg": "0,.5,.5,.25,.5\n", "train/3.jpg": ""}))
    found = shared_frames(a, b, missing_is_empty=missing_is_empty)
    assert [a.images[index].id for index in found.a] == ["images/train/1.jpg", "images/train/3.jpg"]
    assert found.unlabelled_b == ("images/train/2.jpg",)
