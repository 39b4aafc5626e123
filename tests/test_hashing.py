"""The same value gives the same hash on every machine, and different values differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.hashing import OMITTED_AT_DEFAULT, content_hash, file_hash

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


class Colour(Enum):
    RED = 1
    GREEN = 2


@dataclass(frozen=True)
class Point:
    x: int
    y: int


@dataclass(frozen=True)
class Vector:
    x: int
    y: int


def shape(value: Any) -> Any:
    """A slow, obvious rendering that keeps the types apart; the hash must split values exactly as this does."""
    if isinstance(value, dict):
        return ("dict", tuple(sorted((key, shape(item)) for key, item in value.items())))
    if isinstance(value, list):
        return ("list", tuple(shape(item) for item in value))
    return (type(value).__name__, repr(value))


@given(values, values)
def test_two_values_share_a_hash_exactly_when_they_are_the_same(a: Any, b: Any) -> None:
    assert (content_hash(a) == content_hash(b)) == (repr(shape(a)) == repr(shape(b)))


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert content_hash(value) == content_hash(dict(reversed(value.items())))


def test_a_hash_never_changes_between_versions() -> None:
    assert content_hash({"lr0": 0.01, "epochs": 300, "names": ["a", "b"], "none": None}) == (
        "d64e8cbcae4a02ca2bdf793ede14444a729bf9112fe89955f0ef33dc6270b4be"
    )
    assert content_hash({"a", "b", 3}).startswith("beb876dd47b535f8")


def test_joined_strings_and_nested_lists_are_not_confused() -> None:
    different = [["ab"], ["a", "b"], [["a"], "b"], "ab", ["ab", ""], {"a": "b"}, ["a", ["b"]]]
    assert len({content_hash(value) for value in different}) == len(different)


def test_records_enums_and_arrays_are_told_apart_by_type() -> None:
    different = [
        Point(1, 2),
        Vector(1, 2),
        {"x": 1, "y": 2},
        Colour.RED,
        Colour.GREEN,
        np.zeros(2),
        np.zeros((2, 1)),
        np.zeros(2, np.int64),
    ]
    assert len({content_hash(value) for value in different}) == len(different)


def test_a_field_that_was_added_later_changes_no_hash_until_it_is_used() -> None:
    @dataclass(frozen=True)
    class Before:
        x: int

    @dataclass(frozen=True)
    class After:
        x: int
        y: int | None = field(default=None, metadata=OMITTED_AT_DEFAULT)
        z: dict[str, str] = field(default_factory=dict, metadata=OMITTED_AT_DEFAULT)

    Before.__name__ = After.__name__ = "Record"
    assert content_hash(After(1)) == content_hash(Before(1))
    assert len({content_hash(one) for one in (After(1), After(1, 2), After(1, 0), After(1, None, {"a": "b"}))}) == 4


def test_an_array_hashes_by_value_not_by_memory_layout_or_byte_order() -> None:
    table = np.arange(6.0).reshape(2, 3)
    assert content_hash(table) == content_hash(np.asfortranarray(table)) == content_hash(table.astype(">f8"))


@pytest.mark.parametrize("value", [Path("a"), object(), {1: 2}, np.array([object()]), 1j])
def test_what_would_depend_on_the_machine_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="no content hash"):
        content_hash(value)


def test_a_file_hashes_to_the_digest_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert file_hash(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_half_of_a_surrogate_pair_has_a_hash_of_its_own() -> None:
    raw = "".join(chr(0xDC00 + byte) for byte in "\ud800".encode("utf-8", "surrogatepass"))  # the same bytes, as a name
    assert len({content_hash(text) for text in ("\ud800", "\ud801", raw, "?")}) == 4
