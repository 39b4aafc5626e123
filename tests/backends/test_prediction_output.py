"""Detections leave a backend with the data set's classes, as COCO results."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.backends.prediction_output import join_predictions, match_classes, write_predictions
from liftgate.errors import TrainingError


def test_classes_are_matched_by_name_and_the_others_dropped() -> None:
    assert match_classes(["person", "bicycle", "car"], ["car", "person"]) == ({0: 1, 2: 0}, None)


def test_a_class_that_the_model_lacks_is_said() -> None:
    mapping, note = match_classes(["person"], ["person", "helmet"])
    assert mapping == {0: 0}
    assert note is not None and "helmet" in note


@pytest.mark.parametrize("numbers", [["0", "1"], ["class_0", "class_1"], ["Class 1", "Class 2"], ["c-1", "c-2"]])
def test_numbers_instead_of_names_are_taken_in_order_and_said(numbers: list[str]) -> None:
    mapping, note = match_classes(numbers, ["cat", "dog"])
    assert mapping == {0: 0, 1: 1} == match_classes(["cat", "dog"], numbers)[0]
    assert note is not None and f"{numbers[0]} → cat" in note


def test_one_class_by_another_name_is_taken_and_said() -> None:
    mapping, note = match_classes(["plate"], ["license plate"])
    assert mapping == {0: 0}
    assert note is not None and "plate → license plate" in note


@pytest.mark.parametrize(
    "names", [["yellow_cone", "blue_cone"], ["Hund", "Katze"], ["v8", "cat"]], ids=["other order", "language", "mixed"]
)
def test_as_many_classes_by_other_names_are_never_taken_in_order(names: list[str]) -> None:
    """The order is unknown, and an exchange of two classes would be a wrong number without a sign of it."""
    mapping, note = match_classes(["blue cone", "yellow cone"], names)
    assert mapping == {}
    assert note is not None and "nothing can be detected" in note


def test_no_common_name_and_other_numbers_detect_nothing_and_say_so() -> None:
    mapping, note = match_classes([f"c{i}" for i in range(80)], ["RBC", "WBC", "Platelets"])
    assert mapping == {}
    assert note is not None and "nothing can be detected" in note


def test_rows_are_xywh_with_classes_from_one_and_dropped_classes_absent(tmp_path: Path) -> None:
    found = {
        "bboxes": np.array([[1.0, 2.0, 4.0, 6.0], [0.0, 0.0, 1.0, 1.0]]),
        "conf": np.array([0.9, 0.8], dtype=np.float32),
        "cls": np.array([2, 1]),
    }
    write_predictions(
        tmp_path / "p.json", [("a.jpg", found), ("b.jpg", {k: v[:0] for k, v in found.items()})], {2: 0}, {"conf": 0.1}
    )
    rows = json.loads((tmp_path / "p.json").read_text())
    assert rows == [{"image_id": "a.jpg", "category_id": 1, "bbox": [1.0, 2.0, 3.0, 4.0], "score": 0.899999976}]
    settings = json.loads((tmp_path / "p.settings.json").read_text())
    assert settings["conf"] == 0.1
    assert settings["images"] == ["a.jpg", "b.jpg"], "an image without detections was looked at too"


def test_keypoints_without_confidence_get_one(tmp_path: Path) -> None:
    found = {
        "bboxes": np.array([[0.0, 0.0, 4.0, 4.0]]),
        "conf": np.array([0.5]),
        "cls": np.array([0]),
        "keypoints": np.array([[[1.0, 2.0], [3.0, 4.0]]]),
    }
    write_predictions(tmp_path / "p.json", [("a.jpg", found)], {0: 0}, {})
    assert json.loads((tmp_path / "p.json").read_text())[0]["keypoints"] == [1.0, 2.0, 1.0, 3.0, 4.0, 1.0]


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20))
def test_scores_come_back_exactly_so_that_their_order_survives(scores: list[float]) -> None:
    texts = [float(f"{score:.9g}") for score in scores]
    assert [np.float32(text) for text in texts] == [np.float32(score) for score in scores]


def parts_of(folder: Path, groups: list[list[str]]) -> list[Path]:
    """Write a results file for each group of images, with as many detections as the image's name has letters."""
    paths = []
    for number, group in enumerate(groups):
        paths.append(folder / f"part{number}.json")
        rows = [(name, columns(len(name) % 3, seed=len(name))) for name in group]
        write_predictions(paths[-1], rows, {0: 0, 1: 1}, {"conf": 0.001})
    return paths


def columns(n: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"bboxes": rng.uniform(0, 9, (n, 4)), "conf": rng.uniform(0, 1, n), "cls": rng.integers(0, 2, n)}


@given(st.lists(st.text('ab[],]"ü\n', min_size=1), unique=True, min_size=1), st.integers(1, 4))
def test_joined_parts_are_the_whole_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, images: list[str], count: int
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    groups = [[name for i, name in enumerate(images) if (i * 7) % count == part] for part in range(count)]
    (whole,) = parts_of(folder, [images])
    whole = whole.rename(folder / "whole.json")
    (folder / "part0.settings.json").rename(folder / "whole.settings.json")
    join_predictions(folder / "joined.json", parts_of(folder, groups), images)
    assert (folder / "joined.json").read_bytes() == whole.read_bytes()
    assert (folder / "joined.settings.json").read_bytes() == (folder / "whole.settings.json").read_bytes()


@pytest.mark.parametrize("groups", [[["a"], ["b"]], [["a"], ["b", "c"], ["c"]]], ids=["missing", "twice"])
def test_parts_that_do_not_have_every_image_once_are_refused(tmp_path: Path, groups: list[list[str]]) -> None:
    with pytest.raises(TrainingError, match="do not have every image once"):
        join_predictions(tmp_path / "joined.json", parts_of(tmp_path, groups), ["a", "b", "c"])
    assert not (tmp_path / "joined.json").exists()


def test_parts_that_were_made_with_other_settings_are_refused(tmp_path: Path) -> None:
    one, _ = parts_of(tmp_path, [["a"], ["b"]])
    other = tmp_path / "other.json"
    write_predictions(other, [("b", columns(1, 1))], {0: 0}, {"conf": 0.25})
    with pytest.raises(TrainingError, match="made differently") as error:
        join_predictions(tmp_path / "joined.json", [one, other], ["a", "b"])
    assert error.value.got == "conf"


@pytest.mark.parametrize(
    ("file", "content", "got"),
    [
        ("part1.settings.json", "{", "line 1"),
        ("part1.settings.json", '{"conf": 0.001}', "no 'images'"),
        ("part1.settings.json", "[]", "list indices"),
        ("part1.json", '[\n{"image_id": "z"}\n]\n', "no 'z'"),
        ("part1.json", "[\n{\n]\n", "line 1"),
    ],
)
def test_a_part_that_cannot_be_read_is_refused_and_named(tmp_path: Path, file: str, content: str, got: str) -> None:
    parts = parts_of(tmp_path, [["a"], ["b"]])
    (tmp_path / file).write_text(content)
    with pytest.raises(TrainingError, match="cannot be read") as error:
        join_predictions(tmp_path / "joined.json", parts, ["a", "b"])
    assert error.value.where == str(tmp_path / file) and got in str(error.value.got)
    assert not (tmp_path / "joined.json").exists()
