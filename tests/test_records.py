"""Plain values become typed records, or one error that every reader of a document expects."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import liftgate
from liftgate.documents import parse_json
from liftgate.records import to_record

SRC = Path(liftgate.__file__).parent


class Point(msgspec.Struct, frozen=True):
    x: float
    name: str = ""


def test_a_value_of_the_type_is_a_record_and_another_is_refused() -> None:
    assert to_record({"x": 1, "more": 2}, Point) == Point(1.0)
    with pytest.raises(msgspec.ValidationError, match=r"\$\.x"):
        to_record({"x": "1"}, Point)


KEYS = st.sampled_from(["x", "name", "\ud800", "a\udfff", "\udc80.jpg"])


@given(st.dictionaries(KEYS, st.one_of(st.integers(), KEYS)))
def test_half_of_a_surrogate_pair_is_an_error_of_the_document_or_without_effect(value: dict[str, object]) -> None:
    with contextlib.suppress(msgspec.ValidationError):
        assert isinstance(to_record(value, Point), Point)


@pytest.mark.parametrize("text", [r'{"\ud800": 1, "x": 1}', r'{"x\udfff": 1}'])
def test_such_a_key_in_a_file_is_named(text: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"half of a surrogate pair|missing required field"):
        to_record(parse_json(text), Point)


def test_no_other_module_calls_the_function_that_raises_something_else() -> None:
    found = [path.name for path in SRC.rglob("*.py") if re.search(r"msgspec\.convert\(", path.read_text("utf-8"))]
    assert found == ["records.py"]
