"""Names that no file system takes: one row is missing, and the rest is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from liftgate.cli import main
from liftgate.data.formats.read import read
from liftgate.testing.data import picture, yolo_folder

LONG = {"one part": "x" * 300 + ".png", "many parts": "x/" * 3000 + "x.png"}


def coco(folder: Path, name: str) -> Path:
    images = [{"id": n, "file_name": file, "width": 64, "height": 48} for n, file in enumerate(("a.png", name))]
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [1, 1, 5, 5], "area": 25} for n in range(2)]
    document = {"images": images, "categories": [{"id": 1, "name": "cat"}], "annotations": boxes}
    (folder / "c.json").write_text(json.dumps(document))
    return folder / "c.json"


def cvat(folder: Path, name: str) -> Path:
    box = '<box label="cat" xtl="1" ytl="1" xbr="5" ybr="5"/>'
    images = "".join(f'<image id="{n}" name="{file}" width="64" height="48">{box}</image>'
                     for n, file in enumerate(("a.png", name)))  # fmt: skip
    (folder / "annotations.xml").write_text(f"<annotations>{images}</annotations>")
    return folder / "annotations.xml"


def voc(folder: Path, name: str) -> Path:
    box = "<object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object>"
    (folder / "Annotations").mkdir()
    (folder / "JPEGImages").mkdir()
    picture(folder / "JPEGImages" / "a.png", (64, 48))
    for stem, file in (("a", "a.png"), ("b", name)):
        size = "<size><width>64</width><height>48</height></size>"
        text = f"<annotation><filename>{file}</filename>{size}{box}</annotation>"
        (folder / "Annotations" / f"{stem}.xml").write_text(text)
    return folder


def yolo_list(folder: Path, name: str) -> Path:
    data = yolo_folder(folder / "y", {"train/a.png": "0 .5 .5 .5 .5\n", "val/b.png": "1 .5 .5 .5 .5\n"})
    (data.parent / "train.txt").write_text(f"images/train/a.png\nimages/train/{name}\n")
    data.write_text("path: .\ntrain: train.txt\nval: images/val\nnames: [cat, dog]\n")
    return data


def yolo_entry(folder: Path, name: str) -> Path:
    data = yolo_folder(folder / "y", {"train/a.png": "0 .5 .5 .5 .5\n", "val/b.png": "1 .5 .5 .5 .5\n"})
    data.write_text(f"path: .\ntrain: images/train\nval: {name}\nnames: [cat, dog]\n")
    return data


@pytest.mark.parametrize("name", LONG.values(), ids=LONG)
@pytest.mark.parametrize("write", [coco, cvat, voc, yolo_list, yolo_entry])
def test_a_name_that_is_too_long_is_one_missing_image(
    tmp_path: Path, write: Callable[[Path, str], Path], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(tmp_path / "a.png", (64, 48))
    source = write(tmp_path, name)
    assert len(read(source).images) >= 1
    assert main(["check", str(source)]) in (0, 3)
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err and "too long" not in shown.err
    code = main(["data", "convert", str(source), "--to", "yolo", "--out", str(tmp_path / "out")])
    assert code in (0, 2) and "Traceback" not in capsys.readouterr().err
