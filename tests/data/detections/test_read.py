"""Predictions from any source: told apart by what they are, refused with the place where they are off."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.detections import builder as drafting
from liftgate.data.detections import from_samples, from_supervision, prefetch, read_predictions
from liftgate.errors import DataError, UsageError
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.image_level import ImageLevelThreshold, image_level_scores

BOX = [10, 10, 20, 20]  # xyxy of what every source below says: a dog on a.jpg with 0.5


@pytest.fixture
def truth() -> Dataset:
    images = tuple(
        Image(f"{name}.jpg", Path(f"/d/{name}.jpg"), 40, 20, coco_id=id_, label=Path("/d/t.json"))
        for name, id_ in (("a", 2299), ("b", 9))
    )
    labels = Labels.build([0], [1], [BOX])
    return Dataset("t", Path("/d"), Path("/d/t.json"), "coco", ("cat", "dog"), images, labels)


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


RESULT = {"image_id": 2299, "category_id": 2, "bbox": [10, 10, 10, 10], "score": 0.5}
FRACTIONS = [0.25, 0.5, 0.25, 0.5]  # left, top, width, height on 40 × 20
LABEL = {"label": "dog", "bounding_box": FRACTIONS, "confidence": 0.5}


def sources(folder: Path) -> dict[str, Any]:
    write(folder / "yolo/a.txt", "1 0.375 0.75 0.25 0.5 0.5\n\n")
    write(folder / "run/labels/a.txt", "1 0.375 0.75 0.25 0.5 0.5\n")
    write(folder / "vlm/one.csv", "image,class,score,x1,y1,x2,y2\na,Dog,0.5,10,10,20,20\nb,,,,,,\n")
    sample = {"filepath": "data/a.jpg", "tags": ["val"], "ground_truth": {"detections": [{"label": "dog"}]}}
    sample["yolo"] = {"_cls": "Detections", "detections": [LABEL]}
    empty = {"filepath": "/elsewhere/b.jpg", "yolo": {"detections": []}}
    write(folder / "export/samples.json", {"samples": [sample, empty]})
    detection = SimpleNamespace(**LABEL)
    objects = [
        SimpleNamespace(filepath="/x/a.jpg", field_names=("filepath", "p"), p=SimpleNamespace(detections=[detection])),
        SimpleNamespace(filepath="/x/b.jpg", field_names=("filepath", "p"), p=SimpleNamespace(detections=[])),
    ]

    def detections(boxes: list, names: bool) -> SimpleNamespace:
        n = len(boxes)
        return SimpleNamespace(
            xyxy=np.array(boxes, dtype=np.float32).reshape(-1, 4),
            confidence=np.full(n, 0.5),
            class_id=np.full(n, 77 if names else 1),
            data={"class_name": np.full(n, "dog")} if names else {},
        )

    return {
        "COCO results": write(folder / "results.json", [RESULT]),
        "YOLO txt": folder / "yolo",
        "a YOLO run": folder / "run",
        "CSV": folder / "vlm/one.csv",
        "a folder of CSV": folder / "vlm",
        "FiftyOne labels.json, names": write(folder / "named.json", {"labels": {"a": [LABEL], "b": []}}),
        "FiftyOne labels.json, numbers": write(
            folder / "labels.json", {"classes": ["x", "dog"], "labels": {"a": [LABEL | {"label": 1}], "b": []}}
        ),
        "FiftyOne samples.json": folder / "export/samples.json",
        "a FiftyOne export": folder / "export",
        "a field by name": f"{folder}/export/samples.json#yolo",
        "FiftyOne samples": objects,
        "supervision, names": {"a": detections([BOX], True), "b.jpg": detections([], True)},
        "supervision, numbers": {"a": detections([BOX], False), "b.jpg": detections([], False)},
    }


def test_every_source_says_the_same(tmp_path: Path, truth: Dataset) -> None:
    told = sources(tmp_path)
    for name, source in [*told.items(), *((f"{name}, read ahead", prefetch(one)) for name, one in told.items())]:
        found = read_predictions(source, truth)
        assert found.images == ("a.jpg", "b.jpg"), name
        assert found.boxes.tolist() == [BOX], name
        assert (found.image.tolist(), found.cls.tolist(), found.scores.tolist()) == ([0], [1], [0.5]), name
        assert evaluate(truth, found).metrics["mAP50"] == pytest.approx(1), name


def test_predictions_pass_unchanged(tmp_path: Path, truth: Dataset) -> None:
    found = read_predictions(write(tmp_path / "p.json", [RESULT]), truth)
    assert read_predictions(found, truth) is found


HEAD = "image,class,score,x1,y1,x2,y2\n"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("p.csv", HEAD + "a,dog,nan,1,1,2,2\n", r"score is off .*p.csv:2\).*0 to 1"),
        ("p.csv", HEAD + "b,cat,,1,1,2,2\na,dog,85,1,1,2,2\n", r"p.csv:3\)(.|\n)*percent"),
        ("p.csv", HEAD + "a,dog,high,1,1,2,2\n", r"score is no number .*p.csv:2.*'high'"),
        ("p.csv", HEAD + "z,dog,1,1,1,2,2\n", r"unknown image .*p.csv:2.*a.jpg.*'z'"),
        ("p.csv", HEAD + "a,gnu,1,1,1,2,2\n", r"unknown class .*p.csv:2.*cat, dog.*'gnu'(.|\n)*hint: leave the class"),
        ("p.csv", HEAD + "a,dog,1,5,1,2,2\n", r"negative size .*p.csv:2"),
        ("p.csv", HEAD + "a,dog,1,5,1,,2\n", r"half a box .*p.csv:2"),
        ("p.csv", HEAD + "a,dog,1,inf,1,inf,2\n", r"box is no box .*p.csv:2"),
        ("p.csv", HEAD + "a,dog,1,1,1,2,2\nb,dog,1,,,,\n", r"some rows only .*p.csv:3"),
        ("p.csv", HEAD + ",dog,1,1,1,2,2\n", r"no image .*p.csv:2"),
        ("p.csv", "file,class\na,dog\n", r"column is missing .*p.csv:1"),
        ("y/a.txt", "1 .5 .5 .1 .1\n", r"number of columns .*a.txt:1(.|\n)*save_conf=True"),
        ("y/a.txt", "1 .5 .5 .1 .1 .9\n2 .5 .5 .1 .1 .9\n", r"unknown class number .*a.txt:2.*0 … 1.*got 2"),
        ("y/a.txt", "1 .5 .5 .1 .1 nan\n", r"score is off .*a.txt:1"),
        ("y/a.txt", "1 12 8 4 4 .5\n", r"not a fraction .*a.txt:1(.|\n)*pixels"),
        ("y/a.txt", "1 .5 .5 -.1 .1 .5\n", r"negative size .*a.txt:1"),
        ("y/a.txt", "1.5 .5 .5 .1 .1 .5\n", r"no whole number .*a.txt:1"),
        ("y/a.txt", "dog .5 .5 .1 .1 .5\n", r"no number .*a.txt:1.*'dog'"),
        ("y/z.txt", "1 .5 .5 .1 .1 .5\n", r"unknown image .*z.txt"),
        ("p.json", '[{"image_id": 2299,', r"cut off .*p.json:1"),
        ("p.json", '{"labels": {"a": [{"label": "dog",', r"cut off .*p.json:1"),
        ("p.json", "{}", r"no predictions .*expected a list"),
        ("p.json", {"images": [], "annotations": []}, r"is it the truth"),
        ("p.json", {"labels": {"z": []}}, r"unknown image .*p.json: z"),
        ("p.json", {"labels": {"a": [LABEL | {"confidence": None}]}}, r"without confidence .*p.json: a\[0\]"),
        ("p.json", {"labels": {"a": [LABEL | {"confidence": math.nan}]}}, r"without confidence .*p.json: a\[0\]"),
        ("p.json", {"labels": {"a": [LABEL | {"confidence": "x"}]}}, r"confidence is no number .*p.json: a\[0\]"),
        ("p.json", {"labels": {"a": [LABEL | {"bounding_box": [1, 2]}]}}, r"no box .*p.json: a\[0\]"),
        ("p.json", {"labels": {"a": [LABEL | {"bounding_box": [0, 0, -1, 0.1]}]}}, r"negative size .*a\[0\]"),
        ("p.json", {"labels": {"a": [LABEL | {"bounding_box": [9, 9, 30, 10]}]}}, r"fraction .*a\[0\](.|\n)*pixels"),
        ("p.json", {"labels": {"a": [LABEL | {"label": 4}]}}, r"label is no class .*a\[0\]"),
        ("p.json", {"labels": {"a": [LABEL | {"label": "gnu"}]}}, r"no class in common.*cat, dog.*gnu"),
        ("p.json", {"samples": [{"filepath": "a.jpg"}]}, r"which field"),
        ("p.json", {"samples": [{"filepath": "a.jpg", "p": LABEL, "q": LABEL}]}, r"got p, q(.|\n)*#FIELD"),
        ("p.json", {"samples": [{"p": LABEL}]}, r"without filepath .*samples?.*\[0\]|without filepath .*\[0\]"),
        ("p.pkl", "", r"not a predictions file .*COCO results JSON"),
    ],
)
def test_what_cannot_be_meant_is_one_error_with_its_place(
    tmp_path: Path, truth: Dataset, name: str, content: Any, says: str
) -> None:
    path = write(tmp_path / name, content)
    source = path.parent if path.suffix == ".txt" else path
    with pytest.raises(DataError, match=says):
        read_predictions(source, truth)
    with pytest.raises(DataError, match=says):
        read_predictions(prefetch(source), truth)


def test_what_is_not_there_or_empty_is_an_error(tmp_path: Path, truth: Dataset) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read_predictions(tmp_path / "no.json", truth)
    with pytest.raises(DataError, match=r"no predictions in this folder .*got nothing"):
        read_predictions(tmp_path, truth)


@pytest.mark.parametrize(("name", "most", "size"), [("p.json", "5", 6), ("p.csv", "1.5", 2)])
def test_a_file_larger_than_memory_should_hold_is_refused_before_it_is_read(
    name: str, most: str, size: int, tmp_path: Path, truth: Dataset
) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(size * 10**9)  # a hole: no disk, and if it were read, seconds and gigabytes
    with pytest.raises(DataError, match=rf"too large .*{most} GB, got {size} GB(.|\n)*hint"):
        read_predictions(path, truth)


def test_two_gigabytes_of_results_are_read_in_pieces_as_far_as_they_can_be_meant(
    tmp_path: Path, truth: Dataset
) -> None:
    path = tmp_path / "p.json"
    with path.open("wb") as file:
        file.write(b'[{"image_id": 1, "category_id": 1, "score": 0.5, "bbox": [1, 2, 3, 4]}')
        file.truncate(2 * 10**9)
    with pytest.raises(DataError, match="after row 1"):
        read_predictions(path, truth)


def test_yolo_numbers_go_by_the_models_own_classes_where_they_are_there(tmp_path: Path, truth: Dataset) -> None:
    write(tmp_path / "a.txt", "0 .5 .5 .1 .1 .9\n1 .5 .5 .1 .1 .8\n")
    write(tmp_path / "classes.txt", "dog\nzebra\n")
    found = read_predictions(tmp_path, truth)
    assert found.cls.tolist() == [1]
    assert found.settings["other_classes_dropped"] == 1


def test_yolo_names_below_folders_find_their_image(tmp_path: Path, truth: Dataset) -> None:
    from dataclasses import replace

    twice = truth.with_images([replace(i, id=f"cam{n}/x.jpg") for n, i in enumerate(truth.images)])
    write(tmp_path / "cam1/x.txt", "0 .5 .5 .1 .1 .9\n")
    found = read_predictions(tmp_path, twice)
    assert [found.images[i] for i in found.image] == ["cam1/x.jpg"]
    write(tmp_path / "x.txt", "0 .5 .5 .1 .1 .9\n")
    with pytest.raises(DataError, match="two images this name"):
        read_predictions(tmp_path, twice)


def test_only_the_images_that_a_csv_names_were_looked_at(tmp_path: Path, truth: Dataset) -> None:
    found = read_predictions(write(tmp_path / "p.csv", HEAD + "2299,dog,.5,10,10,20,20\n"), truth)
    assert found.images == ("a.jpg",), "2299 is the COCO id of a.jpg"
    with pytest.raises(UsageError, match="1 of 2 images were not predicted on"):
        evaluate(truth, found)


def test_answers_of_whole_images_are_for_screening_only(tmp_path: Path, truth: Dataset) -> None:
    found = read_predictions(write(tmp_path / "p.csv", "image,class,score\na,dog,0.7\nb,,\n"), truth)
    seen = image_level_scores(truth, found, ImageLevelThreshold(("dog",), 0.5))
    assert seen.score.tolist() == [0.7, 0] and seen.positive.tolist() == [True, False]
    with pytest.raises(UsageError, match=r"whole images(.|\n)*hint"):
        evaluate(truth, found)
    nothing = read_predictions(write(tmp_path / "n.csv", "image,class\na,\nb,\n"), truth)
    with pytest.raises(UsageError, match="whole images"):
        evaluate(truth, nothing)


def test_answers_of_whole_images_survive_being_written_as_coco_results(tmp_path: Path, truth: Dataset) -> None:
    from liftgate.data.formats import coco

    found = read_predictions(write(tmp_path / "p.csv", "image,class,score\na,dog,0.7\nb,,\n"), truth)
    again = read_predictions(coco.write_predictions(found, truth, tmp_path / "p.json"), truth)
    assert np.isnan(again.boxes).all() and again.scores.tolist() == [0.7]
    assert again.settings["answers"] == "image" and again.images == found.images


def test_fiftyone_classifications_are_answers_of_whole_images(truth: Dataset) -> None:
    sample = {"filepath": "a.jpg", "vlm": {"label": "dog", "confidence": 0.9}}
    found = from_samples([sample], truth)
    assert found.settings["answers"] == "image" and found.scores.tolist() == [0.9]
    with pytest.raises(DataError, match=r"no sample has a field 'q'.*expected filepath, vlm"):
        from_samples([sample], truth, "q")


def test_a_fiftyone_path_means_the_longest_id_that_it_ends_in(truth: Dataset) -> None:
    from dataclasses import replace

    twice = truth.with_images([replace(i, id=f"cam{n}/x.jpg") for n, i in enumerate(truth.images)])
    found = from_samples([{"filepath": "/export/data/cam1/x.jpg", "p": LABEL}], twice)
    assert found.images == ("cam1/x.jpg",)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"xyxy": np.zeros((1, 3))}, "no boxes"),
        ({"confidence": None}, "confidence is not of the boxes' length"),
        ({"confidence": np.array([np.nan])}, "score is off"),
        ({"class_id": np.array([9])}, "unknown class number"),
        ({"class_id": np.array([np.nan])}, "no whole number"),
        ({"class_id": np.array([1, 1])}, "class_id is not of the boxes' length"),
        ({"data": {"class_name": ["gnu"]}}, "no class in common"),
    ],
)
def test_supervision_columns_are_checked(truth: Dataset, change: dict, says: str) -> None:
    good = {"xyxy": np.array([BOX]), "confidence": np.array([0.5]), "class_id": np.array([1]), "data": {}}
    with pytest.raises(DataError, match=says):
        from_supervision({"a.jpg": SimpleNamespace(**(good | change))}, truth)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["labels", "samples", "classes", "a", "label", "detections"]), inner)
    ),
    max_leaves=8,
)


@settings(deadline=None)  # the first one loads kernels
@given(content=ANYTHING)
def test_no_json_is_a_traceback(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    images = (Image("a.jpg", Path("/d/a.jpg"), 40, 20),)
    world = Dataset("t", Path("/d"), Path("/d"), "coco", ("cat",), images, Labels.build([], [], []))
    path = write(tmp_path_factory.getbasetemp() / "any.json", content)
    try:
        found = read_predictions(path, world)
    except UsageError:
        return
    assert np.isfinite(found.scores).all()


@settings(deadline=None)
@given(text=st.text(alphabet="0123456789.,-naif e\n\"'", max_size=80))
def test_no_text_is_a_traceback(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    images = (Image("a.jpg", Path("/d/a.jpg"), 40, 20),)
    world = Dataset("t", Path("/d"), Path("/d"), "coco", ("cat",), images, Labels.build([], [], []))
    folder = tmp_path_factory.getbasetemp() / "txt"
    for path in (write(folder / "a.txt", text).parent, write(folder / "a.csv", "image,class,score\n" + text)):
        try:
            found = read_predictions(path, world)
        except UsageError:
            continue
        assert ((found.scores >= 0) & (found.scores <= 1)).all()


def test_the_limit_leaves_room_for_ten_million_detections() -> None:
    row = {"image_id": 100000, "category_id": 80, "bbox": [1234.567, 1234.567, 1234.567, 1234.567], "score": 0.12345}
    assert 10_000_000 * len(json.dumps(row)) < drafting.LARGEST
