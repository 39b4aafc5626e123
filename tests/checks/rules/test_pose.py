"""Which keypoint becomes which in the mirror."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.small_set import SmallSet
from liftgate.checks.probes.flip_index import flip_from_names
from liftgate.checks.run import run

_WORDS = """
    front_wheel_left front_wheel_right rear_wheel_left rear_wheel_right headlight_left headlight_right taillight_left
    taillight_right exhaust mirror_right mirror_left roof_front_left roof_front_right centre
"""
VEHICLE = _WORDS.split()


def test_the_vehicle_of_the_kill_switch_project_gets_its_flip_idx(small: SmallSet) -> None:
    small.keypoints(VEHICLE)
    small.keys(flip_idx=list(range(14)), kpt_oks_sigmas=[0.05] * 14)
    subject = small.subject(recipe={"epochs": 60, "optimizer": "SGD", "fliplr": 0.5}, task="pose")
    (found,) = run(subject, select=["pose.flip_idx"]).findings
    assert found.severity == "error"
    assert found.data["proposed"] == [1, 0, 3, 2, 5, 4, 7, 6, 8, 10, 9, 12, 11, 13]
    assert "identity" in found.message


def test_a_flip_idx_of_wrong_length_is_one_fault_with_the_right_one_proposed(small: SmallSet) -> None:
    small.keypoints(VEHICLE)
    small.keys(flip_idx=[1, 0, 3])
    (found,) = run(small.subject(), select=["pose.flip_idx"]).findings
    assert found.severity == "error" and "missing" not in found.message
    assert found.data["proposed"] == [1, 0, 3, 2, 5, 4, 7, 6, 8, 10, 9, 12, 11, 13]


def test_an_identity_that_nothing_mirrors_by_is_only_worth_knowing(small: SmallSet) -> None:
    small.keypoints(VEHICLE)
    small.keys(flip_idx=list(range(14)))
    recipe = {"epochs": 60, "optimizer": "SGD", "fliplr": 0.0}
    subject = small.subject(recipe=recipe, control=recipe, task="pose")
    (found,) = run(subject, select=["pose.flip_idx"]).findings
    assert found.severity == "info" and "nothing mirrors here" in found.message


def test_a_flip_idx_that_pairs_more_than_the_names_say_is_fine(small: SmallSet) -> None:
    small.keypoints(["kerb_lamp", "road_lamp", "left_door", "right_door"], per_row="0.4 0.4 2 " * 4)
    small.keys(flip_idx=[1, 0, 3, 2])
    assert not run(small.subject(), select=["pose.flip_idx"]).findings
    small.keys(flip_idx=[1, 0, 2, 3])
    assert run(small.subject(), select=["pose.flip_idx"]).findings


def test_the_right_flip_idx_is_fine(small: SmallSet) -> None:
    small.keypoints(VEHICLE)
    small.keys(flip_idx=[1, 0, 3, 2, 5, 4, 7, 6, 8, 10, 9, 12, 11, 13])
    assert not run(small.subject(), select=["pose.flip_idx"]).findings


def test_without_mirroring_no_flip_idx_is_needed(small: SmallSet) -> None:
    small.keypoints(VEHICLE)
    recipe = {"epochs": 60, "optimizer": "SGD", "fliplr": 0.0}
    subject = small.subject(recipe=recipe, control=recipe, task="pose")
    assert not run(subject, select=["pose.flip_idx"]).findings


def test_keypoints_without_names_are_a_warning_since_nobody_knows(small: SmallSet) -> None:
    small.keypoints(["a", "b", "c"])
    (found,) = run(small.subject(), select=["pose.flip_idx"]).findings
    assert found.severity == "warning"


@pytest.mark.parametrize(
    ("names", "flip"),
    [
        (["nose", "left_eye", "right_eye"], (0, 2, 1)),
        (["LeftEye", "RightEye", "Nose"], (1, 0, 2)),
        (["wheel FL l", "wheel FL r"], (1, 0)),
        (["left_eye", "nose"], None),  # a side without its counterpart
        (["0", "1", "2"], None),
        (["a", "a"], None),
    ],
)
def test_flip_from_names(names: list[str], flip: tuple[int, ...] | None) -> None:
    assert flip_from_names(names) == flip


@given(st.lists(st.sampled_from(["left_a", "right_a", "left_b", "right_b", "nose", "tail"]), unique=True))
def test_a_flip_undoes_itself(names: list[str]) -> None:
    flip = flip_from_names(names)
    if flip is not None:
        assert [flip[goes] for goes in flip] == list(range(len(flip)))
