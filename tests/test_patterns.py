"""Regular expressions of people and files: one error each, no warning, and a group that is named."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.grouping.groups import assign_groups
from liftgate.errors import DataError
from liftgate.patterns import PatternError, compiled_pattern
from liftgate.study.study_parser import InvalidStudy, parse


@pytest.mark.parametrize("rule", ["(", "[a", "a{9999999999}", "(?P<group>x)(?P<group>y)", "(" * 5000 + ")" * 5000])
def test_what_is_no_pattern_is_one_error(rule: str) -> None:
    with pytest.raises(PatternError):
        compiled_pattern(rule)


@given(st.text("(?P<group>)[]{}^-|&~\\d+*a1", max_size=30))
def test_any_text_is_a_pattern_or_one_error_and_never_a_warning(rule: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            assert compiled_pattern(rule).pattern == rule
        except PatternError as error:
            assert str(error)


@pytest.mark.parametrize("rule", ["[(?P<group>x)]", r"\(?P<group>x\)", "(?P<group>", "[[a](?P<group>x)]"])
def test_a_rule_for_groups_names_its_group_or_is_refused(rule: str) -> None:
    images = (Image("x.jpg", Path("x.jpg"), 8, 8),)
    dataset = Dataset("x", Path(), Path("t.json"), "coco", ("a",), images, Labels.build([], [], []))
    try:
        assign_groups(dataset, rule, base=Path())
    except DataError as error:
        assert "regex" in error.what or "group" in error.what
    else:
        assert "[[a]" in rule


@pytest.mark.parametrize("key", ["\\ud800", "study\\udfff"])
def test_half_of_a_surrogate_pair_as_a_key_is_one_error(key: str) -> None:
    with pytest.raises(InvalidStudy):
        parse(f'study: s\n"{key}": 1\n')
