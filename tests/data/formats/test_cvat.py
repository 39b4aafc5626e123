"""CVAT XML 1.1 → Dataset: images, video tracks, skeletons; broken, cut-off and hostile files."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.filters import keep_classes
from liftgate.data.formats import cvat
from liftgate.data.formats.read import read
from liftgate.data.formats.write import format_losses, write_dataset
from liftgate.errors import DataError
from liftgate.testing.data import picture

META = (
    "<meta><task><name>t</name><labels><label><name>dog</name></label><label><name>cat</name></label></labels></task>"
    "</meta>"
)


def save(folder: Path, *parts: str, meta: str = META) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "annotations.xml"
    path.write_text(f"<annotations><version>1.1</version>{meta}{''.join(parts)}</annotations>")
    return path


def image(name: str, *shapes: str, more: str = "") -> str:
    return f'<image id="0" name="{name}" width="64" height="48" {more}>{"".join(shapes)}</image>'


def box(label: str, *sides: float, inside: str = "", more: str = "") -> str:
    at = " ".join(f'{side}="{value}"' for side, value in zip(("xtl", "ytl", "xbr", "ybr"), sides, strict=True))
    return f'<box label="{label}" {at} {more}>{inside}</box>'


def test_boxes_labels_subsets_and_empty_images(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.jpg")
    picture(tmp_path / "images/sub/b.jpg")
    path = save(
        tmp_path,
        image("a.jpg", box("cat", 1, 2, 11.5, 22), box("dog", 0, 0, 5, 5), more='subset="Train"'),
        image("sub/b.jpg", more='subset="Validation"'),
    )
    dataset = read(path)
    assert dataset.classes == ("dog", "cat"), "the task's order"
    assert dataset.labels.boxes.tolist() == [[1, 2, 11.5, 22], [0, 0, 5, 5]]
    assert dataset.labels.cls.tolist() == [1, 0]
    assert dataset.labels.line.tolist() == [1, 2]
    assert [(i.id, i.split) for i in dataset.images] == [("a.jpg", "train"), ("sub/b.jpg", "val")]
    assert dataset.faults == ()
    assert read(tmp_path).format == "cvat"


def test_other_shapes_become_the_box_around_them(tmp_path: Path) -> None:
    shapes = (
        '<polygon label="cat" points="1,1;5,1;5,9"/>',
        '<ellipse label="cat" cx="20" cy="20" rx="4" ry="2"/>',
        '<mask label="cat" left="3" top="4" width="5" height="6" rle="1"/>',
        box("cat", 10, 10, 20, 20, more='rotation="45"'),
        '<points label="cat" points="1,1"/>',
        '<tag label="cat"/>',
    )
    dataset = read(save(tmp_path, image("a.jpg", *shapes)))
    half = 5 * 2**0.5
    expected = [[1, 1, 5, 9], [16, 18, 24, 22], [3, 4, 8, 10], [15 - half, 15 - half, 15 + half, 15 + half]]
    np.testing.assert_allclose(dataset.labels.boxes, expected)
    np.testing.assert_allclose(dataset.labels.area, [16, np.pi * 8, 30, 100])


def test_crowd_and_ignore_are_attributes(tmp_path: Path) -> None:
    crowd = '<attribute name="is_crowd">true</attribute>'
    ignore = '<attribute name="difficult">1</attribute><attribute name="colour">red</attribute>'
    dataset = read(
        save(tmp_path, image("a.jpg", box("cat", 0, 0, 1, 1, inside=crowd), box("cat", 0, 0, 1, 1, inside=ignore)))
    )
    assert dataset.labels.crowd.tolist() == [True, False]
    assert dataset.labels.ignore.tolist() == [False, True]


def test_a_track_fills_the_gaps_between_key_frames_and_ends_where_it_leaves(tmp_path: Path) -> None:
    meta = META.replace("<labels>", "<original_size><width>64</width><height>48</height></original_size><labels>")
    meta = meta.replace("</task>", "</task><source>car.mp4</source>")

    def key(frame: int, left: float, outside: int = 0) -> str:
        return f'<box frame="{frame}" keyframe="1" outside="{outside}" xtl="{left}" ytl="0" xbr="{left + 10}" ybr="8"/>'

    track = f'<track id="0" label="cat">{key(0, 0)}{key(4, 8)}{key(6, 20, outside=1)}{key(8, 30)}</track>'
    dataset = read(save(tmp_path, track, meta=meta))
    found = {
        dataset.images[i].id: b[0] for i, b in zip(dataset.labels.image, dataset.labels.boxes.tolist(), strict=True)
    }
    assert found == {
        "frame_000000": 0,
        "frame_000001": 2,
        "frame_000002": 4,
        "frame_000003": 6,
        "frame_000004": 8,
        "frame_000005": 8,
        "frame_000008": 30,
    }
    assert {image.group for image in dataset.images} == {"car"}, "frames of one video are one group"
    assert dataset.images[0].upright == (64, 48)


def test_frames_of_a_video_find_their_files(tmp_path: Path) -> None:
    picture(tmp_path / "images/frame_000003.png")
    track = '<track id="0" label="cat"><box frame="3" outside="0" xtl="0" ytl="0" xbr="9" ybr="9"/></track>'
    dataset = read(save(tmp_path, track))
    assert dataset.images[0].path.name == "frame_000003.png"
    assert dataset.faults == ()


def test_skeletons_become_keypoints(tmp_path: Path) -> None:
    meta = META.replace(
        "</labels>",
        "<label><name>nose</name><parent>cat</parent></label><label><name>tail</name><parent>cat</parent></label></labels>",
    )
    skeleton = (
        '<skeleton label="cat"><points label="nose" outside="0" occluded="1" points="3,4"/>'
        '<points label="tail" outside="1" occluded="0" points="0,0"/></skeleton>'
    )
    dataset = read(save(tmp_path, image("a.jpg", skeleton, box("dog", 0, 0, 5, 5)), meta=meta))
    assert dataset.classes == ("dog", "cat")
    assert dataset.keypoints is not None
    assert dataset.keypoints.names == ("nose", "tail")
    assert dataset.labels.keypoints is not None
    assert dataset.labels.keypoints.tolist() == [[[3, 4, 1], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]]


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ('<box label="cat" xtl="1" ytl="2" xbr="3"/>', "box_missing"),
        (box("cat", 1, 2, 3, float("nan")), "row_not_number"),
        (box("cat", 9, 2, 3, 4), "box_inverted"),
        (box("", 1, 2, 3, 4), "row_columns"),
        ('<polygon label="cat" points="1,1;x"/>', "row_not_number"),
        ('<polygon label="cat"/>', "row_not_number"),
        ('<skeleton label="cat"/>', "box_missing"),
        ('<cuboid label="cat"/>', "box_missing"),
    ],
)
def test_a_bad_shape_is_left_out_and_named(tmp_path: Path, shape: str, kind: str) -> None:
    picture(tmp_path / "images/a.jpg")
    dataset = read(save(tmp_path, image("a.jpg", box("cat", 0, 0, 1, 1), shape)))
    assert len(dataset.labels) == 1
    (fault,) = dataset.faults
    assert (fault.kind, fault.image) == (kind, "a.jpg")
    assert fault.where.endswith("annotations.xml: a.jpg, object 2")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<annotations>\n<image>\n", r"annotations.xml:3"),
        ("", "broken"),
        ("<kml/>", "not a CVAT XML"),
        ('<!DOCTYPE a [<!ENTITY b "x">]><annotations>&b;</annotations>', "refused"),
        (
            '<annotations><track id="0" label="a"><box frame="0" xtl="0" ytl="0" xbr="1" ybr="1"/>'
            '<box frame="9999999" xtl="0" ytl="0" xbr="1" ybr="1"/></track></annotations>',
            "too many boxes",
        ),
    ],
)
def test_what_is_no_cvat_is_one_clear_error(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "annotations.xml").write_text(text)
    with pytest.raises(DataError, match=says):
        read(tmp_path / "annotations.xml")


def test_a_zip_is_read_without_unpacking_and_names_that_climb_go_nowhere(tmp_path: Path) -> None:
    path = save(tmp_path / "a", image("../../../etc/x.jpg", box("cat", 0, 0, 1, 1)))
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.write(path, "annotations.xml")
        archive.writestr("../../evil.txt", "boo")
    before = sorted(tmp_path.rglob("*"))
    dataset = read(tmp_path / "export.zip")
    assert [image.id for image in dataset.images] == ["etc/x.jpg"]
    assert dataset.images[0].path.is_relative_to(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_zips_that_cannot_be_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("readme.txt", "boo")
    (tmp_path / "text.zip").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "cut.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations.xml", "<annotations>" + "<image/>" * 10_000 + "</annotations>")
    data = bytearray((tmp_path / "cut.zip").read_bytes())
    data[60:100] = bytes(40)
    (tmp_path / "cut.zip").write_bytes(data)
    for name in ("none", "text", "cut"):
        with pytest.raises(DataError):
            read(tmp_path / f"{name}.zip")


def test_writing_and_reading_back_keeps_classes_in_order_and_flags(tmp_path: Path, fixtures: Path) -> None:
    dataset = read(fixtures / "coco_cc/annotations/instances_train2017.json")
    again = read(cvat.write(dataset, tmp_path / "out"))
    assert again.faults == ()
    assert again.classes == dataset.classes
    assert [(i.id, i.split, i.width) for i in again.images] == [(i.id, i.split, i.width) for i in dataset.images]
    np.testing.assert_array_equal(again.labels.crowd.sum(), dataset.labels.crowd.sum())
    assert len(again.labels) == len(dataset.labels)


def test_keypoints_survive_and_hidden_ones_stay_hidden(tmp_path: Path, fixtures: Path) -> None:
    dataset = read(fixtures / "coco_cc/annotations/person_keypoints_train2017.json")
    again = read(cvat.write(dataset, tmp_path / "out"))
    assert again.keypoints is not None
    assert dataset.keypoints is not None
    assert again.keypoints.names == dataset.keypoints.names
    assert again.labels.keypoints is not None
    assert dataset.labels.keypoints is not None
    before = dataset.labels.keypoints[np.argsort(dataset.labels.image, kind="stable")]
    np.testing.assert_allclose(again.labels.keypoints, before, atol=0.001)


VIDEO = (
    "<meta><task><name>t</name><original_size><width>64</width><height>48</height></original_size>"
    "<source>gate 3.mp4</source><labels><label><name>dog</name></label><label><name>cat</name></label></labels>"
    "</task></meta>"
)


def _two_tracks(folder: Path) -> Path:
    def at(frame: int, x: float, outside: int = 0) -> str:
        return f'<box frame="{frame}" outside="{outside}" xtl="{x}" ytl="2" xbr="{x + 9.5}" ybr="22"></box>'

    first = f'<track id="0" label="cat">{at(2, 1)}{at(6, 9)}{at(8, 9, 1)}{at(11, 20)}{at(12, 20, 1)}</track>'
    second = f'<track id="1" label="dog">{at(4, 30)}{at(5, 31)}{at(6, 31, 1)}</track>'
    return save(folder, first, second, meta=VIDEO)


def _objects(dataset: Dataset) -> set[tuple[object, ...]]:
    owners = dataset.raw["tracks"]
    return {
        (image, dataset.classes[cls], owners[image][line - 1], *map(float, box))
        for image, cls, line, box in zip(
            [dataset.images[i].id for i in dataset.labels.image],
            dataset.labels.cls.tolist(),
            dataset.labels.line.tolist(),
            dataset.labels.boxes.round(3).tolist(),
            strict=True,
        )
    }


def test_tracks_are_written_as_tracks_and_come_back_with_their_identity(tmp_path: Path) -> None:
    before = read(_two_tracks(tmp_path / "a"))
    assert format_losses(before, "cvat") == ()
    (written,) = write_dataset(before, "cvat", tmp_path / "b").files
    assert written.read_text().count("<track ") == 2 and "<image " not in written.read_text()
    after = read(written)
    assert _objects(after) == _objects(before)
    assert {image.group for image in after.images} == {"gate 3"}
    assert [image.upright for image in after.images] == [(64, 48)] * len(before.images)


def test_a_choice_of_classes_keeps_the_tracks_of_the_others(tmp_path: Path) -> None:
    before = read(_two_tracks(tmp_path / "a"))
    cats = keep_classes(before, ["cat"])
    seen = cats.take(np.unique(cats.labels.image))
    (written,) = write_dataset(seen, "cvat", tmp_path / "b").files
    assert {row[0:2] + row[3:] for row in _objects(read(written))} == {
        row[0:2] + row[3:] for row in _objects(before) if row[1] == "cat"
    }


@pytest.mark.parametrize("to", ["yolo", "coco", "voc"])
def test_that_a_format_knows_no_tracks_is_said(to: str, tmp_path: Path) -> None:
    (said,) = [loss for loss in format_losses(read(_two_tracks(tmp_path)), to) if loss.what.startswith("tracks")]
    assert said.count == 2


def test_frames_in_splits_are_written_as_images_and_that_is_said(tmp_path: Path) -> None:
    before = read(_two_tracks(tmp_path / "a"))
    split = before.with_images([replace(image, split="train") for image in before.images])
    written = write_dataset(split, "cvat", tmp_path / "b")
    assert "<track " not in written.files[0].read_text()
    assert any(loss.what.startswith("tracks") for loss in written.losses)
    assert len(read(written.files[0]).labels) == len(before.labels)


def test_a_zip_whose_xml_swells_a_thousandfold_is_a_bomb(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations.xml", b"<annotations>" + b"<a/>" * (5 << 20) + b"</annotations>")
    with pytest.raises(DataError, match="bomb"):
        read(tmp_path / "x.zip")


def test_elements_that_nobody_knows_are_let_go(tmp_path: Path) -> None:
    import tracemalloc

    path = save(tmp_path, "<a/>" * 200_000, image("a.jpg", box("cat", 1, 2, 3, 4)))
    tracemalloc.start()
    try:
        assert len(read(path).labels) == 1
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
