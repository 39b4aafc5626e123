"""The page of a data set in words: what it says, what it escapes, what it leaves out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Picture

from liftgate.data.core.dataset import Dataset, Labels
from liftgate.data.overview import compare_datasets, overview
from liftgate.data.overview.record import Distribution
from liftgate.reporting.dataset_pages import dataset_page, render_dataset
from liftgate.reporting.dataset_pages.drawing import heat_levels, histogram
from liftgate.reporting.dataset_pages.page import share
from liftgate.reporting.dataset_pages.pictures import CROWDED, labelled_picture
from liftgate.reporting.pictures import small_jpeg
from liftgate.testing.data import dataset as make
from liftgate.testing.data import picture


def page(tmp_path: Path, *datasets: Dataset) -> str:
    views = [overview(dataset) for dataset in datasets]
    side = compare_datasets(datasets[0], datasets[1], views[0], views[1]) if len(datasets) == 2 else None
    return render_dataset(dataset_page(datasets, views, side, "liftgate data stats x"), tmp_path / "p.html").read_text()


def with_files(dataset: Dataset, folder: Path) -> Dataset:
    return dataset.with_images(
        [replace(i, path=picture(folder / i.id, (i.width, i.height), seed=n)) for n, i in enumerate(dataset.images)]
    )


def test_one_data_set_on_one_page_that_needs_nothing_beside_it(tmp_path: Path) -> None:
    html = page(tmp_path, with_files(make(14, n_groups=7), tmp_path))
    assert "14 images in 7 groups, 42 objects of 2 classes" in html
    assert html.count("data:image/jpeg;base64,") == 12
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", html)
    assert "default-src 'none'" in html


def test_the_same_data_give_the_same_bytes(tmp_path: Path) -> None:
    dataset = with_files(make(8), tmp_path)
    assert page(tmp_path, dataset) == page(tmp_path, dataset)


def test_two_data_sets_stand_side_by_side_with_their_distances(tmp_path: Path) -> None:
    one, other = make(20, n_groups=10), replace(make(20, n_groups=10, seed=1), name="other")
    html = page(tmp_path, one, other)
    assert f"How {one.name} and other differ" in html
    assert "By chance up to" in html and 'class="second"' in html


def test_a_strangers_words_are_escaped(tmp_path: Path) -> None:
    bad = "<img src=x onerror=alert(1)>"
    dataset = replace(make(6, classes=(bad, "b")), name=bad)
    dataset = dataset.with_images([replace(i, group=bad) for i in dataset.images])
    html = page(tmp_path, dataset)
    assert bad not in html and "&lt;img src=x" in html


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_or_nearly_nothing_still_makes_a_page(tmp_path: Path, count: int) -> None:
    dataset = make(1, objects=count)
    assert "What is in" in page(tmp_path, dataset)
    empty = Dataset("none", tmp_path, tmp_path, "coco", (), (), Labels.build([], [], []))
    assert "0 images in 0 groups, 0 objects of 0 classes" in page(tmp_path, empty)


def test_an_image_that_cannot_be_read_is_shown_as_such(tmp_path: Path) -> None:
    assert "cannot be read" in page(tmp_path, make(3))


def test_a_turned_photograph_is_shown_as_it_is_seen(tmp_path: Path) -> None:
    pixels = np.zeros((40, 80, 3), dtype=np.uint8)
    pixels[:, :20] = 255  # bright on the left as stored
    exif = Picture.Exif()
    exif[274] = 6  # to be turned clockwise: the left becomes the top
    Picture.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif.tobytes(), quality=95)
    import io

    jpeg = small_jpeg(tmp_path / "a.jpg")
    assert jpeg is not None
    with Picture.open(io.BytesIO(jpeg)) as seen:
        values = np.asarray(seen.convert("L"))
        assert seen.size == (40, 80) and not seen.getexif()
    assert values[5].mean() > 200 and values[-5].mean() < 50


def test_a_crowded_picture_names_all_but_its_commonest_class() -> None:
    dataset = make(1, objects=CROWDED + 4)
    shot = labelled_picture(dataset, 0, ["c0", "c1"])
    common = int(np.bincount(dataset.labels.cls).argmax())
    written = {mark.text for mark in shot.marks}
    assert dataset.classes[common] not in written and dataset.classes[common] in shot.note


counts = st.lists(st.integers(0, 50), min_size=4, max_size=4)


@given(counts, counts)
def test_bars_keep_to_the_drawing_and_the_highest_fills_it(one: list[int], other: list[int]) -> None:
    sides = [
        Distribution("x", "x", "", "boxes", (0.0, 1.0, 2.0, 3.0, 4.0), tuple(c), (0, 0), sum(c), 1.0, 2.0, 3.0)
        for c in (one, other)
    ]
    drawn = histogram(sides, (1.5,))
    if drawn is None:
        assert not any(one) and not any(other)
        return
    heights = [bar.height for bar in drawn.bars]
    if drawn.outline:
        heights += [100 - float(point.split(",")[1]) for point in drawn.outline.split()]
    assert max(heights) == pytest.approx(100, abs=0.01) and min(heights) >= -0.01
    assert sum(bar.width for bar in drawn.bars) == pytest.approx(100)


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=3, max_size=3))
def test_a_heat_map_paints_each_cell_at_most_once(heat: list[list[float]]) -> None:
    cells = [cell for level in heat_levels(heat) for cell in level.path.split("M")[1:]]
    assert len(cells) == len(set(cells)) <= 9


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "50%"), (0.051, "5.1%"), (1.0, "100%"), (0.9999, ">99.9%"), (0.995, "99.5%"), (1e-9, "<0.1%")],
)
def test_a_share_never_claims_all_or_nothing_that_is_not(value: float, text: str) -> None:
    assert share(value) == text
