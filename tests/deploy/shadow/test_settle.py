"""What a shadow test says of simulated days: 1,000 days a condition are in benchmarks/shadow.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from deploy.shadow.simulated import Scene, day, findings, regime_day, switching_day, until
from liftgate.deploy.shadow.request import ShadowRequest
from liftgate.deploy.shadow.settle import CameraFinding, find


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
    assert seen.settled_after_minutes is not None and seen.warm_up_minutes <= seen.settled_after_minutes <= 1440


def test_three_points_are_seen_within_a_day_in_scenes_that_last_a_quarter_of_an_hour() -> None:
    found = findings(Scene(15.0, 0.1), 40, lost=0.03)
    assert sum(one.answer == "different" for one in found) >= 32


def test_a_day_that_cannot_tell_says_so_after_the_warm_up_with_the_days_that_could() -> None:
    request, said, days = ShadowRequest("v0.1", "models", 0.0), 0, []
    random = np.random.default_rng(3)
    for _ in range(20):
        minutes = regime_day(random, Scene(30.0, 0.1, kind="regimes"), lost=0.03)
        early = find(until(minutes, 720), request)
        said += early.answer == "cannot tell"
        days += [early.days_needed] if early.days_needed is not None else []
        if early.answer == "cannot tell" and early.chance is not None:
            assert f"is seen with a chance of {early.chance:.0%}" in early.on_average and "for 80%" in early.on_average
    assert said >= 14 and np.median(days) >= 2
    quick = find(until(day(random, Scene(0.0, 0.1)), 720), request)
    assert quick.answer == "not settled" and quick.chance is not None and quick.chance >= 0.8
    assert "a loss of 3 points on one camera is seen with a chance of" in quick.on_average


def test_the_planned_end_sees_what_could_not_be_seen_on_the_way() -> None:
    request, random = ShadowRequest("v0.1", "models", 0.0), np.random.default_rng(8)
    at_the_end = 0
    for _ in range(25):
        minutes = day(random, Scene(30.0, 0.1), lost=0.03)
        before, after = find(minutes, request), find(minutes, request, is_over=True)
        assert before.end_p is None, "it is made once, when the time is over: pairs of the last minute may come"
        if before.answer != "different" and after.answer == "different":
            at_the_end += 1
            assert after.settled_after_minutes == 1440 and after.end_p is not None and after.end_p <= 0.03
            blocks = f"{after.n_blocks} blocks of {after.block_minutes} minutes"
            assert f"at the planned end p = {after.end_p:.2g} of 0.03, {blocks}; e = " in after.on_average
            assert after.on_average.count(blocks) == 1 and f"{after.e_value:.3g} of 50): " in after.on_average
            assert after.block_minutes == max(15, np.ceil(4 * after.tau_minutes)), "all of the test at the end"
            assert "the champion reports more" in after.on_average
    assert at_the_end >= 5


def test_who_reports_more_is_said_by_the_totals_and_not_by_the_number_of_blocks() -> None:
    one = CameraFinding("gate", 1500, 900, champion_only=225, challenger_only=55, blocks_champion=45,
                        blocks_challenger=55, e_value=1.0)  # fmt: skip
    assert one.side == (
        "gate: the champion reports more (225 objects of the champion alone, 55 of the challenger; the champion more "
        "in 45 blocks, the challenger in 55)"
    )
    assert "the challenger reports more (" in replace(one, challenger_only=226).side
    assert "gate: neither reports more (" in replace(one, challenger_only=225).side


def test_a_time_that_is_over_is_tested_though_its_last_minutes_have_no_images_and_one_that_was_stopped_is_not() -> None:
    request = ShadowRequest("v0.1", "models", 0.0)
    minutes = until(day(np.random.default_rng(8), Scene(15.0, 0.1), lost=0.05), 1400)
    assert find(minutes, request).end_p is None
    assert find(minutes, request, is_over=True).answer == "different"
    assert find(until(minutes, 300), request, is_over=True).end_p is None, "half of the time, at least"


def test_two_equal_models_are_rarely_called_different_by_days_on_which_nothing_was_tuned() -> None:
    found = findings(Scene(15.0, 0.1, kind="switching"), 60)
    assert sum(one.answer == "different" for one in found) <= 7
    found = findings(Scene(15.0, 0.1, kind="regimes"), 60)
    assert sum(one.answer == "different" for one in found) <= 7
    by_hour = findings(Scene(15.0, 0.1, kind="switching", cycle=True), 40)
    assert sum(one.answer == "different" for one in by_hour) <= 3, "half a day of one sign is no evidence"
    assert sum(one.answer == "cannot tell" for one in by_hour) >= 34, "one day cannot tell what follows its hours"


def test_an_answer_does_not_depend_on_how_often_one_looked() -> None:
    request, random = ShadowRequest("v0.1", "models", 0.0), np.random.default_rng(1)
    unequal, slow = day(random, Scene(0.0, 0.1), lost=0.1), switching_day(random, Scene(30.0, 0.1, kind="switching"))
    for minutes, settles in ((unequal, True), (slow, False)):
        looks = [find(until(minutes, end), request) for end in range(60, 1441, 60)]
        answers = [one.answer for one in looks]
        first = answers.index("different") if settles else len(looks)
        assert set(answers[first:]) <= {"different"} and "different" not in answers[:first], "not taken back"
        assert len({one.settled_after_minutes for one in looks[first:]}) <= 1
        assert {one.block_minutes for one in looks if one.minutes >= 720} == {looks[-1].block_minutes}


def test_a_longer_look_that_shows_a_slower_scene_begins_again_with_longer_blocks() -> None:
    found = findings(Scene(45.0, 0.1), 12)
    again = [one for one in found if one.warm_up_minutes > 720 or one.answer == "cannot tell"]
    assert again and all(one.block_minutes >= 4 * one.tau_minutes for one in again)


def test_a_scene_that_stays_for_hours_cannot_be_settled_in_a_day() -> None:
    found = findings(Scene(240.0), 10)
    unclear = [one for one in found if one.answer == "cannot tell"]
    assert len(unclear) >= 7
    assert "cannot tell: a scene stays the same for about" in unclear[0].on_average


def test_blocks_are_four_times_as_long_as_the_scene_stays() -> None:
    for one in findings(Scene(15.0), 5):
        assert one.block_minutes >= max(15, 4 * one.tau_minutes)
        assert one.rate is not None and one.rate.low is not None and one.rate.n_groups == 6 * one.n_blocks


def test_nothing_is_said_before_the_warm_up_is_over() -> None:
    request = ShadowRequest("v0.1", "models", 0.0)
    assert find([], request).answer == "warming up"
    minutes = day(np.random.default_rng(0), Scene(0.0))
    early = find(until(minutes, 60), request)
    assert (early.answer, early.n_blocks, early.rate) == ("warming up", 0, None)
    assert "60 of 720 minutes" in early.on_average
