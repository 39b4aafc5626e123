"""Class names: near-duplicates are two names of one thing, not a thing and a part of it."""

from __future__ import annotations

import pytest

from checks.small_set import SmallSet
from liftgate.checks.run import run


@pytest.mark.parametrize(
    "names",
    [
        ["person-seatbelt", "seatbelt", "spoon"],
        ["fire truck", "truck", "spoon"],
        ["helmet", "no-helmet", "hot dog"],
        ["with_mask", "without_mask", "wheel"],
        ["left hand", "right hand", "hand"],
        ["Fire", "Fire Extinguisher", "car"],
        ["bus", "minibus", "racecar"],
        ["tomato", "tomato leaf", "apple"],
        ["door open", "door closed", "pineapple"],
        ["T1", "T2", "ripe"],
    ],
)
def test_another_thing_of_the_same_kind_is_no_duplicate(small: SmallSet, names: list[str]) -> None:
    small.keys(names=names)
    assert not run(small.subject(), select=["classes.names"]).findings


@pytest.mark.parametrize(
    "twins",
    [
        ("phone", "Mobile phone"),
        ("helmet", "Helmet"),
        ("traffic light", "traffic_light"),
        ("cars", "car"),
        ("pot hole", "pothole"),
        ("hard-hat", "Hard Hat"),
    ],
)
def test_two_names_of_one_thing_are_reported(small: SmallSet, twins: tuple[str, str]) -> None:
    small.keys(names=[*twins, "spoon"])
    (found,) = run(small.subject(), select=["classes.names"]).findings
    assert found.data["twins"] == [list(twins)]


@pytest.mark.parametrize("besides", [[], ["dash"]])
def test_ten_digits_may_be_what_is_labelled(small: SmallSet, besides: list[str]) -> None:
    small.keys(names=[*map(str, range(10)), *besides], nc=10 + len(besides))
    (found,) = run(small.subject(), select=["classes.names"]).findings
    assert (found.severity, len(found.data["numbers"])) == ("info", 10)


def test_numbers_for_three_classes_are_lost_names(small: SmallSet) -> None:
    small.keys(names=["0", "1", "2"])
    (found,) = run(small.subject(), select=["classes.names"]).findings
    assert found.severity == "warning"
