"""Prices: what the hours of a study cost on machines that are rented, managed or bought."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.errors import UsageError
from liftgate.pipeline.planning.prices import Option, offers, read_prices

EXAMPLE = Path(__file__).parents[3] / "examples" / "prices.yaml"


def test_the_example_has_the_prices_of_the_case_and_its_break_even() -> None:
    options, allowed = read_prices(EXAMPLE)
    found = {offer.name: offer for offer in offers(options, 2.5, confidential=["operators"], allowed=allowed)}
    assert {name: offer.usd_per_hour or offer.usd_once for name, offer in found.items()} == {
        "g6.xlarge": 0.80, "g5.xlarge": 1.00, "managed": 1.41, "laptop": 3500, "desktop": 3000,
    }  # fmt: skip
    assert found["g6.xlarge"].usd_per_study == pytest.approx(2.0)
    against = {line.against: line for line in found["desktop"].break_even}
    assert against["g6.xlarge"].hours == pytest.approx(3750) and against["g6.xlarge"].runs == pytest.approx(1500)
    assert not found["managed"].allowed and "us-east-1" in found["managed"].why_not
    assert found["laptop"].allowed


def test_nothing_is_flagged_for_data_that_is_not_confidential() -> None:
    options, _ = read_prices(EXAMPLE)
    assert all(offer.allowed for offer in offers(options, None, confidential=[], allowed=[]))


def test_a_machine_whose_place_nobody_names_is_flagged() -> None:
    (offer,) = offers({"a": Option("rented", usd_per_hour=1.0)}, None, confidential=["x"], allowed=["on-premises"])
    assert not offer.allowed and offer.usd_per_study is None


@given(
    price=st.floats(1, 1e5), rent=st.floats(0.01, 100), power=st.floats(0.001, 1),
    fast=st.floats(0.1, 10), slow=st.floats(0.1, 10),
)  # fmt: skip
def test_at_the_break_even_both_cost_the_same(
    price: float, rent: float, power: float, fast: float, slow: float
) -> None:
    options = {
        "rent": Option("rented", usd_per_hour=rent, speed=fast),
        "buy": Option("bought", usd=price, usd_per_hour=power, speed=slow),
    }
    (line,) = offers(options, 1.0, confidential=(), allowed=())[1].break_even
    if line.hours is None:
        assert rent / fast <= power / slow
    else:
        assert line.hours * rent / fast == pytest.approx(price + line.hours * power / slow, rel=1e-6)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "prices"),
        ("options: {}", "no options"),
        ("options: {a: {kind: rented}}", "needs `usd_per_hour`"),
        ("options: {a: {kind: bought, usd_per_hour: 1}}", "needs `usd`"),
        ("options: {a: {kind: rented, usd_per_hour: 1, usd: 5}}", "no `usd`"),
        ("options: {a: {kind: rented, usd_per_hour: -1}}", "> 0"),
        ("options: {a: {kind: rented, usd_per_hour: .nan}}", "> 0"),
        ("options: {a: {kind: rented, usd_per_hour: .inf}}", "1000000000"),
        ("options: {a: {kind: lent, usd_per_hour: 1}}", "lent"),
        ("options: {a: {kind: rented, usd_per_huor: 1}}", "usd_per_huor"),
        ("options: [1]", "object"),
        ("options: {a: {kind: rented, usd_per_hour: 1", "YAML"),
    ],
)
def test_prices_that_are_off_are_refused_with_their_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "prices.yaml").write_text(text)
    with pytest.raises(UsageError) as refused:
        read_prices(tmp_path / "prices.yaml")
    assert said in str(refused.value) and "prices.yaml" in str(refused.value)


def test_prices_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_prices(tmp_path / "prices.yaml")
