"""Variance if large groups differ as much as all groups do."""

from __future__ import annotations

import numpy as np
import pytest

from liftgate.stats.alike import alike_groups
from liftgate.stats.clustered import bootstrap_se_t, bootstrap_weights, cluster_ratio_t, median_interval
from liftgate.stats.distributions import t_quantile
from liftgate.stats.groups import AlikeVariance, count_groups

UNEVEN = np.maximum(1, np.round(96 / np.arange(1, 101))).astype(np.int64)
"""Sizes 1, 1/2, 1/3 …"""


@pytest.mark.parametrize("by_share", [False, True])
def test_with_even_groups_it_is_the_variance_between_them(by_share: bool) -> None:
    group = np.repeat(np.arange(8), 30)
    images = np.random.default_rng(0).normal(size=8)[group] + np.random.default_rng(1).normal(size=240)
    influence = (images - images.mean()) / len(images)
    found = alike_groups(influence, group, np.bincount(group), by_share=by_share)
    assert found is not None
    assert found.variance == pytest.approx(np.sum(np.bincount(group, influence) ** 2) * 8 / 7, rel=0.01)
    assert 7 <= found.degrees < 20, "those of eight groups, and more for what images differ by alone"


def test_groups_of_one_image_and_images_no_more_alike_than_others_say_nothing() -> None:
    assert alike_groups(np.array([0.1, -0.2, 0.1]), np.arange(3), np.ones(3)) is None
    assert alike_groups(np.array([0.1, -0.1] * 4), np.repeat(np.arange(4), 2), np.ones(4)) is None
    found = alike_groups(np.array([0.1, 0.1, -0.2, 5.0]), np.array([0, 0, 1, 2]), np.array([2, 1, 0]))
    assert found is not None and found.degrees >= 1, "a group that holds nothing of it tells nothing"


def test_what_small_groups_differ_by_counts_where_large_ones_agree_by_chance() -> None:
    group = np.repeat(np.arange(100), UNEVEN)
    of_group = np.where(np.arange(100) < 5, 0.0, np.resize([1.0, -1.0], 100))
    images = of_group[group] - of_group[group].mean()
    influence = images / len(images)
    squares = float(np.sum(np.bincount(group, influence) ** 2))
    each, by_share = (alike_groups(influence, group, UNEVEN, by_share=one) for one in (False, True))
    assert each is not None and by_share is not None
    assert each.variance > by_share.variance > 2 * squares


def test_a_gate_at_the_truth_seldom_passes_where_groups_are_good_but_for_a_few() -> None:
    """Groups' values from a beta distribution near 1: where the large ones are good, squares and estimate both err."""
    rng, passed = np.random.default_rng(0), np.zeros(2)
    group, draws = np.repeat(np.arange(100), UNEVEN), bootstrap_weights(100, 1000, rng)
    for _ in range(400):
        images = (rng.random(len(group)) < rng.beta(1.8, 0.2, 100)[group]).astype(np.float64)
        sums, total = np.bincount(group, images), len(images)
        drawn = (sums @ draws) / (UNEVEN @ draws)
        least = alike_groups((images - images.mean()) / total, group, UNEVEN)
        for place, one in enumerate((None, least)):
            found = bootstrap_se_t(
                images.mean(), drawn, n_images=total, groups=count_groups(UNEVEN)._replace(least=one), logit=True
            )
            passed[place] += found.low is not None and found.low > 0.9
    without, now = passed / 400
    assert without > 0.045 and now <= 0.035, (without, now)


def test_no_interval_gets_shorter_and_each_side_reaches_as_far() -> None:
    drawn = np.random.default_rng(0).normal(0.2, 0.1, 1000)
    without, small, large = (
        bootstrap_se_t(0.2, drawn, n_images=60, groups=count_groups(np.ones(12))._replace(least=one))
        for one in (None, AlikeVariance(0.0001, 50), AlikeVariance(0.04, 50))
    )
    assert (small.low, small.high) == (without.low, without.high)
    half = t_quantile(0.95, 50) * 0.2
    assert (large.low, large.high) == pytest.approx((0.2 - half, 0.2 + half))
    seconds, objects = np.array([40.0, 5, 6, 4, 9, 2]), np.array([20.0, 3, 3, 2, 3, 2])
    short = cluster_ratio_t(seconds, objects, n_images=33)
    longer = cluster_ratio_t(seconds, objects, n_images=33, least=AlikeVariance(1.0, 5))
    assert longer.low == 0 and longer.high is not None and short.high is not None and longer.high > short.high


def test_a_median_of_groups_of_which_the_large_agree_is_as_uncertain_as_the_small_ones_say() -> None:
    group = np.repeat(np.arange(100), UNEVEN)
    of_group = np.where(np.arange(100) < 4, 0.5, np.resize([0.1, 0.9], 100))
    values = of_group[group] + np.random.default_rng(0).normal(0, 0.01, len(group))
    found = median_interval(values, group)
    assert found.low is not None and found.high is not None and found.low < 0.2 and found.high > 0.8
