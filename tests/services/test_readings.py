"""What is read is what is meant: class numbers, image ids, limits and truth that cannot be used (issue 12, A)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import liftgate
from liftgate.data.detections import read_all_predictions, read_predictions
from liftgate.data.formats.read import read
from liftgate.errors import DataError, LiftgateError, UsageError
from liftgate.testing.data import picture, yolo_folder

BOX = [10.0, 10.0, 40.0, 30.0]


def truth(path: Path, names: list[str], classes: list[int], n: int = 3, **changes: Any) -> Path:
    """Write a COCO JSON with one object on each image; `classes` are category ids from 1."""
    images = [{"id": i + 1, "file_name": name, "width": 160, "height": 120} for i, name in enumerate(names)]
    annotations = [
        {"id": i + 1, "image_id": i + 1, "category_id": cls, "bbox": BOX, "area": 1200.0, "iscrowd": 0} | changes
        for i, cls in enumerate(classes)
    ]
    categories = [{"id": i + 1, "name": f"c{i + 1}"} for i in range(n)]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def results(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps([{"bbox": BOX, "score": 0.9} | row for row in rows]))
    return path


@pytest.fixture
def twelve(tmp_path: Path) -> Path:
    """Twelve images, objects of classes 2 and 3 of three."""
    return truth(tmp_path / "gt.json", [f"img{n:03d}.jpg" for n in range(12)], [2 + n % 2 for n in range(12)])


def counted_from_0(path: Path) -> Path:
    """Ids {1, 2} that mean classes 2 and 3: class 1 is never found."""
    return results(path, [{"image_id": n + 1, "category_id": 1 + n % 2} for n in range(12)])


def counted_from_1(path: Path) -> Path:
    return results(path, [{"image_id": n + 1, "category_id": 2 + n % 2 if n % 3 else 1} for n in range(12)])


def test_class_numbers_whose_boxes_fit_another_reading_are_refused_with_the_option(
    twelve: Path, tmp_path: Path
) -> None:
    old = counted_from_0(tmp_path / "old.json")
    with pytest.raises(LiftgateError, match=r"fit the truth in another reading") as caught:
        liftgate.compare(twelve, old, counted_from_1(tmp_path / "new.json"), metric="recall")
    assert "old.json#class-from-0" in str(caught.value.hint)


def test_the_option_settles_it_and_the_verdict_is_the_right_one(twelve: Path, tmp_path: Path) -> None:
    old, new = counted_from_0(tmp_path / "old.json"), counted_from_1(tmp_path / "new.json")
    said = f"{old}#class-from-0"
    found = liftgate.compare(twelve, said, f"{new}#class-from-1", metric="recall")
    assert (found.control, found.treatment) == (1.0, pytest.approx(8 / 12))
    assert read_predictions(said, read(twelve)).settings["category_numbering"] == "class from 0"


def test_two_files_that_would_be_read_in_two_ways_are_refused(twelve: Path, tmp_path: Path) -> None:
    zero = results(tmp_path / "zero.json", [{"image_id": n + 1, "category_id": n % 2} for n in range(12)])
    one = results(tmp_path / "one.json", [{"image_id": n + 1, "category_id": 2 + n % 2} for n in range(12)])
    with pytest.raises(DataError, match="count classes in two ways") as caught:
        read_all_predictions((zero, one), read(twelve))
    assert "zero.json: class from 0" in str(caught.value.got)


def test_a_reading_that_nothing_decides_is_said_beside_the_number(twelve: Path, tmp_path: Path) -> None:
    away = [{"image_id": n + 1, "category_id": 1 + n % 2, "bbox": [100, 80, 20, 20]} for n in range(12)]
    found = liftgate.evaluate(twelve, results(tmp_path / "p.json", away))
    assert "can be read as category ids or as class from 0" in found.settings["remarks"]


def test_boxes_that_fit_the_usual_reading_need_no_word(twelve: Path, tmp_path: Path) -> None:
    fits = results(tmp_path / "p.json", [{"image_id": n + 1, "category_id": 2 + n % 2} for n in range(11)])
    few = results(tmp_path / "q.json", [{"image_id": n, "category_id": 2} for n in (1, 3, 5, 7)])
    for path in (fits, few):
        assert "remarks" not in liftgate.evaluate(twelve, path).settings


# A.2: a limit of detections belongs to AP and AR


def test_rates_count_every_detection_and_the_limit_is_said(tmp_path: Path) -> None:
    gt = truth(tmp_path / "gt.json", ["a.jpg"], [1], n=1)
    noise = [{"image_id": 1, "category_id": 1, "bbox": [100, 80, 10, 10], "score": 0.9} for _ in range(300)]
    right = {"image_id": 1, "category_id": 1, "score": 0.5}
    found = liftgate.evaluate(gt, results(tmp_path / "p.json", [*noise, right]))
    assert found.metrics["recall"] == 1.0
    assert found.metrics["false_positives_per_image"] == 300
    assert found.metrics["AR_100"] == 0.0, "COCO's limit of 100 holds for AP and AR"
    assert "201 detections are beyond the best 100" in found.settings["max_det_cut"]


def test_a_dense_scene_that_is_found_has_recall_1(tmp_path: Path) -> None:
    boxes = [[float(x * 10), float(y * 10), 8.0, 8.0] for x in range(15) for y in range(10)]
    gt = tmp_path / "gt.json"
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 160, "height": 120}],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [{"id": i, "image_id": 1, "category_id": 1, "bbox": box} for i, box in enumerate(boxes, 1)],
    }
    gt.write_text(json.dumps(document))
    found = liftgate.evaluate(
        gt, results(tmp_path / "p.json", [{"image_id": 1, "category_id": 1, "bbox": b} for b in boxes])
    )
    assert (found.metrics["recall"], found.metrics["precision"]) == (1.0, 1.0)


# A.3: Ultralytics' own predictions.json


@pytest.fixture
def padded(tmp_path: Path) -> Path:
    """Images 000000000001.png … whose ids in the truth run the other way round; each box stands elsewhere."""
    names = [f"{n:012d}.png" for n in range(1, 9)]
    images = [{"id": 9 - n, "file_name": name, "width": 160, "height": 120} for n, name in enumerate(names, 1)]
    annotations = [{"id": n, "image_id": 9 - n, "category_id": 1, "bbox": [12 * n, 10, 10, 10]} for n in range(1, 9)]
    path = tmp_path / "gt.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "c"}]}))
    return path


def ultralytics_rows(*, named: bool) -> list[dict[str, Any]]:
    rows = [{"image_id": n, "category_id": 1, "bbox": [12 * n, 10, 10, 10]} for n in range(1, 9)]
    return [row | {"file_name": f"{row['image_id']:012d}.png"} if named else row for row in rows]


def test_file_name_decides_where_the_id_means_another_image(padded: Path, tmp_path: Path) -> None:
    found = liftgate.evaluate(padded, results(tmp_path / "p.json", ultralytics_rows(named=True)))
    assert found.metrics["mAP50"] == pytest.approx(1.0)


def test_ids_that_fit_only_as_numbers_of_file_names_are_refused_not_0(padded: Path, tmp_path: Path) -> None:
    with pytest.raises(LiftgateError, match="numbers of file names"):
        liftgate.evaluate(padded, results(tmp_path / "p.json", ultralytics_rows(named=False)))


def test_zero_padded_stems_are_found_by_their_number(tmp_path: Path) -> None:
    for n in range(1, 4):
        picture(tmp_path / f"images/{n:012d}.png", seed=n)
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / f"labels/{n:012d}.txt").write_text("0 .5 .5 .25 .5\n")
    (tmp_path / "data.yaml").write_text("val: images\nnames: [c]\n")
    dataset = read(tmp_path / "data.yaml")
    box = dataset.labels.boxes[0]
    rows = [
        {"image_id": n, "category_id": 1, "bbox": [*box[:2], box[2] - box[0], box[3] - box[1]]} for n in range(1, 4)
    ]
    assert liftgate.evaluate(tmp_path / "data.yaml", results(tmp_path / "p.json", rows)).metrics["mAP50"] == 1.0


def test_names_with_one_number_side_by_side_need_the_file_name(tmp_path: Path) -> None:
    gt = truth(tmp_path / "gt.json", ["1.png", "01.png", "001.png"], [1, 1, 1], n=1)
    document = json.loads(gt.read_text())
    for image in document["images"]:
        image["id"] = f"img-{image['id']}"
    for row in document["annotations"]:
        row["image_id"] = f"img-{row['image_id']}"
    gt.write_text(json.dumps(document))
    rows = [{"image_id": 1, "category_id": 1, "file_name": name} for name in ("1.png", "01.png", "001.png")]
    assert liftgate.evaluate(gt, results(tmp_path / "named.json", rows)).metrics["recall"] == 1.0
    bare = [{key: value for key, value in row.items() if key != "file_name"} for row in rows]
    with pytest.raises(LiftgateError, match="several images have the number"):
        liftgate.evaluate(gt, results(tmp_path / "bare.json", bare))


def test_file_name_and_id_that_mean_two_images_are_an_error(twelve: Path, tmp_path: Path) -> None:
    rows = [{"image_id": 5, "category_id": 2, "file_name": "img000.jpg"}]
    with pytest.raises(LiftgateError, match="mean two images"):
        liftgate.evaluate(twelve, results(tmp_path / "p.json", rows))


# A.4: truth that cannot be used, and plain values in another type


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"iscrowd": 1}, "every object of the truth is a crowd"),
        ({"bbox": None}, "no object of the truth could be read"),
        ({"category_id": 99}, "no object of the truth could be read"),
        ({"image_id": 777}, "no object of the truth could be read"),
    ],
)
def test_a_truth_of_which_nothing_can_be_used_is_refused(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    gt = truth(tmp_path / "gt.json", ["a.jpg", "b.jpg"], [1, 1], **changes)
    with pytest.raises(UsageError, match=says):
        liftgate.evaluate(gt, results(tmp_path / "p.json", [{"image_id": 1, "category_id": 1}]))


def test_a_truth_of_crowds_only_is_an_error_of_check(tmp_path: Path) -> None:
    gt = truth(tmp_path / "gt.json", ["a.jpg"], [1], iscrowd=1)
    found = liftgate.check(gt)
    assert not found.ok
    assert any(finding.data.get("kind") == "crowd_only" for finding in found.findings)


def test_plain_values_in_another_type_are_read(tmp_path: Path) -> None:
    document = {
        "images": [
            {"id": 1.0, "file_name": "a.jpg", "width": "160", "height": "120"},
            {"id": 2, "file_name": "b.jpg", "width": None, "height": 120},
        ],
        "categories": [{"id": "1", "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": "1", "bbox": BOX, "area": "400", "iscrowd": "0"},
            {"id": 2, "image_id": 2.0, "category_id": 1.0, "bbox": [str(side) for side in BOX], "iscrowd": "1"},
            {"id": 3, "image_id": 2, "category_id": 1, "segmentation": [[10, 10, 50, 10, 50, 40, 10, 40]]},
            {"id": 4, "image_id": 2, "category_id": 1, "segmentation": {"counts": "x", "size": [9, 9]}},
            {"id": 5, "image_id": 2, "category_id": "one", "bbox": BOX},
        ],
    }
    path = tmp_path / "gt.json"
    path.write_text(json.dumps(document))
    dataset = read(path)
    assert [image.upright for image in dataset.images] == [(160, 120), (0, 0)]
    assert dataset.labels.boxes.tolist() == [[10.0, 10.0, 50.0, 40.0]] * 3
    assert dataset.labels.area.tolist() == [400.0, 1200.0, 1200.0]
    assert dataset.labels.crowd.tolist() == [False, True, False]
    assert [fault.kind for fault in dataset.faults] == ["images_missing", "box_missing", "row_columns"]


# A.5: keypoints without boxes


def test_box_metrics_of_keypoints_without_boxes_are_null_with_a_reason(tmp_path: Path) -> None:
    points = [20.0, 20.0, 2, 30.0, 25.0, 2]
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 160, "height": 120}],
        "categories": [{"id": 1, "name": "c", "keypoints": ["nose", "tail"], "sigmas": [0.05, 0.05]}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": BOX, "area": 1200, "keypoints": points}],
    }
    gt = tmp_path / "gt.json"
    gt.write_text(json.dumps(document))
    rows = [{"image_id": 1, "category_id": 1, "score": 0.9, "keypoints": points}]
    predictions = tmp_path / "p.json"
    predictions.write_text(json.dumps(rows))
    found = liftgate.evaluate(gt, predictions)
    assert found.metrics["OKS-mAP50"] == pytest.approx(1.0)
    assert {found.metrics[name] for name in ("mAP50-95", "mAP50", "recall", "precision")} == {None}
    assert "no boxes" in found.settings["no_boxes"]
    with pytest.raises(UsageError, match="needs boxes"):
        liftgate.compare(gt, predictions, predictions, metric="mAP50")


def test_a_comparison_by_ap_says_what_the_limit_cut_and_one_by_recall_does_not(tmp_path: Path) -> None:
    gt = truth(tmp_path / "gt.json", ["a.jpg", "b.jpg"], [1, 1], n=1)
    noise = [{"image_id": 1, "category_id": 1, "bbox": [100, 80, 10, 10]} for _ in range(120)]
    many, few = results(tmp_path / "many.json", noise), results(tmp_path / "few.json", noise[:5])
    said = {m: " ".join(liftgate.compare(gt, many, few, metric=m).caveats) for m in ("mAP50", "recall")}
    assert "20 detections are beyond the best 100" in said["mAP50"]
    assert "beyond the best" not in said["recall"]


def test_a_source_that_was_cut_at_max_det_says_so(tmp_path: Path) -> None:
    gt = truth(tmp_path / "gt.json", ["a.jpg"], [1], n=1)
    rows = [{"image_id": 1, "category_id": 1, "bbox": [100, 80, 10, 10]} for _ in range(30)]
    path = results(tmp_path / "p.json", rows)
    (tmp_path / "p.settings.json").write_text(json.dumps({"max_det": 30, "category_numbering": "category ids"}))
    assert "as many detections as max_det (30) allowed" in liftgate.evaluate(gt, path).settings["remarks"]


def test_a_truth_without_any_label_file_is_refused_and_missing_ones_are_said(tmp_path: Path) -> None:
    nothing = yolo_folder(tmp_path / "none", {"val/a.jpg": None, "val/b.jpg": None})
    some = yolo_folder(tmp_path / "some", {"val/a.jpg": None, "val/b.jpg": "0 .5 .5 .25 .5\n"})
    predictions = results(tmp_path / "p.json", [])
    with pytest.raises(UsageError, match="the truth has no labels"):
        liftgate.evaluate(nothing, predictions)
    found = liftgate.evaluate(some, predictions)
    assert "1 images of the truth have no label file, and count as empty" in found.settings["truth_faults"]
