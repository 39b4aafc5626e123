"""The demo's data: real handwriting, honest videos, and faults that `check` finds and mending mends."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from liftgate import api
from liftgate.data.formats.read import read
from liftgate.data.grouping.groups import assign_groups
from liftgate.demo import demo_dataset, scenes
from liftgate.demo.repair import RepairedDataset, repair
from liftgate.demo.walkthrough import is_transposed
from liftgate.errors import UsageError

pytest.importorskip("sklearn", reason="the demo extra is not installed")


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo_dataset.build_dataset(tmp_path_factory.mktemp("demo") / "delivered").data_yaml


@pytest.fixture(scope="module")
def mended(delivered: Path) -> RepairedDataset:
    return repair(delivered, delivered.parent.parent / "mended", transposed=True)


def errors(path: Path) -> tuple[set[str], bool]:
    """The errors of a check, and whether the story would take the boxes for transposed."""
    result = api.check(path, groups=demo_dataset.GROUPS)
    return {finding.id for finding in result.findings if finding.severity == "error"}, is_transposed(result)


def test_the_delivery_is_a_data_set_of_videos(delivered: Path) -> None:
    dataset = assign_groups(read(delivered), demo_dataset.GROUPS, base=delivered.parent)
    assert dataset.classes == ("two", "five", "seven")
    assert len(dataset.images) == demo_dataset.N_VIDEOS * demo_dataset.N_FRAMES
    assert len(set(dataset.groups)) == demo_dataset.N_VIDEOS
    assert {(image.width, image.height) for image in dataset.images} == {(scenes.SIZE, scenes.SIZE)}


def test_the_planted_faults_are_found_before_any_work(delivered: Path) -> None:
    planted = {"labels.geometry", "labels.out_of_range", "labels.dropped_image", "splits.leak_group"}
    assert errors(delivered) == (planted, True)


def test_mending_leaves_no_error_and_the_delivery_as_it_was(delivered: Path) -> None:
    before = {path: path.read_bytes() for path in delivered.parent.rglob("*.*") if path.suffix in (".txt", ".yaml")}
    folder = delivered.parent.parent / "again"
    result = repair(delivered, folder)
    assert errors(result.data_yaml) == (set(), False)
    assert {path: path.read_bytes() for path in before} == before
    assert len(result.in_pixels) == demo_dataset.N_FRAMES
    assert len(result.groups_in_several_splits) == 3
    assert result.transposed


def test_what_a_person_changed_in_the_mended_data_stays(mended: RepairedDataset) -> None:
    label = mended.data_yaml.parent / "labels" / "video00_000.txt"
    original = label.read_text()
    label.write_text("0 0.5 0.5 0.1 0.1\n")
    again = repair(mended.data_yaml.parent.parent / "delivered" / "data.yaml", mended.data_yaml.parent)
    assert label.read_text() == "0 0.5 0.5 0.1 0.1\n"
    assert again.split.sha256 == mended.split.sha256
    label.write_text(original)


def test_mended_boxes_lie_tightly_around_ink(mended: RepairedDataset) -> None:
    """The pixels inside a box vary more than the ground beside it: a shifted or transposed box would not."""
    dataset = read(mended.data_yaml)
    inside, outside = [], []
    for image_index, box in list(zip(dataset.labels.image, dataset.labels.boxes, strict=True))[::7]:
        with PIL.Image.open(dataset.images[image_index].path) as opened:
            grey = np.asarray(opened.convert("L"), dtype=np.float64)
        left, top, right, bottom = box.round().astype(int)
        inside.append(grey[top:bottom, left:right].std())
        outside.append(grey[max(top - 6, 0) : bottom + 6, max(left - 6, 0) : left - 1].std())
    assert np.median(inside) > 1.7 * np.nanmedian(outside)


def test_no_written_digit_lies_in_two_videos(monkeypatch: pytest.MonkeyPatch) -> None:
    videos = list(demo_dataset.digits_by_video(np.random.default_rng(0)))
    seen = defaultdict(set)
    for number, digits in enumerate(videos):
        for ink, _ in digits:
            seen[ink.tobytes()].add(number)
    assert len(videos) == demo_dataset.N_VIDEOS
    assert max(len(numbers) for numbers in seen.values()) == 1


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    def film(seed: int) -> bytes:
        rng = np.random.default_rng(seed)
        digits = next(demo_dataset.digits_by_video(rng))
        return b"".join(frame.pixels.tobytes() for frame in scenes.render_video(digits, 3, rng))

    assert film(1) == film(1)
    assert film(1) != film(2)


def test_every_object_moves_from_frame_to_frame_and_stays_in_the_picture() -> None:
    rng = np.random.default_rng(4)
    digits = [(np.full((8, 8), 1.0), 0) for _ in range(5)]
    frames = scenes.render_video(digits, 60, rng)
    boxes = np.stack([frame.boxes for frame in frames])
    assert (boxes >= 0).all() and (boxes <= scenes.SIZE).all()
    assert (np.abs(np.diff(boxes, axis=0)).sum(axis=(1, 2)) > 0).all()
    sizes = boxes[..., 2:] - boxes[..., :2]
    assert (sizes == sizes[0]).all()


def test_a_delivery_that_is_whole_is_left_as_it_is(delivered: Path) -> None:
    stamp = delivered.stat().st_mtime_ns
    demo_dataset.build_dataset(delivered.parent)
    assert delivered.stat().st_mtime_ns == stamp


def test_without_scikit_learn_the_demo_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UsageError, match="scikit-learn") as caught:
        demo_dataset.build_dataset(tmp_path / "delivered")
    assert ".[demo" in str(caught.value)
    assert not (tmp_path / "delivered" / "data.yaml").exists()
