"""data.yaml → Dataset: paths as people write them, every oddity a fault, nothing run, nothing raised but DataError."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from liftgate.data.formats.read import read
from liftgate.errors import DataError
from liftgate.testing.data import picture, yolo_folder

ROW = "0 .5 .5 .25 .5\n"


def kinds(dataset) -> list[str]:
    return [fault.kind for fault in dataset.faults]


def test_folders_labels_and_pixels(tmp_path: Path) -> None:
    dataset = read(
        yolo_folder(tmp_path / "set", {"train/a.jpg": "1 .5 .5 .25 .5\n", "val/b.jpg": "", "val/c.jpg": None})
    )
    assert dataset.name == "set"
    assert [(image.id, image.split) for image in dataset.images] == [
        ("images/train/a.jpg", "train"),
        ("images/val/b.jpg", "val"),
        ("images/val/c.jpg", "val"),
    ]
    assert dataset.labels.boxes.tolist() == [[24, 12, 40, 36]]
    assert dataset.labels.area.tolist() == [16 * 24]
    assert dataset.labels.cls.tolist() == [1]
    assert dataset.images[1].label is not None, "an empty file says: nothing there"
    assert dataset.images[2].label is None, "no file says nothing"
    assert dataset.faults == ()


def test_an_absolute_and_a_relative_path_key(tmp_path: Path) -> None:
    yolo_folder(tmp_path / "set", {"train/a.jpg": ROW})
    other = tmp_path / "elsewhere.yaml"
    other.write_text(f"path: {tmp_path}/set\ntrain: images/train\nnames: [cat, dog]\n")
    assert kinds(read(other)) == []
    other.write_text("path: set\ntrain: images/train\nnames: [cat, dog]\n")
    dataset = read(other)
    assert len(dataset.images) == 1
    assert kinds(dataset) == ["path_relative"], "Ultralytics would look in the working directory"


def test_a_path_that_is_not_there_falls_back_to_the_yaml(tmp_path: Path) -> None:
    dataset = read(yolo_folder(tmp_path, {"train/a.jpg": ROW}, path="/content/drive/gone"))
    assert len(dataset.images) == 1
    assert kinds(dataset) == ["path_missing"]
    assert dataset.faults[0].where.endswith("data.yaml:4")


def test_roboflow_paths_are_followed_and_said(tmp_path: Path) -> None:
    picture(tmp_path / "set/train/images/a.jpg")
    (tmp_path / "set/train/labels").mkdir()
    (tmp_path / "set/train/labels/a.txt").write_text(ROW)
    picture(tmp_path / "set/valid/images/b.jpg")
    document = tmp_path / "set/data.yaml"
    document.write_text("train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 1\nnames: ['cat']\n")
    dataset = read(document)
    assert [image.id for image in dataset.images] == ["train/images/a.jpg", "valid/images/b.jpg"]
    assert kinds(dataset) == ["path_roboflow", "path_roboflow", "split_missing"]
    assert len(dataset.labels) == 1


def test_list_files_lists_of_folders_and_repeats(tmp_path: Path) -> None:
    yolo_folder(tmp_path, {"train/a.jpg": ROW, "train/b.jpg": ROW, "more/c.jpg": ROW})
    (tmp_path / "train.txt").write_text(
        f"./images/train/a.jpg\n{tmp_path}/images/train/b.jpg\n./images/train/a.jpg\n\n"
    )
    (tmp_path / "data.yaml").write_text("train: [train.txt, images/more]\nnames: {0: cat}\n")
    dataset = read(tmp_path / "data.yaml")
    assert [image.path.name for image in dataset.images] == ["c.jpg", "a.jpg", "b.jpg"]
    assert kinds(dataset) == ["list_repeats"]


def test_a_line_with_two_slashes_at_its_start_is_one_image(tmp_path: Path) -> None:
    """POSIX leaves open what they mean, and no folder would hold such a path."""
    yolo_folder(tmp_path, {"train/a.jpg": ROW})
    (tmp_path / "train.txt").write_text(f"/{tmp_path}/images/train/a.jpg\n//gone.jpg\n")
    (tmp_path / "data.yaml").write_text("train: train.txt\nnames: {0: cat}\n")
    assert [image.path.as_posix() for image in read(tmp_path / "data.yaml").images] == [
        "/gone.jpg",
        (tmp_path / "images/train/a.jpg").as_posix(),
    ]


def test_lines_relative_without_a_dot_and_lines_that_are_no_image(tmp_path: Path) -> None:
    yolo_folder(tmp_path, {"train/a.jpg": ROW})
    (tmp_path / "train.txt").write_text("images/train/a.jpg\nreadme.md\n./images/train/gone.jpg\n")
    (tmp_path / "data.yaml").write_text("train: train.txt\nnames: {0: cat}\n")
    dataset = read(tmp_path / "data.yaml")
    assert kinds(dataset) == ["list_relative", "list_not_image", "image_missing"]
    assert [image.width for image in dataset.images] == [64, 0]


def test_an_image_in_two_splits_stays_in_the_first(tmp_path: Path) -> None:
    yolo_folder(tmp_path, {"train/a.jpg": ROW})
    (tmp_path / "data.yaml").write_text("train: images/train\nval: images/train\nnames: {0: cat}\n")
    dataset = read(tmp_path / "data.yaml")
    assert dataset.splits == ("train",)
    assert kinds(dataset) == ["split_shared"]


def test_download_is_kept_as_text_and_never_run(tmp_path: Path) -> None:
    script = f"open({str(tmp_path / 'ran')!r}, 'w').close()"
    dataset = read(yolo_folder(tmp_path, {"train/a.jpg": ROW}, val="not/there", download=script))
    assert dataset.raw["download"] == script
    assert not (tmp_path / "ran").exists()
    assert kinds(dataset) == ["split_missing"]


def test_a_bad_row_names_its_image_and_the_good_ones_stay(tmp_path: Path) -> None:
    dataset = read(yolo_folder(tmp_path, {"train/a.jpg": ROW + "5 .5 .5 .1 .1\n"}))
    assert len(dataset.labels) == 1
    (fault,) = dataset.faults
    assert (fault.kind, fault.image) == ("class_out_of_range", "images/train/a.jpg")
    assert fault.where == f"{tmp_path}/labels/train/a.txt:2"


def test_orphan_labels_are_named_but_not_classes_txt(tmp_path: Path) -> None:
    document = yolo_folder(tmp_path, {"train/a.jpg": ROW})
    (tmp_path / "labels/train/gone.txt").write_text(ROW)
    (tmp_path / "labels/train/classes.txt").write_text("cat\ndog\n")
    (fault,) = read(document).faults
    assert fault.kind == "label_orphan"
    assert fault.where.endswith("gone.txt")


def test_broken_images_keep_their_record(tmp_path: Path) -> None:
    document = yolo_folder(tmp_path, {"train/a.jpg": ROW, "train/b.png": ROW, "train/c.jpg": ROW, "train/d.jpg": ROW})
    (tmp_path / "images/train/a.jpg").write_text("this is text")
    (tmp_path / "images/train/b.png").write_bytes(b"")
    whole = (tmp_path / "images/train/c.jpg").read_bytes()
    (tmp_path / "images/train/c.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    picture(tmp_path / "images/train/d.jpg", (9, 40))
    dataset = read(document)
    assert kinds(dataset) == ["image_unreadable", "image_unreadable", "jpeg_end", "image_small"]
    assert [image.width for image in dataset.images] == [0, 0, 64, 9]
    assert len(dataset.labels) == 2, "boxes of an image without a size cannot be placed"


def test_boxes_count_upright_pixels_where_exif_turns_the_image(tmp_path: Path) -> None:
    document = yolo_folder(tmp_path, {"train/a.jpg": "0 .5 .5 .5 .25\n"})
    picture(tmp_path / "images/train/a.jpg", (64, 48), orientation=6)
    dataset = read(document)
    (image,) = dataset.images
    assert (image.width, image.height, image.orientation, image.upright) == (64, 48, 6, (48, 64))
    assert dataset.labels.boxes.tolist() == [[12, 24, 36, 40]]


def test_pose_keys_and_keypoints(tmp_path: Path) -> None:
    keys = {"kpt_shape": [2, 3], "flip_idx": [1, 0], "kpt_names": {0: ["left", "right"]}}
    dataset = read(yolo_folder(tmp_path, {"train/a.jpg": "0 .5 .5 .5 .5 .25 .5 2 .75 .5 1\n"}, names=["car"], **keys))
    assert dataset.keypoints is not None
    assert dataset.keypoints.names == ("left", "right")
    assert dataset.keypoints.flip_idx == (1, 0)
    assert dataset.labels.keypoints is not None
    np.testing.assert_allclose(dataset.labels.keypoints, [[[16, 24, 2], [48, 24, 1]]])


@pytest.mark.parametrize(
    "said", [{0: ["left", "right"]}, {"car": ["left", "right"]}, {1: "right", 0: "left"}, ["left", "right"]]
)
def test_names_of_keypoints_in_every_spelling(tmp_path: Path, said: object) -> None:
    keys = {"kpt_shape": [2, 3], "kpt_names": said}
    dataset = read(yolo_folder(tmp_path, {"train/a.jpg": "0 .5 .5 .5 .5 .25 .5 2 .75 .5 1\n"}, names=["car"], **keys))
    assert dataset.keypoints is not None and dataset.keypoints.names == ("left", "right")


def test_keypoints_without_visibility_are_unlabelled_where_negative(tmp_path: Path) -> None:
    text = "0 .5 .5 .5 .5 .25 .5 -.005 -.005\n"
    dataset = read(yolo_folder(tmp_path, {"train/a.jpg": text}, names=["car"], kpt_shape=[2, 2]))
    assert dataset.labels.keypoints is not None
    np.testing.assert_allclose(dataset.labels.keypoints, [[[16, 24, 2], [0, 0, 0]]])


@pytest.mark.parametrize(
    ("names", "keys", "kind", "classes"),
    [
        (["cat", "dog"], {"nc": 3}, "names_mismatch", ("cat", "dog")),
        (["cat", "cat"], {}, "names_twice", ("cat", "cat")),
        (["yes", False], {}, "names_not_text", ("yes", "False")),
    ],
)
def test_odd_class_lists(tmp_path: Path, names: list, keys: dict, kind: str, classes: tuple[str, ...]) -> None:
    dataset = read(yolo_folder(tmp_path, {"train/a.jpg": ROW}, names, **keys))
    assert kinds(dataset) == [kind]
    assert dataset.classes == classes


def test_names_by_index_may_have_gaps(tmp_path: Path) -> None:
    document = yolo_folder(tmp_path, {"train/a.jpg": ROW})
    document.write_text("train: images/train\nnames: {2: dog, 0: cat}\n")
    dataset = read(document)
    assert dataset.classes == ("cat", "class_1", "dog")
    assert kinds(dataset) == ["names_gap"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("names: [a\ntrain: x\n", "data.yaml:2"),
        ("just a sentence", "keys such as"),
        ("train: x\n", "no class names"),
        ("train: x\nnames: cat\n", "data.yaml:2"),
        ("train: x\nnames: []\n", "empty"),
        ("train: x\nnc: many\n", "data.yaml:2"),
        ("train: x\nnames: [a]\nkpt_shape: [17, 4]\n", "data.yaml:3"),
        ("train: x\nnames: {a: b}\n", "class index"),
        ("train: x\nnames: [[a]]\n", "no text"),
        ("? [a, b]\n: c\n", "data.yaml"),
        ("!!python/object/apply:os.system ['true']", "data.yaml"),
        ("a: 2019-99-99", "data.yaml"),
        ("&a [*a]", "data.yaml"),
        ("[" * 1100, "data.yaml"),
    ],
)
def test_a_yaml_that_cannot_be_understood_is_one_clear_error(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "data.yaml")
    assert says in str(caught.value)


def test_a_yaml_of_nested_aliases_does_not_explode(tmp_path: Path) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    (tmp_path / "data.yaml").write_text(bomb + "train: *i\nnames: *i\n")
    with pytest.raises(DataError):
        read(tmp_path / "data.yaml")


def test_a_label_file_that_is_no_text(tmp_path: Path) -> None:
    document = yolo_folder(tmp_path, {"train/a.jpg": ROW, "train/b.jpg": ROW})
    (tmp_path / "labels/train/a.txt").write_bytes(b"\xff\xfe0\x00 \x00")
    (tmp_path / "labels/train/b.txt").write_bytes(b"\xef\xbb\xbf" + ROW.encode())
    dataset = read(document)
    assert kinds(dataset) == ["label_not_text"]
    assert len(dataset.labels) == 1, "a byte-order mark is no fault"


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    document = yolo_folder(tmp_path, {"train/a.jpg": ROW})
    (tmp_path / "images/train/again").symlink_to(tmp_path / "images/train")
    assert len(read(document).images) == 1


def test_a_linked_image_has_its_label_beside_the_link(tmp_path: Path) -> None:
    document = yolo_folder(tmp_path, {"train/a.jpg": ROW})
    real = picture(tmp_path / "store/images/other.jpg", seed=9)
    (tmp_path / "images/train/b.jpg").symlink_to(real)
    (tmp_path / "labels/train/b.txt").write_text(ROW)
    dataset = read(document)
    assert len(dataset.labels) == 2


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "gone.yaml")
    with pytest.raises(DataError, match="no data set in this folder"):
        read(tmp_path)


def test_dice_has_250_photographs_and_1795_boxes(tmp_path: Path, fixtures: Path) -> None:
    document = tmp_path / "data.yaml"
    document.write_text(
        f"path: {fixtures}/dice\ntrain: images/train\ntest: images/test\nnames: [one, two, three, four, five, six]\n"
    )
    dataset = read(document)
    assert len(dataset.images) == 250
    assert len(dataset.labels) == 1795
    assert {split: len(dataset.split(split).images) for split in dataset.splits} == {"train": 200, "test": 50}
    assert dataset.faults == ()


def test_label_paths_follow_the_last_images_folder() -> None:
    from liftgate.data.formats.yolo.reader import label_path

    assert label_path(Path("/images/a/images/b.jpg")) == Path("/images/a/labels/b.txt")
    assert label_path(Path("/d/pictures/b.jpg")) == Path("/d/pictures/b.txt")


def test_a_disk_named_as_a_folder_of_images_is_said_and_not_walked(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    for number in range(2_100):
        (disk / f"{number:04d}").mkdir(parents=True)
    (tmp_path / "data.yaml").write_text("path: .\ntrain: disk\nval: disk\nnames: [a]\n")
    dataset = read(tmp_path / "data.yaml")
    assert not dataset.images
    assert any("no folder of images" in fault.message for fault in dataset.faults)
