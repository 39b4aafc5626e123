"""An outline of 12 MB costs a reader bounded memory, and never a page of message."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from liftgate.cli import main
from liftgate.testing.data import picture

POINTS = 1_200_000


def yolo(folder: Path) -> Path:
    picture(folder / "images" / "a.png", (64, 48))
    (folder / "labels").mkdir()
    (folder / "labels" / "a.txt").write_text(f"0 {'.123 .5 ' * POINTS}\n1 .5 .5 .1 .1\n")
    (folder / "data.yaml").write_text("train: images\nval: images\nnames: [cat, dog]\n")
    return folder / "data.yaml"


def coco(folder: Path) -> Path:
    picture(folder / "a.png", (64, 48))
    row = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "segmentation": [[1, 2] * POINTS]}
    image = {"id": 1, "file_name": "a.png", "width": 64, "height": 48}
    document = {"images": [image], "categories": [{"id": 1, "name": "cat"}], "annotations": [row]}
    (folder / "c.json").write_text(json.dumps(document))
    return folder / "c.json"


def cvat(folder: Path) -> Path:
    picture(folder / "a.png", (64, 48))
    shape = f'<polygon label="cat" points="{"1.5,2.5;" * POINTS}1,1"/>'
    image = f'<image id="0" name="a.png" width="64" height="48">{shape}</image>'
    (folder / "annotations.xml").write_text(f"<annotations>{image}</annotations>")
    return folder / "annotations.xml"


@pytest.mark.parametrize("write", [yolo, coco, cvat])
def test_an_outline_of_twelve_megabytes_is_bounded(
    tmp_path: Path, write: Callable[[Path], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path)
    tracemalloc.start()
    try:
        code = main(["check", str(source), "--json"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    shown = capsys.readouterr()
    assert code in (0, 2, 3)
    assert peak < 120 << 20
    assert len(shown.out) + len(shown.err) < 20_000
