"""Kappa and AC1 against published cases, scikit-learn and real people; their intervals against simulation."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from liftgate.stats.agreement import (
    ac1_interval,
    cohen_kappa,
    gwet_ac1,
    kappa_interval,
    percentile_interval,
    ratio_interval,
)

tables = st.lists(st.lists(st.integers(0, 30), min_size=3, max_size=3), min_size=3, max_size=3)


@pytest.mark.parametrize(("cells", "kappa", "ac1"), [((40, 9, 6, 45), 0.6995, 0.7007), ((80, 10, 5, 5), 0.3182, 0.808)])
def test_the_published_tables_give_the_published_coefficients(cells: tuple[int, ...], kappa: float, ac1: float) -> None:
    table = np.reshape(cells, (2, 2))
    assert float(cohen_kappa(table)) == pytest.approx(kappa, abs=5e-5)
    assert float(gwet_ac1(table)) == pytest.approx(ac1, abs=5e-4)


def test_kappa_of_39_real_annotators_agrees_with_scikit_learn(fixtures: Path) -> None:
    people = yaml.safe_load((fixtures / "annotators_bluebirds" / "labels.yaml").read_text())
    images = sorted(next(iter(people.values())))
    answers = np.array([[bool(answer[image]) for image in images] for answer in people.values()], dtype=np.int64)
    assert answers.shape == (39, 108)
    for i in range(39):
        for j in range(i + 1, 39):
            table = np.bincount(answers[i] * 2 + answers[j], minlength=4).reshape(2, 2)
            assert float(cohen_kappa(table)) == pytest.approx(cohen_kappa_score(answers[i], answers[j]), abs=1e-12)


@given(tables)
def test_kappa_agrees_with_scikit_learn_on_any_table(table: list[list[int]]) -> None:
    rows, columns = np.nonzero(np.ones((3, 3)))
    times = np.ravel(table)
    a, b = np.repeat(rows, times), np.repeat(columns, times)
    ours = float(cohen_kappa(table))
    if (len(set(a)) == len(set(b)) == 1 and set(a) == set(b)) or not len(a):
        assert math.isnan(ours)  # scikit-learn divides by zero here
    else:
        assert ours == pytest.approx(float(cohen_kappa_score(a, b)), abs=1e-12)


@given(tables, st.permutations([0, 1, 2]))
def test_neither_who_comes_first_nor_the_order_of_classes_matters(table: list[list[int]], order: list[int]) -> None:
    counts = np.array(table)
    for coefficient in (cohen_kappa, gwet_ac1):
        expected = float(coefficient(counts))
        for same in (counts.T, counts[np.ix_(order, order)]):
            assert float(coefficient(same)) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_tables_with_leading_axes_give_one_coefficient_each() -> None:
    many = np.array([[[40, 9], [6, 45]], [[80, 10], [5, 5]]])
    assert cohen_kappa(many).tolist() == [float(cohen_kappa(table)) for table in many]


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 1)])
def test_a_table_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected tables of shape"):
        cohen_kappa(np.ones(shape))


def groups(rng: np.random.Generator, count: int, error: float, icc: float = 0.1, size: int = 12) -> np.ndarray:  # type: ignore[type-arg]
    """(G, 2, 2): the chance of an error differs between groups."""
    share = rng.beta(error * (1 / icc - 1), (1 - error) * (1 / icc - 1), count)
    made = np.zeros((count, 2, 2))
    for group, chance in enumerate(share):
        truth, wrong = rng.integers(0, 2, size), rng.random(size) < chance
        np.add.at(made[group], (truth, np.where(wrong, 1 - truth, truth)), 1)
    return made


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng, hits, runs = np.random.default_rng(7), 0, 400
    for _ in range(runs):
        interval = kappa_interval(groups(rng, 15, 0.1), n_images=180)
        assert interval.low is not None and interval.high is not None
        hits += interval.low <= 0.8 <= interval.high
    assert 0.92 <= hits / runs <= 0.985  # nominal 0.95; the percentile bootstrap stays below 0.92 here


def test_an_interval_never_passes_1_and_names_its_basis() -> None:
    interval = kappa_interval(groups(np.random.default_rng(0), 20, 0.03), n_images=240)
    assert interval.low is not None and interval.high is not None
    assert interval.low < interval.estimate < interval.high <= 1
    assert (interval.method, interval.level, interval.n_images, interval.n_groups) == ("jackknife-log-t", 0.95, 240, 20)


def test_perfect_agreement_is_not_certainty() -> None:
    perfect = np.tile(np.diag([5.0, 5.0]), (10, 1, 1))
    interval = kappa_interval(perfect, n_images=10)
    # 10 groups without a disagreement: observed agreement ≥ 0.025^(1/10), corrected for a chance of one half.
    assert interval.low == pytest.approx(1 - (1 - 0.025**0.1) / 0.5)
    assert interval.high == 1 and interval.method == "exact-groups"


def test_disagreement_in_one_group_only_still_has_an_interval() -> None:
    counts = np.tile(np.diag([5.0, 5.0]), (12, 1, 1))
    counts[3] = [[4, 1], [0, 5]]
    interval = kappa_interval(counts, n_images=12)
    assert interval.low is not None and interval.high is not None
    assert 0.8 < interval.low < interval.estimate < interval.high < 1


@pytest.mark.parametrize("count", [0, 1, 4])
def test_under_five_groups_nothing_is_established(count: int) -> None:
    made = groups(np.random.default_rng(1), count, 0.1)
    for interval in (
        kappa_interval(made, n_images=count),
        ac1_interval(made, n_images=count),
        percentile_interval(made, cohen_kappa, np.random.default_rng(0), n_images=count),
    ):
        assert not interval.established
        assert interval.note


def test_groups_in_which_nothing_was_counted_are_no_evidence() -> None:
    made = groups(np.random.default_rng(1), 8, 0.1)
    padded = np.concatenate([made, np.zeros((50, 2, 2))])
    found = kappa_interval(padded, n_images=96)
    assert (found.n_groups, found.informative) == (58, 8)
    assert replace(found, n_groups=8) == kappa_interval(made, n_images=96)


def uneven(rng: np.random.Generator, kind: str, count: int, per_group: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts and agreed ones of boxes in groups whose agreement varies around 0.85 (ICC 0.1)."""
    number = np.full(count, per_group)
    if kind == "half":
        number = np.full(count, count * per_group // 2 // (count - 1))
        number[0] = count * per_group // 2
    elif kind == "zipf":
        share = 1 / np.arange(1, count + 1)
        number = np.maximum(1, (count * per_group * share / share.sum()).astype(int))
    return number, rng.binomial(number, rng.beta(0.85 * 9, 0.15 * 9, count))


@pytest.mark.parametrize(("kind", "count", "per_group"), [("half", 20, 12), ("zipf", 8, 30), ("even", 20, 12)])
def test_the_interval_of_f1_holds_where_groups_are_uneven(kind: str, count: int, per_group: int) -> None:
    """With one group of half the boxes 90.6% covered, with sizes 1, 1/2, 1/3 … 92.4%, and up to 4.8% passed."""
    rng, truth, runs = np.random.default_rng(11), 2 * 0.85 / 1.85, 500
    covered, passed = 0, 0
    for _ in range(runs):
        number, agreed = uneven(rng, kind, count, per_group)
        found = ratio_interval(np.stack([2 * agreed, number + agreed], axis=1), n_images=int(number.sum()))
        assert found.low is not None and found.high is not None
        covered += found.low <= truth <= found.high
        passed += found.low > truth
    assert covered / runs > 0.935 and passed / runs < 0.04


def test_one_dominating_group_is_said() -> None:
    number, agreed = uneven(np.random.default_rng(2), "half", 20, 12)
    found = ratio_interval(np.stack([2 * agreed, number + agreed], axis=1), n_images=int(number.sum()))
    assert found.groups_effective is not None and found.groups_effective < 4 and "one group dominates" in found.note


def test_the_interval_of_f1_ends_where_f1_does() -> None:
    rows = np.array([[2.0, 40], [1, 3], [0, 4], [3, 4], [0, 6]])
    found = ratio_interval(rows, n_images=9)
    assert found.low == 0.0 and found.high is not None and found.high < 1


def test_what_never_varies_has_no_interval() -> None:
    """One rater of whom nothing varies: kappa is 0 whichever group is left out, which was printed as [0, 0]."""
    constant = np.tile(np.array([[5.0, 3.0], [0.0, 0.0]]), (10, 1, 1))
    for found in (kappa_interval(constant, n_images=10), ac1_interval(constant, n_images=10)):
        assert not found.established and "never vary" in found.note
    nothing = ratio_interval(np.tile([0.0, 6.0], (10, 1)), n_images=10)
    assert (nothing.low, nothing.method) == (0.0, "exact-groups")
    assert nothing.high == pytest.approx(1 - 0.025**0.1)
    some = ratio_interval(np.tile([3.0, 6.0], (10, 1)), n_images=10)
    assert some.estimate == 0.5 and not some.established


def test_the_percentile_interval_is_reproducible_and_says_that_it_is_for_display() -> None:
    made = groups(np.random.default_rng(1), 10, 0.1)
    one, two = (percentile_interval(made, cohen_kappa, np.random.default_rng(3), n_images=120) for _ in range(2))
    assert one == two
    assert "for display" in one.method
    assert one.low is not None and one.high is not None and one.low <= one.estimate <= one.high


def test_a_coefficient_that_is_undefined_says_so_instead_of_zero() -> None:
    only_one = np.tile(np.diag([5.0, 0.0]), (10, 1, 1))
    interval = kappa_interval(only_one, n_images=10)
    assert math.isnan(interval.estimate) and not interval.established and "undefined" in interval.note
    assert ac1_interval(only_one, n_images=10).estimate == 1


def test_a_ratio_is_of_the_sums_and_not_the_mean_of_ratios() -> None:
    sums = np.array([[1.0, 1.0], [0.0, 3.0], [2.0, 2.0], [1.0, 2.0], [3.0, 4.0]])
    assert ratio_interval(sums, n_images=5).estimate == pytest.approx(7 / 12)
