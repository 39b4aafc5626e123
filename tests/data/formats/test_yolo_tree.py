"""The training tree: what Ultralytics will see, without copies and without surprises."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.formats import yolo
from liftgate.data.formats.read import read
from liftgate.errors import DataError
from liftgate.testing.data import picture, yolo_folder

ROW = "0 .5 .5 .25 .5\n"


def test_a_tree_reads_back_as_the_same_data(tmp_path: Path) -> None:
    text = "0 0.512345 0.498765 0.2345 0.3456\n1 0.1 0.1 0.05 0.05\n"
    dataset = read(yolo_folder(tmp_path / "set", {"train/a.jpg": text, "val/b.jpg": "", "test/c.jpg": None}))
    again = read(yolo.write(dataset, tmp_path / "tree"))
    assert again.faults == ()
    assert again.classes == dataset.classes
    assert [image.split for image in again.images] == ["train", "val", "test"]
    assert [image.label is None for image in again.images] == [False, False, True]
    np.testing.assert_allclose(again.labels.boxes, dataset.labels.boxes, atol=0.01)
    np.testing.assert_array_equal(again.labels.cls, dataset.labels.cls)


def test_boxes_of_large_images_return_to_a_hundredth_of_a_pixel(tmp_path: Path) -> None:
    path = picture(tmp_path / "wide.png", (20_000, 10))
    rng = np.random.default_rng(1)
    left = rng.uniform(0, 19_000, 50)
    boxes = np.column_stack([left, np.full(50, 1.0), left + rng.uniform(1, 900, 50), np.full(50, 9.0)])
    image = Image("wide.png", path, 20_000, 10, split="train", label=path)
    dataset = Dataset("w", tmp_path, tmp_path, "coco", ("cat",), (image,), Labels.build([0] * 50, [0] * 50, boxes))
    again = read(yolo.write(dataset, tmp_path / "tree"))
    np.testing.assert_allclose(again.labels.boxes, boxes, atol=0.01)


def test_images_are_links_and_originals_stay_as_they_are(tmp_path: Path) -> None:
    dataset = read(yolo_folder(tmp_path / "set", {"train/a.jpg": ROW}))
    before = {path: path.stat().st_mtime_ns for path in sorted((tmp_path / "set").rglob("*"))}
    document = yolo.write(dataset, tmp_path / "tree")
    link = document.parent / "images/a.jpg"
    assert link.is_symlink()
    assert link.resolve() == dataset.images[0].path.resolve()
    assert {path: path.stat().st_mtime_ns for path in sorted((tmp_path / "set").rglob("*"))} == before


def test_the_yaml_is_our_own_with_an_absolute_path(tmp_path: Path) -> None:
    dataset = read(yolo_folder(tmp_path / "set", {"train/a.jpg": ROW}, download="rm -rf /", augment=True))
    keys = yaml.safe_load(yolo.write(dataset, tmp_path / "tree").read_text())
    assert keys == {
        "path": str(tmp_path / "tree"),
        "train": "train.txt",
        "val": "val.txt",
        "names": {0: "cat", 1: "dog"},
    }


def test_a_copy_of_a_data_set_that_is_kept_reads_its_own_labels(tmp_path: Path) -> None:
    dataset = read(yolo_folder(tmp_path / "set", {"train/a.jpg": ROW}))
    document = yolo.write(dataset, tmp_path / "kept", portable=True)
    assert str(tmp_path) not in document.read_text() and yolo.is_intact(document)
    shutil.copytree(tmp_path / "kept", tmp_path / "copy", symlinks=True)
    (tmp_path / "copy/labels/a.txt").write_text("1 0.5 0.5 0.25 0.25\n")
    assert read(tmp_path / "copy/data.yaml").labels.cls.tolist() == [1]
    assert read(document).labels.cls.tolist() == dataset.labels.cls.tolist() == [0]


def test_names_that_collide_or_lead_astray_are_made_safe_and_can_be_traced_back(tmp_path: Path) -> None:
    odd = ["a/x.jpg", "b/x.jpg", "b/X.png", "c/images/y.jpg", "d/line\nbreak.jpg", "e/Müller.jpg", "f/-.jpg"]
    images = []
    for number, name in enumerate(odd):
        path = picture(tmp_path / "set" / name, seed=number)
        images.append(Image(name, path, 64, 48, split="train", label=path))
    boxes = [[number, 0, number + 8, 8] for number in range(len(odd))]
    labels = Labels.build(range(len(odd)), [0] * len(odd), boxes)
    dataset = Dataset("odd", tmp_path, tmp_path, "coco", ("cat",), tuple(images), labels)
    document = yolo.write(dataset, tmp_path / "tree")
    back = yolo.read_manifest(document.parent)
    assert sorted(back.values()) == sorted(odd)
    again = read(document)
    assert [fault.kind for fault in again.faults] == ["split_empty"], "there is no val here"
    assert len(again.images) == len(odd)
    for row, image in enumerate(again.labels.image):
        first = odd.index(back[again.images[image].id])
        assert again.labels.boxes[row, 0] == pytest.approx(first, abs=0.01)


def test_what_training_should_not_see_is_left_out_and_said(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg", (100, 100))
    boxes = [[10, 10, 20, 20], [0, 0, 9, 9], [0, 0, 8, 8], [5, 5, 5, 9], [10, 10, 20, 20], [-20, 90, 30, 130]]
    labels = Labels.build(
        [0] * 6,
        [0] * 6,
        boxes,
        crowd=[False, True, False, False, False, False],
        ignore=[False, False, True] + [False] * 3,
    )
    gone = Image("gone.jpg", tmp_path / "gone.jpg", 100, 100, split="train", label=path)
    loose = Image("loose.jpg", path, 100, 100, label=path)
    image = Image("a.jpg", path, 100, 100, split="train", label=path)
    dataset = Dataset("d", tmp_path, tmp_path, "coco", ("cat",), (image, gone, loose), labels)
    document = yolo.write(dataset, tmp_path / "tree")
    again = read(document)
    np.testing.assert_allclose(again.labels.boxes, [[10, 10, 20, 20], [0, 90, 30, 100]], atol=0.01)
    assert document.read_text().startswith("# Written by liftgate. Left out: 2 images, 4 rows")


def test_repeats_are_lines_of_the_list_and_only_for_train(tmp_path: Path) -> None:
    dataset = read(yolo_folder(tmp_path / "set", {"train/a.jpg": ROW, "train/b.jpg": ROW, "val/c.jpg": ROW}))
    a, b, c = (image.id for image in dataset.images)
    document = yolo.write(dataset, tmp_path / "tree", repeats={a: 8, b: 0})
    assert (document.parent / "train.txt").read_text() == "./images/a.jpg\n" * 8
    with pytest.raises(DataError, match="only train"):
        yolo.write(dataset, tmp_path / "other", repeats={c: 2})
    with pytest.raises(DataError, match="unknown image"):
        yolo.write(dataset, tmp_path / "other", repeats={"who.jpg": 2})
    assert not (tmp_path / "other").exists()


def test_an_older_tree_is_replaced_but_nothing_else_is(tmp_path: Path) -> None:
    dataset = read(yolo_folder(tmp_path / "set", {"train/a.jpg": ROW, "val/c.jpg": ROW}))
    yolo.write(dataset, tmp_path / "tree")
    yolo.write(dataset.split("val"), tmp_path / "tree")
    assert [path.name for path in (tmp_path / "tree/images").iterdir()] == ["c.jpg"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("precious")
    with pytest.raises(DataError, match="not empty"):
        yolo.write(dataset, tmp_path / "mine")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "set", "tree"]


def test_a_file_that_is_added_appears_with_the_folder_or_neither_does(tmp_path: Path) -> None:
    dataset = read(yolo_folder(tmp_path / "in", {"train/a.jpg": "0 .5 .5 .2 .2\n", "val/b.jpg": ""}, ["cat"]))

    def fail(part: Path) -> None:
        (part / "notes.txt").write_text("half")
        raise OSError(errno.ENOSPC, "no space")

    with pytest.raises(OSError, match="no space"):
        yolo.write(dataset, tmp_path / "tree", finish=fail)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    tree = yolo.write(dataset, tmp_path / "tree", finish=lambda part: shutil.copy(part / "train.txt", part / "val.txt"))
    assert (tree.parent / "val.txt").read_bytes() == (tree.parent / "train.txt").read_bytes()
    assert yolo.is_intact(tree), "its manifest was written after that"


def test_keypoints_keep_places_and_visibility(tmp_path: Path) -> None:
    keys = {"kpt_shape": [2, 3], "flip_idx": [1, 0]}
    text = "0 .5 .5 .5 .5 .25 .5 2 .75 .5 1\n0 .5 .5 .4 .4 .3 .5 2 0 0 0\n"
    dataset = read(yolo_folder(tmp_path / "set", {"train/a.jpg": text}, names=["car"], **keys))
    again = read(yolo.write(dataset, tmp_path / "tree"))
    assert again.keypoints == dataset.keypoints
    np.testing.assert_allclose(again.labels.keypoints, dataset.labels.keypoints, atol=0.01)


def test_two_column_keypoints_keep_unlabelled_apart_from_the_corner(tmp_path: Path) -> None:
    text = "0 .5 .5 .5 .5 0 0 -.005 -.005\n"
    dataset = read(yolo_folder(tmp_path / "set", {"train/a.jpg": text}, names=["car"], kpt_shape=[2, 2]))
    again = read(yolo.write(dataset, tmp_path / "tree"))
    assert again.labels.keypoints is not None
    assert again.labels.keypoints[0, :, 2].tolist() == [2, 0]


def test_exif_turned_images_keep_their_boxes(tmp_path: Path) -> None:
    document = yolo_folder(tmp_path / "set", {"train/a.jpg": "0 .5 .25 .5 .25\n"})
    picture(tmp_path / "set/images/train/a.jpg", (64, 48), orientation=8)
    dataset = read(document)
    again = read(yolo.write(dataset, tmp_path / "tree"))
    np.testing.assert_allclose(again.labels.boxes, dataset.labels.boxes, atol=0.01)


def test_bccd_becomes_a_tree_without_its_two_boxes_of_no_area(tmp_path: Path, fixtures: Path) -> None:
    dataset = read(fixtures / "bccd")
    again = read(yolo.write(dataset, tmp_path / "tree"))
    assert again.faults == ()
    assert len(again.images) == 364
    assert len(again.labels) == 4886
    assert {split: len(again.split(split).images) for split in again.splits} == {"train": 205, "val": 87, "test": 72}


@pytest.mark.train
def test_ultralytics_sees_the_tree_as_we_do_and_drops_what_we_say_it_drops(tmp_path: Path) -> None:
    """The oracle: its own verification, in a child process, over damaged and sound label files."""
    rng = np.random.default_rng(3)
    words = ["0", "1", "2", "0.5", ".2", "1.005", "1.02", "-0.005", "-0.02", "nan", "x", "0.5", ".3", ".4"]
    labels: dict[str, str | None] = {}
    for number in range(150):
        rows = []
        for _ in range(rng.integers(0, 4)):
            count = rng.choice([5, 5, 5, 5, 5, 6, 4, 7, 9])
            row = [rng.choice(["0", "1", "2"], p=[0.6, 0.35, 0.05])]
            odd = rng.random() < 0.3
            row += [str(rng.choice(words)) if odd else f"{rng.uniform(0.1, 0.9):.3f}" for _ in range(count - 1)]
            rows.append(" ".join(row))
        labels[f"train/{number:03d}.jpg"] = "\n".join(rows)
    document = yolo_folder(tmp_path / "set", labels)
    dataset = read(document)
    from liftgate.data.core.faults import KINDS

    ours = {
        fault.image.split("/")[-1] for fault in dataset.faults if fault.image and KINDS[fault.kind].loses == "image"
    }
    program = (
        "import sys, pathlib\n"
        "from ultralytics.data.utils import verify_image_label, img2label_paths\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).glob('*.jpg')):\n"
        "    label = img2label_paths([str(path)])[0]\n"
        "    found = verify_image_label((str(path), label, '', False, 2, 0, 0, False))\n"
        "    print('RESULT', path.name, -1 if found[0] is None else len(found[1]))\n"
    )
    environment = {"YOLO_OFFLINE": "1", "YOLO_CONFIG_DIR": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin"}
    images = str(tmp_path / "set/images/train")
    done = subprocess.run([sys.executable, "-c", program, images], env=environment, capture_output=True, text=True)
    theirs = dict(line.split()[1:] for line in done.stdout.splitlines() if line.startswith("RESULT"))
    assert len(theirs) == 150, done.stderr
    dropped = {name for name, count in theirs.items() if count == "-1"}
    assert 20 < len(dropped) < 130, "the sample says something"
    assert ours == dropped
    kept = {image.path.name: 0 for image in dataset.images if image.path.name not in dropped}
    for index in dataset.labels.image:
        if (name := dataset.images[index].path.name) in kept:
            kept[name] += 1
    assert kept == {name: int(count) for name, count in theirs.items() if name in kept}


def test_a_split_may_be_given_to_the_tree_by_hand(tmp_path: Path) -> None:
    dataset = read(yolo_folder(tmp_path / "set", {"train/a.jpg": ROW}))
    night = dataset.with_images([replace(image, split="night") for image in dataset.images])
    keys = yaml.safe_load(yolo.write(night, tmp_path / "tree").read_text())
    assert keys["night"] == "night.txt"
    assert (tmp_path / "tree/train.txt").read_text() == ""


def test_a_tree_stands_until_it_or_its_images_are_moved(tmp_path: Path) -> None:
    source = yolo_folder(tmp_path / "set", {"train/a.jpg": ROW, "val/b.jpg": ROW})
    tree = yolo.write(read(source), tmp_path / "tree")
    assert yolo.is_intact(tree)
    (tmp_path / "tree").rename(tmp_path / "moved")
    assert not yolo.is_intact(tree), "there is nothing"
    assert not yolo.is_intact(tmp_path / "moved" / "data.yaml"), "it names the place where it was"
    (tmp_path / "moved").rename(tmp_path / "tree")
    (tmp_path / "set").rename(tmp_path / "elsewhere")
    assert not yolo.is_intact(tree), "its links lead nowhere"
    (tmp_path / "elsewhere").rename(tmp_path / "set")
    assert yolo.is_intact(tree)
    (tmp_path / "tree" / "manifest.json").write_text("{")
    assert not yolo.is_intact(tree)


@pytest.mark.parametrize("name", ["data.yaml", "train.txt", "labels/a.txt", "manifest.json"])
def test_one_changed_byte_in_a_tree_is_noticed_and_the_tree_is_written_anew(tmp_path: Path, name: str) -> None:
    dataset = read(yolo_folder(tmp_path / "set", {"train/a.jpg": ROW, "val/b.jpg": ROW}))
    tree = yolo.write(dataset, tmp_path / "tree")
    path = tmp_path / "tree" / name
    whole = path.read_bytes()
    for place in range(0, len(whole), max(len(whole) // 40, 1)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert not yolo.is_intact(tree), place
    yolo.write(dataset, tmp_path / "tree")
    assert yolo.is_intact(tree) and path.read_bytes() == whole
