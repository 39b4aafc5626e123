"""Pictures for the report: small, upright as stored, without what a camera wrote beside the pixels."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.core.predictions import Predictions
from liftgate.reporting.pictures import LONGEST_SIDE, picture, small_jpeg


def opened(jpeg: bytes | None) -> PIL.Image.Image:
    assert jpeg is not None
    return PIL.Image.open(io.BytesIO(jpeg))


def test_a_large_photograph_becomes_small_and_loses_its_metadata(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"  # to be turned when shown; maker
    path = tmp_path / "photo.jpg"
    PIL.Image.new("RGB", (1600, 900), (10, 200, 30)).save(path, exif=exif)
    small = opened(small_jpeg(path))
    assert small.size == (LONGEST_SIDE * 900 // 1600, LONGEST_SIDE)  # turned: boxes count the pixels as they are seen
    assert len(small.getexif()) == 0


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "1", "I;16"])
def test_every_mode_of_pixels_is_shown(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    if mode == "I;16":
        PIL.Image.fromarray(np.linspace(0, 60000, 64 * 64).reshape(64, 64).astype(np.uint16)).save(path)
    else:
        PIL.Image.new("RGB", (64, 64), (200, 10, 10)).convert(mode).save(path)
    small = opened(small_jpeg(path))
    assert small.mode == "RGB"
    if mode == "I;16":
        assert 100 < np.asarray(small).mean() < 155  # 16 bits are scaled, not clipped to white


@pytest.mark.parametrize("content", [b"", b"this is text", b"\xff\xd8\xff\xe0 cut off"])
def test_an_unreadable_image_gives_no_pixels_and_no_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    assert small_jpeg(path) is None
    assert small_jpeg(tmp_path / "absent.jpg") is None


def test_boxes_of_truth_and_of_confident_detections_come_along(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    PIL.Image.new("RGB", (100, 50)).save(path)
    truth = Dataset(
        "d",
        tmp_path,
        tmp_path / "data.yaml",
        "yolo",
        ("cat", "dog"),
        (Image("b.png", tmp_path / "b.png", 0, 0), Image("a.png", path, 100, 50, group="g")),
        Labels.build([0, 1], [0, 1], [[0, 0, 9, 9], [10, 10, 20, 20]]),
    )
    predictions = Predictions(
        ("a.png", "b.png"),
        ("cat", "dog"),
        np.array([0, 0, 1]),
        np.array([1, 0, 0]),
        np.array([[11.0, 10, 21, 20], [0, 0, 5, 5], [0, 0, 1, 1]]),
        np.array([0.9, 0.1, 0.8]),
    )
    shown = picture(truth, 1, {"arm": predictions}, conf=0.25, note="one found")
    assert [(box.label, box.xyxy, box.score) for box in shown.truth] == [("dog", (10, 10, 20, 20), None)]
    assert [(box.label, box.score) for box in shown.panels[0].boxes] == [("dog", 0.9)]
    assert (shown.width, shown.height, shown.group, shown.note) == (100, 50, "g", "one found")
    assert picture(truth, 0, {}, conf=0.25).jpeg is None


def test_keypoints_that_have_a_place_are_drawn(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    PIL.Image.new("RGB", (100, 50)).save(path)
    labels = Labels.build([0], [0], [[10, 10, 60, 40]])
    labels = replace(labels, keypoints=np.array([[[12.0, 13.0, 2.0], [0.0, 0.0, 0.0], [50.0, 30.0, 1.0]]]))
    source = tmp_path / "data.yaml"
    truth = Dataset("d", tmp_path, source, "yolo", ("car",), (Image("a.png", path, 100, 50),), labels)
    predictions = Predictions(
        ("a.png",), ("car",), np.array([0]), np.array([0]), np.array([[10.0, 10.0, 60.0, 40.0]]), np.array([0.9]),
        keypoints=np.array([[[14.0, 15.0, 0.8], [1.0, 1.0, 0.0], [51.0, 31.0, 0.3]]]),
    )  # fmt: skip
    made = picture(truth, 0, {"new": predictions}, conf=0.25)
    assert made.truth[0].points == ((12.0, 13.0), (50.0, 30.0))
    assert made.panels[0].boxes[0].points == ((14.0, 15.0), (51.0, 31.0))
