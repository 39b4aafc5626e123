"""Whatever is in the file: a study, or an error with words. Never a traceback."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.errors import StudyError
from liftgate.study.records import Study
from liftgate.study.study_file import is_study, load
from liftgate.study.study_parser import parse
from liftgate.study.yaml_source import read, scalar
from study.texts import BUILT

WORDS = st.sampled_from(
    """study question task datasets arms gates flow budget seeds ignore evaluation path weights data recipe groups
    ratios lock openings keep on arm claims metric treatment control margin level step when differ bench test train
    check report baseline probe bench.test recall mAP50 PASS usd folder .csv (?P<group>""".split()  # noqa: SIM905
)
VALUES = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def assert_loads_or_says_why(text: str, **overrides: Any) -> None:
    try:
        study = parse(text, overrides=overrides)
    except StudyError as error:
        assert str(error).strip()
        assert "study.yaml" in str(error) or "--set" in str(error)
    else:
        assert isinstance(study, Study)
        assert len(study.content_hash()) == 64


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_any_text_gives_a_study_or_an_error(text: str) -> None:
    assert_loads_or_says_why(text)


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet="ab: \n-[]{}&*!#|>'\"%@`?,<\t01.\\xU~=", max_size=80))
def test_any_punctuation_gives_a_study_or_an_error(text: str) -> None:
    assert_loads_or_says_why(text)


@settings(max_examples=150, deadline=None)
@given(value=st.dictionaries(WORDS, VALUES, max_size=6))
def test_any_tree_of_a_studys_own_words_gives_a_study_or_an_error(value: dict[str, Any]) -> None:
    assert_loads_or_says_why(yaml.safe_dump(value, allow_unicode=True))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_good_study_with_one_value_replaced_gives_a_study_or_an_error(data: st.DataObject) -> None:
    tree = yaml.safe_load(BUILT.replace("on: bench", "'on': bench"))
    place, key = data.draw(st.sampled_from(list(_places(tree))))
    place[key] = data.draw(VALUES)
    assert_loads_or_says_why(yaml.safe_dump(tree, allow_unicode=True))


@settings(max_examples=100, deadline=None)
@given(
    key=st.lists(WORDS | st.sampled_from(["single", "two_stage", "lift", "0", "1", "-1", "²"]), max_size=5).map(
        ".".join
    ),
    value=VALUES | st.text(max_size=10),
)
def test_any_override_gives_a_study_or_an_error(key: str, value: Any) -> None:
    assert_loads_or_says_why(BUILT, **{key: value})


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=100))
def test_any_bytes_give_a_study_or_an_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "study.yaml"
    path.write_bytes(content)
    with contextlib.suppress(StudyError):
        load(path)
    assert is_study(path) in (True, False)


def _places(tree: Any) -> Any:
    for key in tree if isinstance(tree, dict) else range(len(tree)):
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from _places(tree[key])


@settings(max_examples=200, deadline=None)
@given(value=VALUES)
def test_what_yaml_writes_is_read_as_it_was(value: Any) -> None:
    text = yaml.safe_dump({"a": value})
    source = read(text, "x")
    if not source.problems:
        assert _same(source.value["a"], value)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(other, str):  # PyYAML writes YAML 1.1, where "1e3" is no number and needs no quotes
        return bool(one == other or one == scalar(other))
    return type(one) is type(other) and bool(one == other)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("1e-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("010", 10),
        ("1:30", "1:30"),
        ("2026-11-05", "2026-11-05"),
        ("0x10", "0x10"),
        ("~", None),
        ("", None),
        ("True", True),
        ("tRue", "tRue"),
        ("'1'", "1"),
    ],
)
def test_scalars_are_read_by_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    result = read(f"a: {text}", "x").value["a"]
    assert result == value and type(result) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("study.yaml", BUILT, True),
        ("other.yml", BUILT, True),
        ("other.yaml", "datasets: {}\narms: {}\n", True),
        ("data.yaml", "path: .\ntrain: images\nnames: [a]\n", False),
        ("study.yaml", "not a study", True),
        ("data.yaml", "not a study", False),
        ("study.json", BUILT, False),
    ],
)
def test_a_study_is_told_from_a_data_yaml(tmp_path: Path, name: str, text: str, expected: bool) -> None:
    (tmp_path / name).write_text(text)
    assert is_study(tmp_path / name) is expected


def test_a_missing_file_or_a_folder_is_no_study(tmp_path: Path) -> None:
    assert not is_study(tmp_path / "none.yaml")
    assert not is_study(tmp_path)
