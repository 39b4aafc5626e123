"""Quantiles and tails, held against scipy.special over everything that an interval may ask for."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from liftgate.stats.distributions import beta_quantile, beta_share, normal_quantile, t_quantile, t_tails

levels = st.floats(0.001, 0.999999)
sizes = st.floats(-2, 6).map(lambda power: 10.0**power)


@given(level=st.floats(-0.999999, 0.999999))
def test_the_normal_quantile_is_scipys(level: float) -> None:
    assert normal_quantile(level) == pytest.approx(float(special.ndtri((1 + level) / 2)), abs=1e-9)


@given(level=levels, degrees=st.one_of(st.integers(1, 20_000).map(float), st.floats(1, 1e9)))
def test_students_quantile_is_scipys_for_any_degrees_of_freedom(level: float, degrees: float) -> None:
    # Near the middle scipy's own value is off by some 1e-9, as the series of the quantile shows.
    assert t_quantile(level, degrees) == pytest.approx(
        float(special.stdtrit(degrees, (1 + level) / 2)), rel=1e-9, abs=5e-9
    )
    assert t_quantile(-level, degrees) == -t_quantile(level, degrees)


@given(t=st.floats(0, 1e6), degrees=st.one_of(st.integers(1, 2000).map(float), st.floats(1, 1e6)))
def test_students_tails_are_scipys(t: float, degrees: float) -> None:
    assert t_tails(t, degrees) == pytest.approx(float(2 * special.stdtr(degrees, -t)), abs=1e-8)


@given(share=levels, a=sizes, b=sizes)
def test_the_beta_quantile_is_scipys(share: float, a: float, b: float) -> None:
    x = beta_quantile(share, a, b)
    expected = float(special.betaincinv(a, b, share))
    # Where a and b are tiny all of the mass lies at 0 and 1, and no float between them has the share.
    assert x == pytest.approx(expected, abs=1e-10) or beta_share(x, a, b) == pytest.approx(share, abs=1e-9)


@given(x=st.floats(0, 1), a=sizes, b=sizes)
def test_the_beta_share_is_scipys(x: float, a: float, b: float) -> None:
    assert beta_share(x, a, b) == pytest.approx(float(special.betainc(a, b, x)), abs=1e-8)


def test_ends_and_what_is_no_number() -> None:
    assert (beta_quantile(0, 2, 3), beta_quantile(1, 2, 3)) == (0, 1)
    assert (beta_share(0, 2, 3), beta_share(1, 2, 3), t_tails(math.inf, 5), t_tails(0, 5)) == (0, 1, 0, 1)
    assert math.isnan(t_tails(math.nan, 5))
    assert t_quantile(0, 5) == 0


@pytest.mark.parametrize("quantile", [t_quantile, beta_quantile, normal_quantile, t_tails, beta_share])
def test_numbers_of_numpy_give_pythons_whoever_asked_before(quantile: Callable[..., float]) -> None:
    # numpy's number equals Python's and has its hash, so a cache keeps the first answer for both.
    asked = (0.913, 3.0, 7.0)[: len(inspect.signature(quantile).parameters)]
    answers = [quantile(*(np.float64(value) for value in asked)), quantile(*asked)]
    assert [type(answer) for answer in answers] == [float, float]
    assert answers[0] == answers[1]
