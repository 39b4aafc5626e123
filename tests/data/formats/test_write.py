"""Conversion: round trips through every format, and an honest list of what is lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read
from liftgate.data.formats.write import write_dataset
from liftgate.data.grouping.groups import assign_groups
from liftgate.errors import DataError
from liftgate.testing.data import yolo_folder

FORMATS = ("yolo", "coco", "voc", "cvat")
LEFT_OUT = ("crowd objects", "ignored objects", "duplicate objects")


def sources(fixtures: Path, tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "dice.yaml").write_text(
        f"path: {fixtures}/dice\ntrain: images/train\ntest: images/test\nnames: [one, two, three, four, five, six]\n"
    )
    return {
        "bccd": fixtures / "bccd",
        "dice": tmp_path / "dice.yaml",
        "instances": fixtures / "coco_cc/annotations/instances_val2017.json",
        "keypoints": fixtures / "coco_cc/annotations/person_keypoints_train2017.json",
    }


def table(*parts: Dataset, keep: np.ndarray | None = None) -> list[tuple]:
    """Every object as (image stem, class, box), by stem and then in the order of the file, which every format keeps."""
    rows = []
    for part in parts:
        labels = part.labels if keep is None else part.labels.take(keep)
        stems = [Path(image.id).stem for image in part.images]
        columns = zip(labels.image.tolist(), labels.cls.tolist(), labels.boxes.tolist(), strict=True)
        rows += [(stems[image], part.classes[cls], *box) for image, cls, box in columns]
    return sorted(rows, key=lambda row: row[0])


def by_stem(dataset: Dataset) -> np.ndarray:
    """Rows by the stem of their image, then in the order of the file."""
    stems = np.array([Path(image.id).stem for image in dataset.images])
    return np.argsort(stems[dataset.labels.image], kind="stable")


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("name", ["bccd", "dice", "instances", "keypoints"])
def test_every_box_returns_to_a_hundredth_of_a_pixel_or_is_listed_as_lost(
    name: str, to: str, fixtures: Path, tmp_path: Path
) -> None:
    dataset = read(sources(fixtures, tmp_path)[name])
    written = write_dataset(dataset, to, tmp_path / "out")
    again = [read(path) for path in written.files]
    lost = {loss.what: loss.count for loss in written.losses}
    dropped = sum(lost.get(what, 0) for what in LEFT_OUT)
    keep = ~(dataset.labels.crowd | dataset.labels.ignore) if to == "yolo" else None
    if to == "cvat" and dataset.keypoints:
        assert "boxes of objects with keypoints: the box around these takes their place" in lost
        return  # test_cvat.py holds the keypoints to their places
    before = table(dataset, keep=keep)
    after = table(*again)
    assert len(after) == len(dataset.labels) - dropped
    for old, new in zip(before, after, strict=True):
        assert old[:2] == new[:2]
        assert new[2:] == pytest.approx(old[2:], abs=0.01)
    if to != "yolo":
        marked = [(d.labels.crowd | d.labels.ignore).sum() for d in (dataset, *again)]
        assert marked[0] == sum(marked[1:])
    if to != "voc" and dataset.labels.keypoints is not None:
        (part,) = again
        order = np.argsort([Path(i.id).stem for i in dataset.images], kind="stable")
        assert part.keypoints is not None
        assert part.labels.keypoints is not None
        kept = dataset.labels.keypoints if keep is None else dataset.labels.keypoints[keep]
        assert part.labels.keypoints[..., 2].sum() == kept[..., 2].sum()
        assert len(order) == len(part.images)
    assert {fault.kind for part in again for fault in part.faults} <= {"split_empty"}


@pytest.mark.parametrize("first", FORMATS)
@pytest.mark.parametrize("name", ["bccd", "dice", "instances"])
def test_every_pair_of_formats_keeps_what_the_first_one_held(
    name: str, first: str, fixtures: Path, tmp_path: Path
) -> None:
    dataset = read(sources(fixtures, tmp_path)[name])
    write_dataset(dataset, first, tmp_path / first)
    held = read(tmp_path / first)
    for second in FORMATS:
        if second == first:
            continue
        written = write_dataset(held, second, tmp_path / f"{first}-{second}")
        again = read(tmp_path / f"{first}-{second}")
        left_out = sum(loss.count for loss in written.losses if loss.what in LEFT_OUT)
        marked = held.labels.crowd | held.labels.ignore
        before, after = table(held, keep=~marked if second == "yolo" else None), table(again)
        assert len(after) == len(held.labels) - left_out
        assert [row[:2] for row in after] == [row[:2] for row in before]
        away = max(
            (abs(a - b) for old, new in zip(before, after, strict=True) for a, b in zip(old[2:], new[2:], strict=True)),
            default=0,
        )
        lost = ", ".join(loss.what for loss in written.losses) or "nothing"
        line = f"{len(after)} objects, largest difference {away:.4f} px, not held: {lost}"
        print(f"{name}: {first} → {second}: {line}")  # noqa: T201
        assert away <= 0.01


def test_keypoints_come_through_cvat_from_and_to_every_format_that_has_them(fixtures: Path, tmp_path: Path) -> None:
    dataset = read(fixtures / "coco_cc/annotations/person_keypoints_train2017.json")
    seen = (dataset.labels.keypoints[..., 2] > 0).any(axis=1) & ~dataset.labels.crowd
    dataset = replace(dataset, labels=dataset.labels.take(seen))
    path = dataset
    for number, to in enumerate(("cvat", "yolo", "cvat", "coco", "cvat")):
        write_dataset(path, to, tmp_path / str(number))
        path = read(tmp_path / str(number))
        order, again = by_stem(dataset), by_stem(path)
        before, after = dataset.labels.keypoints[order], path.labels.keypoints[again]
        assert path.keypoints.names == dataset.keypoints.names
        assert (before[..., 2] == after[..., 2]).all(), "hidden stays hidden, unlabelled stays unlabelled"
        labelled = before[..., 2] > 0
        assert np.abs(before[..., :2] - after[..., :2])[labelled].max() <= 0.01


def test_what_a_format_cannot_hold_is_counted_with_an_example(fixtures: Path, tmp_path: Path) -> None:
    dataset = read(fixtures / "coco_cc/annotations/instances_val2017.json")
    written = write_dataset(dataset, "yolo", tmp_path / "out")
    losses = {loss.what: loss for loss in written.losses}
    assert losses["crowd objects"].count == int(dataset.labels.crowd.sum()) == 2
    assert losses["category ids: classes are numbered anew"].example == "person was 1"
    assert ".jpg, object" in losses["crowd objects"].example


@pytest.mark.parametrize("to", FORMATS)
def test_groups_are_written_beside_and_taken_up_again(to: str, tmp_path: Path) -> None:
    labels: dict[str, str | None] = {f"train/cam{n % 3}_{n}.jpg": "0 .5 .5 .25 .5\n" for n in range(6)}
    labels |= {"val/cam1_1.jpg": ""}  # a name twice: one of the two is called otherwise afterwards
    dataset = read(yolo_folder(tmp_path / "set", labels))
    dataset = assign_groups(dataset, r"^(?P<group>cam\d)", base=tmp_path)
    written = write_dataset(dataset, to, tmp_path / "out")
    assert "groups: they are in groups.csv, for --groups" in [loss.what for loss in written.losses]
    again = assign_groups(read(tmp_path / "out"), "groups.csv", base=tmp_path / "out")
    assert again.faults == ()
    assert Counter(again.groups) == Counter(dataset.groups) == {"cam0": 2, "cam1": 3, "cam2": 2}


def test_writing_says_how_far_it_is(tmp_path: Path) -> None:
    dataset = read(yolo_folder(tmp_path / "set", {f"train/{n}.jpg": "0 .5 .5 .25 .5\n" for n in range(5)}))
    for to in FORMATS:
        said: list[tuple[str, int, int]] = []
        write_dataset(dataset, to, tmp_path / to, progress=lambda *words, said=said: said.append(words))
        assert (said[0][1], said[-1][1]) == (0, 5)
        assert all(done <= total == 5 for _, done, total in said)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    dataset = read(yolo_folder(tmp_path / "set", {"train/a.jpg": "0 .5 .5 .1 .1\n"}))
    with pytest.raises(DataError, match="not empty"):
        write_dataset(dataset, "coco", tmp_path / "set")
    with pytest.raises(DataError, match="unknown format"):
        write_dataset(dataset, "tfrecord", tmp_path / "out")
    assert not (tmp_path / "out").exists()
