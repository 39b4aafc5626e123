"""What is measured of boxes and pixels, against values worked out by hand or the slow, obvious way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Picture

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.overview.columns import (
    BOX_ASPECT,
    GRID,
    Column,
    border_share,
    box_shapes,
    heat_map,
    label_columns,
    pixel_columns,
    whole_pixel_share,
)


def one_image(boxes: list[list[float]], size: tuple[int, int] = (200, 100), **columns: object) -> Dataset:
    image = Image("a.jpg", Path("/a.jpg"), *size, group="g")
    labels = Labels.build([0] * len(boxes), [0] * len(boxes), boxes, **columns)
    return Dataset("d", Path("/"), Path("/"), "yolo", ("cat",), (image,), labels)


def test_sizes_are_those_that_the_detector_sees() -> None:
    shapes = box_shapes(one_image([[0, 0, 40, 10]]), imgsz=400)
    assert shapes.size.tolist() == [40.0]  # √(40 × 10) = 20, twice as large at 400 of 200 pixels
    assert shapes.aspect.tolist() == [4.0]
    assert shapes.centre.tolist() == [[0.1, 0.05]]


def test_boxes_without_an_area_and_unreadable_images_have_no_shape() -> None:
    assert len(box_shapes(one_image([[5, 5, 5, 9], [0, 0, 4, 4]]), 640).size) == 1
    assert len(box_shapes(one_image([[0, 0, 4, 4]], size=(0, 0)), 640).size) == 0


def test_crowds_and_ignored_rows_are_not_measured() -> None:
    dataset = one_image(
        [[0, 0, 4, 4], [0, 0, 8, 8], [0, 0, 9, 9]], crowd=[True, False, False], ignore=[False, True, False]
    )
    assert len(box_shapes(dataset, 200).size) == 1
    objects = {column.measure.name: column for column in label_columns(dataset, box_shapes(dataset, 200))}
    assert objects["objects_per_image"].values.tolist() == [1.0]


def test_a_turned_photograph_is_measured_as_it_is_seen() -> None:
    image = Image("a.jpg", Path("/a.jpg"), 200, 100, orientation=6)
    dataset = Dataset("d", Path("/"), Path("/"), "yolo", ("cat",), (image,), Labels.build([0], [0], [[0, 0, 100, 200]]))
    assert box_shapes(dataset, 200).centre.tolist() == [[0.5, 0.5]]


box = st.tuples(*[st.integers(0, 95)] * 2, *[st.integers(1, 80)] * 2).map(
    lambda v: [v[0], v[1], min(v[0] + v[2], 96), min(v[1] + v[3], 96)]
)


@given(st.lists(box, max_size=8))
def test_the_heat_map_is_that_of_painting_box_by_box(boxes: list[list[float]]) -> None:
    painted = np.zeros((GRID, GRID))
    step = 96 / GRID
    for left, top, right, bottom in boxes:
        for y in range(GRID):
            for x in range(GRID):
                painted[y, x] += int(left // step) <= x <= min(int(right // step), GRID - 1) and int(
                    top // step
                ) <= y <= min(int(bottom // step), GRID - 1)
    assert heat_map(one_image(boxes, size=(96, 96))) == pytest.approx(painted / max(len(boxes), 1))


def test_border_and_whole_pixels_tell_how_boxes_were_drawn() -> None:
    dataset = one_image([[0, 10, 20, 20], [50.5, 50, 60, 60], [180, 50, 199.6, 60], [10, 10, 20.3, 20]])
    assert border_share(dataset) == 0.5
    assert whole_pixel_share(dataset) == 0.25
    assert border_share(one_image([])) is None and whole_pixel_share(one_image([])) is None


def test_values_beyond_the_ends_count_in_the_outer_bins() -> None:
    column = Column(BOX_ASPECT, np.array([1e-9, 1.0, 1e9]), np.zeros(3, dtype=np.int64))
    counts = column.counts()
    assert counts[0] == 1 and counts[-1] == 1 and counts.sum() == 3


@given(st.lists(st.floats(0.01, 100), max_size=30))
def test_the_bins_are_those_of_numpy(values: list[float]) -> None:
    edges = np.array(BOX_ASPECT.edges)
    clipped = np.clip(values, edges[0], np.nextafter(edges[-1], 0))
    expected, _ = np.histogram(clipped, edges)
    assert (
        Column(BOX_ASPECT, np.array(values), np.zeros(len(values), dtype=np.int64)).counts().tolist()
        == expected.tolist()
    )


def test_brightness_and_contrast_of_real_files(tmp_path: Path) -> None:
    half = np.zeros((64, 64), dtype=np.uint8)
    half[:, 32:] = 255
    images = []
    for name, pixels in (("grey.png", np.full((64, 64), 51, dtype=np.uint8)), ("half.png", half)):
        Picture.fromarray(pixels).save(tmp_path / name)
        images.append(Image(name, tmp_path / name, 64, 64))
    deep = tmp_path / "deep.png"
    Picture.fromarray(np.full((64, 64), 13107, dtype=np.uint16)).save(deep)
    (tmp_path / "broken.png").write_bytes(b"no image")
    images += [Image("deep.png", deep, 64, 64), Image("broken.png", tmp_path / "broken.png", 0, 0)]
    images.append(Image("gone.png", tmp_path / "gone.png", 0, 0))
    dataset = Dataset("d", tmp_path, tmp_path, "yolo", (), tuple(images), Labels.build([], [], []))
    light, contrast = pixel_columns(dataset, range(5))
    assert light.values == pytest.approx([0.2, 0.5, 0.2], abs=0.005)
    assert contrast.values == pytest.approx([0, 0.5, 0], abs=0.02)
