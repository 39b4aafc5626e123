"""Class names: near-duplicates are two names of one thing, not a thing and a part of it."""

from __future__ import annotations

import pytest

from checks.small_set import SmallSet
from liftgate.checks import run


@pytest.mark.parametrize(
    "names",
    [["person-seatbelt", "seatbelt", "spoon"], ["fire truck", "truck", "spoon"], ["helmet", "no-helmet", "hot dog"]],
)
def test_another_thing_of_the_same_kind_is_no_duplicate(small: SmallSet, names: list[str]) -> None:
    small.keys(names=names)
    assert not run(small.subject(), select=["classes.names"]).findings


def test_two_names_of_one_thing_are_reported(small: SmallSet) -> None:
    small.keys(names=["phone", "Mobile phone", "spoon"])
    (found,) = run(small.subject(), select=["classes.names"]).findings
    assert found.data["twins"] == [["phone", "Mobile phone"]]
