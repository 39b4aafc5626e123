"""A backslash in an image's name is a character of it, from data set to verdict; in lists from Windows it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from liftgate import api
from liftgate.cli import main
from liftgate.data.core.image_names import ImageNames
from liftgate.data.core.safe_names import safe_path
from liftgate.data.formats.read import read
from liftgate.testing.data import yolo_folder
from pipeline.conftest import write_study as write_study

NAMES = ["train/cam\\0.png", "train/0.png", *(f"val/cam\\{n}.png" for n in range(6)), "val/0.png"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return yolo_folder(tmp_path / "data", dict.fromkeys(NAMES, "1 .5 .5 .5 .5\n"))


@pytest.mark.parametrize(
    ("to", "source"),
    [("yolo", "data.yaml"), ("coco", "annotations/instances_val.json"), ("voc", ""), ("cvat", "annotations.xml")],
)
def test_a_data_set_with_such_names_survives_every_format(tmp_path: Path, data: Path, to: str, source: str) -> None:
    out = tmp_path / "out"
    assert main(["data", "convert", str(data), "--to", to, "--out", str(out)]) == 0
    after = read(out / source)
    assert after.faults == ()
    assert len(after.images) == len(after.labels) == (7 if to == "coco" else 9)
    assert all(image.path.is_file() for image in after.images)
    assert len({image.path.resolve() for image in after.images}) == len(after.images)


@pytest.mark.parametrize("spell", [lambda name: name, lambda name: Path(name).name], ids=["id", "file name"])
def test_predictions_name_such_images(
    tmp_path: Path, data: Path, spell: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name, side in (("good", 24), ("bad", 10)):
        boxes = [(f"images/{image}", [16, 12, 32, side]) for image in NAMES if image.startswith("val/")]
        rows = [{"image_id": spell(image), "category_id": 2, "bbox": box, "score": 0.9} for image, box in boxes]
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
    words = ["--truth", str(data), "--groups", r"(?P<group>[^/]+)\.png$", "--json"]
    assert main(["evaluate", *words, "--predictions", str(tmp_path / "good.json")]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["metrics"]["recall"] == 1 and figures["n_groups"] == 7
    compare = ["--control", str(tmp_path / "bad.json"), "--treatment", str(tmp_path / "good.json")]
    assert main(["compare", *words, *compare, "--metric", "mAP50", "--margin", "0.1"]) in (0, 11)
    assert json.loads(capsys.readouterr().out)["delta"] == pytest.approx(1)


def test_check_and_split_take_such_names(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(data), "--json"]) in (0, 3)
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert not [one for one in findings if one["id"].startswith(("labels.missing", "images.unreadable", "data."))]
    assert main(["data", "split", str(data), "--out", str(tmp_path / "split"), "--groups", "(?P<group>[^/]+)$"]) == 0
    parts = [line for path in (tmp_path / "split").glob("*.txt") for line in path.read_text().splitlines()]
    assert len(parts) == 9


def test_a_whole_study_with_such_names_comes_to_its_verdict(tmp_path: Path, write_study: Callable[..., Path]) -> None:
    path = write_study()
    for image in list((tmp_path / "scenes").rglob("*.png")):
        label = Path(str(image).replace("/images/", "/labels/")).with_suffix(".txt")
        image.rename(image.with_name(f"cam\\{image.name}"))
        if label.is_file():
            label.rename(label.with_name(f"cam\\{label.name}"))
    manifest = tmp_path / "scenes" / "manifest.json"
    manifest.unlink(missing_ok=True)
    for listing in (tmp_path / "scenes").glob("*.txt"):
        lines = [line.rpartition("/") for line in listing.read_text().splitlines()]
        listing.write_text("".join(f"{folder}/cam\\{name}\n" for folder, _, name in lines))
    result = api.run(path)
    assert result.verdicts["lift"]["word"] == "PASS"
    assert "cam\\" in result.report.read_text()


def test_windows_separators_are_read_where_no_file_has_the_name(tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "a.png").write_bytes(b"")
    assert safe_path("val\\a.png", tmp_path) == "val/a.png"
    (tmp_path / "val\\a.png").write_bytes(b"")
    assert safe_path("val\\a.png", tmp_path) == "val\\a.png"
    assert safe_path("..\\..\\a.png", tmp_path) == safe_path("..\\..\\a.png") == "a.png"
    assert safe_path("../val\\a.png", tmp_path) == "val\\a.png"


def test_a_name_means_the_image_that_has_it_as_it_is(tmp_path: Path, data: Path) -> None:
    images = read(data).images
    names = ImageNames(images)
    ids = {image.id: index for index, image in enumerate(images)}
    assert names.find("images/val/cam\\0.png") == ids["images/val/cam\\0.png"]
    assert names.find("images\\val\\0.png") == ids["images/val/0.png"]
    assert names.find("C:\\data\\images\\val\\0.png") == ids["images/val/0.png"]
    assert names.find("cam\\3") == ids["images/val/cam\\3.png"]
    assert names.find("0.png") is None, "two folders have one"
