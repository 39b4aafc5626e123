"""COCO JSON → Dataset."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liftgate.data.core.faults import KINDS
from liftgate.data.formats import coco
from liftgate.data.formats.read import read
from liftgate.errors import DataError, LiftgateError
from liftgate.testing.data import picture


def document(**parts: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 64, "height": 48}],
        "categories": [{"id": 5, "name": "dog"}, {"id": 2, "name": "cat"}],
        "annotations": [
            {"id": 11, "image_id": 7, "category_id": 5, "bbox": [1, 2, 10, 20], "area": 150.5, "iscrowd": 0},
            {"id": 12, "image_id": 7, "category_id": 2, "bbox": [0, 0, 4, 4], "iscrowd": 1},
        ],
    }
    return whole | parts


def save(folder: Path, value: Any, name: str = "instances_val2017.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def kinds(dataset) -> list[str]:
    return [fault.kind for fault in dataset.faults]


@pytest.mark.parametrize("table", ["images", "categories", "annotations"])
def test_a_table_that_is_there_twice_is_refused(tmp_path: Path, table: str) -> None:
    text = json.dumps(document())
    assert len(read(save(tmp_path, text)).labels) == 2
    with pytest.raises(DataError, match=f"`{table}` is there twice"):
        read(save(tmp_path, f'{text[:-1]}, "{table}": []}}'))


@pytest.mark.parametrize("number", ["0", "NaN"], ids=["JSON", "NaN beside it"])
@pytest.mark.parametrize("table", ["images", "categories", "annotations"])
def test_a_key_that_a_row_has_twice_is_refused(tmp_path: Path, table: str, number: str) -> None:
    text = json.dumps(document())
    for key in document()[table][0]:
        twice = text.replace(f'"{table}": [{{', f'"{table}": [{{"{key}": {number}, ', 1)
        assert twice != text
        with pytest.raises(DataError, match=f"the key '{key}' is there twice"):
            read(save(tmp_path, twice))


def test_a_word_that_is_there_twice_is_no_table(tmp_path: Path) -> None:
    named = document(info={"images": 1, "annotations": 2, "said": '"annotations": "images"'})
    assert len(read(save(tmp_path, named)).labels) == 2


def test_classes_stand_in_the_order_of_their_ids(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    dataset = read(save(tmp_path, document()))
    assert dataset.classes == ("cat", "dog")
    assert dataset.category_ids == (2, 5)
    assert dataset.labels.cls.tolist() == [1, 0]
    assert dataset.labels.boxes.tolist() == [[1, 2, 11, 22], [0, 0, 4, 4]]
    assert dataset.labels.area.tolist() == [150.5, 16]
    assert dataset.labels.crowd.tolist() == [False, True]
    assert dataset.labels.line.tolist() == [11, 12]
    assert dataset.images[0].coco_id == 7
    assert dataset.splits == ("val",)
    assert dataset.faults == ()


@pytest.mark.parametrize(
    ("json_at", "image_at", "split"),
    [
        ("annotations/instances_train2017.json", "images/a.jpg", "train"),
        ("annotations/instances_train2017.json", "train2017/a.jpg", "train"),
        ("annotations/instances_val2017.json", "images/val2017/a.jpg", "val"),
        ("valid/_annotations.coco.json", "valid/a.jpg", "val"),
        ("labels.json", "a.jpg", None),
        ("labels.json", "images/a.jpg", None),
    ],
)
def test_images_are_found_where_people_keep_them(
    tmp_path: Path, json_at: str, image_at: str, split: str | None
) -> None:
    image = picture(tmp_path / image_at)
    target = tmp_path / json_at
    dataset = read(save(target.parent, document(), target.name))
    assert dataset.images[0].path == image
    assert dataset.images[0].split == split
    assert dataset.faults == ()


def test_images_may_be_named(tmp_path: Path) -> None:
    image = picture(tmp_path / "pictures/deep/a.jpg")
    dataset = read(save(tmp_path / "labels", document()), images=tmp_path / "pictures/deep")
    assert dataset.images[0].path == image


def test_without_images_the_sizes_of_the_json_are_believed(tmp_path: Path) -> None:
    dataset = read(save(tmp_path, document()))
    assert kinds(dataset) == ["images_missing"]
    assert dataset.images[0].upright == (64, 48)
    assert len(dataset.labels) == 2


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"category_id": 3}, "category_unknown"),
        ({"image_id": 8}, "label_orphan"),
        ({"bbox": None}, "box_missing"),
        ({"bbox": [1, 2, 3]}, "row_columns"),
        ({"bbox": [1, 2, float("nan"), 3]}, "row_not_number"),
        ({"bbox": [1, 2, 1e300, 3]}, "row_not_number"),
        ({"bbox": [1, 2, -3, 3]}, "box_inverted"),
        ({"bbox": "1 2 3 4"}, "row_columns"),
        ({"category_id": "dog"}, "row_columns"),
        ({"id": 11}, "id_twice"),
    ],
)
def test_a_bad_annotation_is_named_and_the_others_stay(tmp_path: Path, change: dict, kind: str) -> None:
    picture(tmp_path / "a.jpg")
    value = document()
    value["annotations"].append({"id": 99, "image_id": 7, "category_id": 5, "bbox": [1, 1, 2, 2]} | change)
    dataset = read(save(tmp_path, value))
    assert kinds(dataset) == [kind]
    assert dataset.faults[0].image == (None if kind == "label_orphan" else "a.jpg")
    assert len(dataset.labels) == (3 if kind == "id_twice" else 2)


def test_ids_as_numbers_and_text_meet_by_their_spelling(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    value = document(images=[{"id": "7", "file_name": "a.jpg"}])
    dataset = read(save(tmp_path, value))
    assert kinds(dataset) == ["id_type_mixed"]
    assert len(dataset.labels) == 2
    assert dataset.images[0].coco_id == "7"


def test_two_records_for_one_image(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    row = {"id": 7, "file_name": "a.jpg", "width": 64, "height": 48}
    dataset = read(save(tmp_path, document(images=[row, row | {"file_name": "b.jpg"}, row | {"id": 8}])))
    assert [image.id for image in dataset.images] == ["a.jpg", "a.jpg#8"]
    assert kinds(dataset) == ["image_twice", "image_twice"]


def test_file_names_cannot_leave_the_folder(tmp_path: Path) -> None:
    names = ["../../../etc/passwd", "/etc/hostname", "C:\\x\\a.jpg", ""]
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    dataset = read(save(tmp_path, document(images=images, annotations=[])))
    assert [image.id for image in dataset.images] == ["etc/passwd", "etc/hostname", "x/a.jpg", "image-3"]
    assert all(image.path.is_relative_to(tmp_path) for image in dataset.images)


def test_a_size_that_is_not_the_files_is_said(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg", (48, 64))
    assert kinds(read(save(tmp_path, document()))) == ["size_differs"]


def test_keypoints_with_their_names(tmp_path: Path) -> None:
    category = {"id": 1, "name": "car", "keypoints": ["left", "right"], "flip_idx": [1, 0]}
    row = {"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 9, 9], "keypoints": [1, 2, 2, 3, 4, 1]}
    bad = row | {"id": 2, "keypoints": [1, 2]}
    dataset = read(save(tmp_path, document(categories=[category], annotations=[row, bad])), images=tmp_path)
    assert dataset.keypoints is not None
    assert dataset.keypoints.names == ("left", "right")
    assert dataset.keypoints.flip_idx == (1, 0)
    assert dataset.labels.keypoints is not None
    assert dataset.labels.keypoints.tolist() == [[[1, 2, 2], [3, 4, 1]]]
    assert kinds(dataset) == ["image_missing", "row_columns"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cut off"),
        ('{"images": [],\n "annotations": [{"id": 1,', ":2"),
        ('{"images": [}', "not valid JSON"),
        ("[]", "not a COCO data set"),
        ("{}", "images"),
        ('{"images": [], "categories": []}', "no categories"),
        ('{"images": [], "categories": [{"id": 1}]}', "no categories"),
        ("[" * 100_000, "not a COCO"),
        ('{"images": ' + "[" * 100_000, "JSON"),
        ('{"images": "\\ud800"}', "JSON"),
    ],
)
def test_what_is_no_coco_is_one_clear_error(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(save(tmp_path, text))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{"images": ["\xff\xfe"]}')
    with pytest.raises(DataError):
        read(tmp_path / "a.json")


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_thousands_of_damaged_files_raise_nothing_but_our_own_error(tmp_path: Path, count: int) -> None:
    draw = random.Random(0)
    whole = json.dumps(document())
    path = tmp_path / "a.json"
    read_whole = 0
    for _ in range(count):
        letters = list(whole)
        for _ in range(draw.randint(1, 4)):
            place = draw.randrange(len(letters))
            if draw.random() < 0.5:
                letters[place] = draw.choice('0123456789.-eE[]{}",: nulltrue\\x\u00e9')
            else:
                del letters[place : place + draw.randint(1, 12)]
            if not letters:
                break
        path.write_text("".join(letters))
        try:
            dataset = coco.read(path)
        except LiftgateError:
            continue
        read_whole += 1
        assert {fault.kind for fault in dataset.faults} <= KINDS.keys()
        assert np.isfinite(dataset.labels.boxes).all()
    assert read_whole > count / 20, "the damage must not hit everything"


_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_ROW = st.dictionaries(
    st.sampled_from(
        [
            "id",
            "image_id",
            "category_id",
            "bbox",
            "area",
            "iscrowd",
            "keypoints",
            "name",
            "file_name",
            "width",
            "height",
        ]
    ),
    _VALUE | st.integers(0, 3) | st.lists(st.floats(), min_size=4, max_size=4),
    max_size=8,
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(images=st.lists(_ROW, max_size=3), rows=st.lists(_ROW, max_size=4), categories=st.lists(_ROW, max_size=3))
def test_rows_of_any_type_raise_nothing_but_our_own_error(
    tmp_path: Path, images: list, rows: list, categories: list
) -> None:
    good = document()
    value = {
        "images": good["images"] + images,
        "annotations": good["annotations"] + rows,
        "categories": good["categories"] + categories,
    }
    dataset = read(save(tmp_path, value))
    assert len(dataset.labels) >= 2
    assert np.isfinite(dataset.labels.boxes).all()


@pytest.mark.parametrize("part", ["images", "annotations", "categories"])
def test_a_row_that_is_no_utf8_is_a_fault_of_that_row(tmp_path: Path, part: str) -> None:
    value = document()
    value[part].append({**value[part][-1], "id": 99, "file_name": "XX", "name": "XX"})
    path = save(tmp_path, value)
    path.write_bytes(path.read_bytes().replace(b"XX", b"\xd6\xff"))
    if part == "annotations":  # its text is nobody's field: the row itself is sound
        assert len(read(path).labels) == 3
    else:
        assert "row_columns" in {fault.kind for fault in read(path).faults}


def test_coco_cc(fixtures: Path) -> None:
    folder = fixtures / "coco_cc/annotations"
    train, val = read(folder / "instances_train2017.json"), read(folder / "instances_val2017.json")
    assert (len(train.images), len(val.images)) == (26, 25)
    assert train.faults == val.faults == ()
    assert len(train.classes) == 80
    assert train.category_ids[-1] == 90
    people = sum(int((part.labels.cls == 0).sum()) for part in (train, val))
    assert people == 109
    pose = read(folder / "person_keypoints_val2017.json")
    assert pose.labels.keypoints is not None
    assert pose.labels.keypoints.shape == (44, 17, 3)


def test_the_evaluator_fixture_reads_as_pycocotools_does(fixtures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pycocotools = pytest.importorskip("pycocotools.coco")
    path = fixtures / "evaluator/instances_val2014_100.json"
    dataset, theirs = read(path), pycocotools.COCO(str(path))
    capsys.readouterr()
    assert len(dataset.images) == len(theirs.imgs) == 100
    assert len(dataset.labels) == len(theirs.anns) == 839
    for row, line in enumerate(dataset.labels.line.tolist()):
        annotation = theirs.anns[line]
        left, top, width, height = annotation["bbox"]
        assert dataset.labels.boxes[row].tolist() == [left, top, left + width, top + height]
        assert dataset.labels.area[row] == annotation["area"]
        assert dataset.category_ids[dataset.labels.cls[row]] == annotation["category_id"]


def test_writing_and_reading_back(tmp_path: Path, fixtures: Path) -> None:
    for name in ("instances_val2017", "person_keypoints_train2017"):
        dataset = read(fixtures / f"coco_cc/annotations/{name}.json")
        again = read(coco.write(dataset, tmp_path / f"{name}.json"), images=fixtures / "coco_cc/images")
        assert again.faults == ()
        assert again.classes == dataset.classes
        assert again.category_ids == dataset.category_ids
        assert [(i.id, i.coco_id, i.width, i.split) for i in again.images] == [
            (i.id, i.coco_id, i.width, i.split) for i in dataset.images
        ]
        for column in ("image", "cls", "area", "crowd", "ignore", "line"):
            np.testing.assert_array_equal(getattr(again.labels, column), getattr(dataset.labels, column))
        np.testing.assert_allclose(again.labels.boxes, dataset.labels.boxes, atol=1e-9)
        if dataset.labels.keypoints is not None:
            np.testing.assert_array_equal(again.labels.keypoints, dataset.labels.keypoints)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_sound_rows_read_at_once_are_those_that_are_read_one_by_one(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from liftgate.data.formats.coco import annotations

    number = st.floats(-1e10, 1e10) | st.integers(-3, 10**6)
    size = st.floats(0, 1e4) | st.integers(0, 5)
    said = data.draw(
        st.lists(
            st.fixed_dictionaries(
                {"image_id": st.integers(1, 3), "category_id": st.integers(1, 2)},
                optional={
                    "bbox": st.tuples(number, number, size, size) | st.none(),
                    "id": st.integers(-(2**63), 2**64) | st.none() | st.text(max_size=2),
                    "area": number | st.none(),
                    "iscrowd": st.sampled_from([0, 1, None, True]),
                    "ignore": st.sampled_from([0, 1]),
                },
            ),
            max_size=6,
        )
    )
    path = tmp_path_factory.mktemp("r") / "t.json"
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 9, "height": 9} for i in (1, 2)]
    categories = [{"id": i, "name": f"c{i}"} for i in (1, 2)]
    path.write_text(json.dumps({"images": images, "categories": categories, "annotations": said}))
    with pytest.MonkeyPatch.context() as patch:
        fast = coco.read(path)
        patch.setattr(annotations, "read_sound_rows", lambda *_: None)
        slow = coco.read(path)
    assert fast.truth_hash() == slow.truth_hash()
    assert fast.faults == slow.faults


def test_roboflows_category_0_is_left_out_as_long_as_nothing_is_of_it(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    categories = [
        {"id": 0, "name": "pets", "supercategory": "none"},
        {"id": 1, "name": "cat", "supercategory": "pets"},
        {"id": 2, "name": "dog", "supercategory": "pets"},
    ]
    rows = [{"id": 0, "image_id": 7, "category_id": 2, "bbox": [1, 2, 10, 20]}]
    dataset = read(save(tmp_path, document(categories=categories, annotations=rows)))
    assert (dataset.classes, dataset.category_ids) == (("cat", "dog"), (1, 2))
    assert dataset.labels.cls.tolist() == [1]
    rows.append({"id": 1, "image_id": 7, "category_id": 0, "bbox": [1, 2, 10, 20]})
    dataset = read(save(tmp_path, document(categories=categories, annotations=rows)))
    assert dataset.classes == ("pets", "cat", "dog")
    assert dataset.labels.cls.tolist() == [2, 0]


@pytest.mark.parametrize(
    ("licences", "used", "binding"),
    [
        ([{"id": 4, "url": "http://creativecommons.org/licenses/by/2.0/", "name": "x"}], [4, 4], "CC-BY-2.0"),
        ([{"id": 1, "name": "CC BY 4.0"}, {"id": 2, "name": "CC0"}], [1, 2], "CC-BY-4.0"),
        ([{"id": 1, "name": "CC BY 4.0"}], [1, None], None),
        ([{"id": 1, "name": "CC BY 4.0"}], [1, 9], None),
        ([{"id": "1", "name": "Unknown"}], ["1", "1"], None),
        (None, [1, 1], None),
        ("MIT", [1, 1], None),
        ([{"name": "no id"}, 7], [1, 1], None),
    ],
)
def test_the_licence_is_the_strictest_that_an_image_names(
    tmp_path: Path, licences: Any, used: list[Any], binding: str | None
) -> None:
    for name in "ab":
        picture(tmp_path / f"{name}.jpg")
    images = [
        {"id": number, "file_name": f"{'ab'[number]}.jpg", "width": 64, "height": 48, "license": licence}
        for number, licence in enumerate(used)
    ]
    assert read(save(tmp_path, document(images=images, annotations=[], licenses=licences))).licence == binding


def test_a_large_file_is_mapped_and_read_in_pieces_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a.jpg")
    rows = [{"id": n, "image_id": 7, "category_id": 2, "bbox": [n, 2, 10, 20]} for n in range(1, 8)]
    damaged = json.dumps(document(annotations=[*rows, {**rows[0], "id": 9}])).replace("[1, 2", "[NaN, 2", 1)
    texts = [json.dumps(document(annotations=rows)), "\ufeff" + json.dumps(document(annotations=rows)), damaged]
    before = [read(save(tmp_path, text)) for text in texts]
    monkeypatch.setattr("liftgate.data.formats.coco.document.MAP_FROM_BYTES", 0)
    monkeypatch.setattr("liftgate.data.formats.coco.annotations.ROWS_AT_ONCE", 3)
    for text, whole in zip(texts, before, strict=True):
        again = read(save(tmp_path, text))
        assert again.truth_hash() == whole.truth_hash()
        assert again.labels.line.tolist() == whole.labels.line.tolist()
        assert again.faults == whole.faults
    with pytest.raises(DataError, match=r"not valid JSON|cut off"):
        read(save(tmp_path, texts[0][:200]))
    twice = [*rows, rows[0]]
    assert kinds(read(save(tmp_path, document(annotations=twice)))) == ["id_twice"], "also in another piece"
