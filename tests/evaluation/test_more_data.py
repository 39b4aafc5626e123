"""What more data would bring, in words: gain, labels, training, and new groups against those at hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from liftgate.errors import UsageError
from liftgate.evaluation.more_data import Amount, MeasuredImages, worth_of
from liftgate.progress import duration

TEST = MeasuredImages("bench.val", 120, 20)


def amount(images: int, value: float, *, groups: int | None = None, seconds: float | None = None) -> Amount:
    return Amount(f"a{images}", images, value, 0.004, 3, groups, seconds)


NEW = [amount(75, 0.55, groups=5, seconds=300), amount(150, 0.65, groups=10, seconds=500)]
ALL = amount(300, 0.72, groups=20, seconds=900)
OLD = [amount(75, 0.715, groups=20), amount(150, 0.718, groups=20)]


def test_the_answer_has_gain_interval_sample_labels_and_training() -> None:
    found = worth_of("mAP50", TEST, [*NEW, ALL], more=300, seconds_per_image=90, usd_per_hour=8.0)
    assert 0 < found.gain.low < found.gain.value < found.gain.high < 0.15
    assert (found.cost.label_hours, found.cost.train_hours, found.cost.usd) == (7.5, 0.5, 4.0)
    said = found.text
    assert said.startswith(f"300 more images would bring {100 * found.gain.value:+.1f} points of mAP50 [")
    assert "80% interval, power law through 3 amounts, 3 seeds each; 120 images, 20 groups" in said
    assert f"7.5 hours of labelling, about {duration(1800)}, $4.00 for a training on all of them" in said
    assert said.endswith("Which images the smaller amounts happen to have is not in the interval.")


def test_with_one_seed_what_a_training_adds_by_chance_is_not_in_the_interval_either() -> None:
    found = worth_of("mAP50", TEST, [replace(one, seeds=1) for one in (*NEW, ALL)])
    assert found.text.endswith("not in the interval; with one seed, nor is what a training adds by chance.")


@pytest.mark.parametrize(("per_group", "expected"), [(1, True), (25, False), (None, False)])
def test_without_groups_it_is_said_that_new_places_may_bring_more(per_group: int | None, expected: bool) -> None:
    amounts = [
        amount(images, value, groups=None if per_group is None else images // per_group)
        for images, value in ((75, 0.55), (150, 0.65), (300, 0.72))
    ]
    text = worth_of("mAP50", TEST, amounts).text
    assert text.endswith("those of new places may bring more.") == expected


def test_new_groups_that_surely_bring_more_than_old_ones_are_counted() -> None:
    found = worth_of("mAP50", TEST, [*NEW, ALL], more=300, old=OLD, kind="of new groups")
    assert found.old is not None and found.old.compared.difference.low > 0
    assert found.old.as_good is not None and 1 <= found.old.as_good < 20
    assert "300 more images of new groups would bring" in found.text
    assert f"as much as about {found.old.as_good} new groups" in found.text and "new groups bring more" in found.text
    old = found.to_dict()["old_groups"]
    assert isinstance(old, dict) and old["groups_as_good"] == found.old.as_good and len(old["amounts"]) == 3


def test_groups_that_are_not_told_apart_are_not_counted_against_each_other() -> None:
    alike = [amount(75, 0.55, groups=20), amount(150, 0.65, groups=20)]
    found = worth_of("mAP50", TEST, [*NEW, ALL], more=300, old=alike)
    assert found.old is not None and found.old.as_good is None
    assert "not told apart" in found.text and "as much as" not in found.text


def test_what_is_unknown_is_left_out_and_nothing_is_said_beyond_four_times_the_data() -> None:
    plain = worth_of("mAP50", TEST, [amount(75, 0.55), amount(150, 0.65), amount(300, 0.72)])
    assert plain.more == 300 and plain.cost.train_hours is None
    assert "labelling" not in plain.text and "training on all" not in plain.text
    with pytest.raises(UsageError, match="too far to say"):
        worth_of("mAP50", TEST, [*NEW, ALL], more=901)


@pytest.mark.parametrize(
    ("values", "follows"), [((0.72, 0.65, 0.55), False), ((0.6, 0.75, 0.6), False), ((0.7,) * 3, True)]
)
def test_a_metric_that_falls_with_more_data_tells_nothing_of_still_more(
    values: tuple[float, ...], follows: bool
) -> None:
    amounts = [amount(images, value) for images, value in zip((75, 150, 300), values, strict=True)]
    found = worth_of("mAP50", TEST, amounts)
    assert found.follows is follows and found.to_dict()["follows_curve"] is follows
    assert ("what more images would bring is not known" in found.text) is not follows
    if not follows:
        beside = worth_of("mAP50", TEST, [*NEW, ALL], old=[*amounts[:2], ALL])
        assert not beside.follows
