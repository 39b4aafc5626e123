"""The mapping: any API's JSON → detections on one image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.core.predictions import Predictions
from liftgate.data.detections.builder import PredictionsBuilder
from liftgate.deploy.remote_predictions.api_mapping import ApiMapping, add_answer, follow, read_mapping
from liftgate.deploy.remote_predictions.rate_limit import parse_rate
from liftgate.errors import DataError, UsageError


def world() -> Dataset:
    images = (Image("a.jpg", Path("/d/a.jpg"), 40, 20),)
    return Dataset("t", Path("/d"), Path("/d"), "coco", ("gun", "knife"), images, Labels.build([], [], []))


def mapped(answer: Any, **keys: Any) -> Predictions:
    builder = PredictionsBuilder(world())
    add_answer(builder, "a.jpg", 0, answer, ApiMapping(**keys))
    return builder.build({})


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (
            {"classes": "predictions.*.class", "boxes": "predictions.*.bbox", "scores": "predictions.*.confidence"},
            {"predictions": [{"class": "knife", "bbox": [10, 5, 20, 15], "confidence": 0.5}]},
        ),
        (
            {"classes": "p.*.c", "boxes": ["p.*.x", "p.*.y", "p.*.w", "p.*.h"], "scores": "p.*.s", "format": "cxcywh"},
            {"p": [{"c": 1, "x": 15, "y": 10, "w": 10, "h": 10, "s": 0.5}]},
        ),
        (
            {"classes": "labels", "boxes": "boxes", "scores": "scores", "format": "xywh", "unit": "fractions"},
            {"labels": ["Knife"], "boxes": [[0.25, 0.25, 0.25, 0.5]], "scores": ["0.5"]},
        ),
        (
            {"classes": "0.*.n", "boxes": "0.*.b", "scores": "0.*.s", "names": {"blade": "knife", "hand": None}},
            [[{"n": "blade", "b": [10, 5, 20, 15], "s": 0.5}, {"n": "hand", "b": [0, 0, 1, 1], "s": 1}]],
        ),
        (
            {"classes": "tiles.*.found.*.c", "boxes": "tiles.*.found.*.b", "scores": "tiles.*.found.*.s"},
            {"tiles": [{"found": []}, {"found": [{"c": "knife", "b": [10, 5, 20, 15], "s": 0.5}]}, {"found": None}]},
        ),
    ],
)
def test_apis_of_many_shapes_say_the_same(keys: dict, answer: Any) -> None:
    found = mapped(answer, **keys)
    assert found.boxes.tolist() == [[10, 5, 20, 15]]
    assert (found.cls.tolist(), found.scores.tolist()) == ([1], [0.5])


def test_answers_without_boxes_are_of_whole_images() -> None:
    found = mapped({"threat": True}, classes="threat", names={"true": "gun", "false": None})
    assert found.image_level and found.cls.tolist() == [0] and np.isnan(found.boxes).all()
    nothing = mapped({"threat": False}, classes="threat", names={"true": "gun", "false": None})
    assert len(nothing) == 0 and nothing.images == ("a.jpg",)


ONE = {"classes": "p.*.c", "boxes": "p.*.b", "scores": "p.*.s"}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"c": "sword"}, r"unknown class \(a.jpg\[0\]\).*gun, knife.*'sword'"),
        ({"c": 2}, r"unknown class number .*0 … 1, got 2"),
        ({"c": [1]}, r"a name or a number"),
        ({"b": [1, 2, 3]}, r"not a box .*four numbers"),
        ({"b": [9, 9, 1, 1]}, r"negative size"),
        ({"b": None}, r"not a box"),
        ({"b": [1, 2, "x", 4]}, r"no number .*'x'"),
        ({"s": 1.5}, r"score is off"),
        ({"s": None}, r"score is no number"),
    ],
)
def test_what_cannot_be_meant_is_an_error_with_image_and_index(row: dict, says: str) -> None:
    with pytest.raises(DataError, match=says):
        mapped({"p": [{"c": "gun", "b": [1, 2, 3, 4], "s": 0.5} | row]}, **ONE)


def test_an_answer_of_another_shape_names_the_path_and_what_is_there() -> None:
    with pytest.raises(DataError, match=r"p\.\*\.c .*expected 'p', got an object with error"):
        mapped({"error": "out of credit"}, **ONE)
    with pytest.raises(DataError, match=r"expected a list at \*, got 7"):
        mapped({"p": 7}, **ONE)
    with pytest.raises(DataError, match=r"differ in length .*2 boxes, 1 scores, 1 classes"):
        mapped({"c": ["gun"], "b": [[1, 2, 3, 4]] * 2, "s": [1]}, classes="c", boxes="b", scores="s")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("boxes: b", "missing required field `classes`"),
        ("classes: c\nboxs: b", "boxs"),
        ("classes: c\nformat: yxyx", "yxyx"),
        ("classes: c\nboxes: [a, b]", "one path or four"),
        ("classes: c\nsend: {as: body, fields: {a: 1}}", "no further fields"),
        ("classes: [", r"no YAML .*m.yaml:1"),
        ("- 1", "Expected `object`"),
    ],
)
def test_a_mapping_that_is_off_is_one_error(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=says):
        read_mapping(path)
    with pytest.raises(UsageError, match="cannot read"):
        read_mapping(tmp_path / "no.yaml")


def test_names_may_be_written_as_yaml_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("classes: c\nnames: {7: knife, true: gun, no: null}\n")
    assert read_mapping(path).names == {"7": "knife", "true": "gun", "false": None}


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("pcbs"), inner, max_size=4),
    max_leaves=12,
)


@given(answer=VALUES)
def test_no_answer_is_a_traceback(answer: Any) -> None:
    try:
        found = mapped(answer, **ONE)
    except DataError:
        return
    assert found.images == ("a.jpg",) and ((found.scores >= 0) & (found.scores <= 1)).all()


@given(rows=st.lists(st.lists(st.integers(), max_size=3), max_size=4))
def test_stars_flatten_in_order(rows: list[list[int]]) -> None:
    answer = {"rows": [{"cells": [{"v": value} for value in row]} for row in rows]}
    assert follow("", answer, "rows.*.cells.*.v") == [value for row in rows for value in row]


@pytest.mark.parametrize("text", ["", "0/s", "-1/s", "2/day", "fast", "nan", "1e9/s"])
def test_no_rate_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="not a rate"):
        parse_rate(text)
