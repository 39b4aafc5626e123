"""What is blurred cannot be recognised, and nothing else changes."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from liftgate.cli import main
from liftgate.data.core.blurring import blurred, read_blur_boxes
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats import coco
from liftgate.data.formats.read import read
from liftgate.errors import DataError
from liftgate.testing.data import yolo_folder


def noisy(path: Path, size: tuple[int, int] = (80, 60)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(path)
    return path


def pixels(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"), dtype=np.float64)


def test_inside_a_box_nothing_fine_is_left_and_outside_every_pixel_is(tmp_path: Path) -> None:
    path = noisy(tmp_path / "a.png")
    before, after = pixels(path.read_bytes()), pixels(blurred(path, [(20, 10, 30, 30)]))
    inside, outside = np.s_[10:40, 20:50], np.ones(before.shape[:2], dtype=bool)
    outside[6:44, 16:54] = False
    assert after[inside].std() < 0.25 * before[inside].std()
    assert np.abs(np.diff(after[inside], axis=1)).mean() < 0.1 * np.abs(np.diff(before[inside], axis=1)).mean()
    assert np.array_equal(after[outside], before[outside])


def test_a_turned_image_is_written_upright_and_without_metadata(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera of somebody"
    Image.new("RGB", (80, 60), "red").save(path, exif=exif)
    written = blurred(path, [(0, 0, 10, 10)])
    with Image.open(io.BytesIO(written)) as image:
        assert image.size == (60, 80) and not image.getexif()
    assert b"camera of somebody" not in written


@pytest.mark.parametrize("box", [(-50, -50, 20, 20), (79, 59, 500, 500), (10, 10, 0, 0), (-10, -10, 1000, 1000)])
def test_a_box_at_or_beyond_the_edge_is_no_error(tmp_path: Path, box: tuple[float, float, float, float]) -> None:
    assert pixels(blurred(noisy(tmp_path / "a.png"), [box])).shape == (60, 80, 3)


def test_a_box_of_an_image_that_is_not_there_hides_nothing_and_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "faces.json"
    path.write_text(json.dumps([{"image_id": "images/b.png", "bbox": [1, 2, 3, 4], "score": 0.1}]))
    assert read_blur_boxes(path, ["images/b.png"]) == {"images/b.png": [(1, 2, 3, 4)]}
    with pytest.raises(DataError, match="not there"):
        read_blur_boxes(path, ["images/a.png"])
    for wrong in ("{}x", '[{"image_id": "a"}]', "[[1, 2]]", '{"a": 1}'):
        path.write_text(wrong)
        with pytest.raises(DataError, match="no list of boxes"):
            read_blur_boxes(path, ["a"])


def test_what_goes_to_cvat_is_blurred(tmp_path: Path) -> None:
    document = yolo_folder(tmp_path / "set", {"train/a.png": None, "val/b.png": None}, ["cat"])
    dataset = read(document)
    for image in dataset.images:
        noisy(image.path, image.upright)
    dataset = read(document)
    ids = tuple(image.id for image in dataset.images)
    place = np.zeros(1, dtype=np.int64)
    found = Predictions(ids, dataset.classes, place, place, np.array([[1.0, 2, 30, 40]]), np.array([0.9]))
    file = coco.write_predictions(found, dataset, tmp_path / "p.json")
    faces = tmp_path / "faces.json"
    faces.write_text(json.dumps([{"image_id": ids[0], "bbox": [0, 0, 40, 40]}]))
    words = ["data", "prelabel", str(document), "--predictions", str(file), "--out", str(tmp_path / "out")]
    assert main([*words, "--blur", str(faces)]) == 0
    with zipfile.ZipFile(tmp_path / "out" / "images.zip") as packed:
        assert packed.read(ids[1]) == dataset.images[1].path.read_bytes()
        sent, kept = pixels(packed.read(ids[0])), pixels(dataset.images[0].path.read_bytes())
    assert sent[:40, :40].std() < 0.5 * kept[:40, :40].std()
