"""What a shadow test says of simulated days: 1,000 days a condition are in benchmarks/shadow.py."""

from __future__ import annotations

import numpy as np

from deploy.shadow.simulated import Scene, day, findings
from liftgate.deploy.shadow.request import ShadowRequest
from liftgate.deploy.shadow.settle import find


def test_two_equal_models_are_rarely_called_different() -> None:
    for tau in (0.0, 15.0):
        found = findings(Scene(tau), 60)
        assert sum(one.answer == "different" for one in found) <= 7  # of 60 at 5%: more has a probability of 1%


def test_three_points_of_recall_on_one_camera_of_six_are_seen_within_a_day() -> None:
    found = findings(Scene(5.0), 40, lost=0.03)
    assert sum(one.answer == "different" for one in found) >= 32
    seen = next(one for one in found if one.answer == "different")
    assert "camera0: the champion reports more" in seen.on_average
    assert "better" not in seen.on_average and "better" not in seen.at_times
    assert seen.settled_after_minutes is not None and seen.warm_up_minutes < seen.settled_after_minutes <= 1440


def test_a_scene_that_stays_for_hours_cannot_be_settled_in_a_day() -> None:
    found = findings(Scene(240.0), 10)
    unclear = [one for one in found if one.answer == "cannot tell"]
    assert len(unclear) >= 7
    assert "cannot tell: a scene stays the same for about" in unclear[0].on_average


def test_blocks_are_three_times_as_long_as_the_scene_stays() -> None:
    for one in findings(Scene(15.0), 5):
        assert one.block_minutes >= max(15, 3 * one.tau_minutes)
        assert one.rate is not None and one.rate.low is not None and one.rate.n_groups == 6 * one.n_blocks


def test_nothing_is_said_before_the_warm_up_is_over() -> None:
    request = ShadowRequest("v0.1", "models", 0.0)
    assert find([], request).answer == "warming up"
    minutes = day(np.random.default_rng(0), Scene(0.0))
    first = [
        type(one)(one.camera, one.images[:60], one.agreed[:60], one.champion_only[:60], one.challenger_only[:60],
                  one.brightness[:60])
        for one in minutes
    ]  # fmt: skip
    early = find(first, request)
    assert (early.answer, early.n_blocks, early.rate) == ("warming up", 0, None)
    assert "60 of 180 minutes" in early.on_average
