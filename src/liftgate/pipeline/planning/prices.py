"""Prices: the cost of a study on machines that are rented, managed or bought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec

from liftgate.documents import read_limited
from liftgate.errors import UsageError
from liftgate.records import to_record
from liftgate.study.yaml_source import read
from liftgate.suggestions import suggestion

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
Kind = Literal["rented", "managed", "bought"]


class Option(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One machine, as prices.yaml describes it."""

    kind: Kind
    usd_per_hour: Positive | None = None
    """Of a bought machine: its running costs, such as power"""
    usd: Positive | None = None
    """The price of a bought machine"""
    region: str | None = None
    """Region of the machine; `on-premises` for one's own"""
    speed: Positive = 1.0
    """Speed relative to the machine that was measured"""
    note: str = ""


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Contents of prices.yaml."""

    options: dict[str, Any]
    allowed_regions: tuple[str, ...] = ()
    """Regions where confidential data are allowed"""


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Point from which a bought machine is cheaper than one paid by the hour."""

    against: str
    hours: float | None
    """Of training on the machine that was measured; None: never"""
    runs: float | None
    """Whole studies like this one; None: never, or its length is unknown"""


@dataclass(frozen=True, slots=True)
class Offer:
    """Cost of a study on one machine."""

    name: str
    kind: Kind
    region: str | None
    allowed: bool
    """Whether the study's data are allowed on it"""
    why_not: str
    usd_per_hour: float | None
    usd_once: float
    hours: float | None
    """Of one whole study on this machine; None: unknown"""
    usd_per_study: float | None
    """Without the price of the machine; None: hours or running costs are unknown"""
    break_even: tuple[BreakEven, ...]
    """Of a bought machine, against each that is paid by the hour"""
    note: str


@dataclass(frozen=True, slots=True)
class Costs:
    """Cost of the training of a study."""

    hours: float | None
    """Of the whole study; None: unknown"""
    basis: str
    spent_hours: float
    offers: tuple[Offer, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def read_prices(path: Path) -> tuple[dict[str, Option], tuple[str, ...]]:
    """Return the options by name, and the regions where confidential data may be.

    Raises:
        UsageError: the file cannot be read, or an option is invalid.
    """
    try:
        source = read(read_limited(path).decode("utf-8-sig"), str(path))
    except (OSError, ValueError) as error:
        raise UsageError(f"prices cannot be read: {error}", where=path) from None
    if source.problems:
        raise UsageError(source.problems[0].message, where=source.problems[0].where)
    prices = _convert(source.value, Prices, source.where(()), "prices")
    if not prices.options:
        raise UsageError("no options", where=path, expected="options: {NAME: {kind: rented, usd_per_hour: 0.8}}")
    options = {}
    for name, raw in prices.options.items():
        where = source.where(("options", name))
        option = _convert(raw, Option, where, name)
        needed = "usd" if option.kind == "bought" else "usd_per_hour"
        if getattr(option, needed) is None:
            raise UsageError(f"{name}: a {option.kind} machine needs `{needed}`", where=where)
        if option.kind != "bought" and option.usd is not None:
            raise UsageError(f"{name}: a {option.kind} machine has no `usd`, it is paid by the hour", where=where)
        options[name] = option
    return options, prices.allowed_regions


def offers(
    options: dict[str, Option], hours: float | None, *, confidential: Sequence[str], allowed: Sequence[str]
) -> tuple[Offer, ...]:
    """Return the cost of the study on each machine.

    Args:
        options: by name.
        hours: of training that the whole study takes on the machine that was measured; None: unknown.
        confidential: names of the study's confidential datasets.
        allowed: regions where these may be.

    >>> options = {"rent": Option("rented", usd_per_hour=1.0), "buy": Option("bought", usd=3000.0)}
    >>> offers(options, 2.5, confidential=(), allowed=())[1].break_even
    (BreakEven(against='rent', hours=3000.0, runs=1200.0),)
    """
    hourly = {name: option for name, option in options.items() if option.kind != "bought"}
    found = []
    for name, option in options.items():
        there = None if hours is None else hours / option.speed
        why_not = _why_not(option, confidential, allowed)
        bought = option.kind == "bought"
        found.append(
            Offer(
                name=name,
                kind=option.kind,
                region=option.region,
                allowed=not why_not,
                why_not=why_not,
                usd_per_hour=option.usd_per_hour,
                usd_once=option.usd or 0.0,
                hours=there,
                usd_per_study=None if there is None or option.usd_per_hour is None else there * option.usd_per_hour,
                break_even=tuple(_break_even(option, other, rented, hours) for other, rented in hourly.items())
                if bought
                else (),
                note=option.note,
            )
        )
    return tuple(found)


def _break_even(bought: Option, name: str, rented: Option, hours: float | None) -> BreakEven:
    saved = (rented.usd_per_hour or 0.0) / rented.speed - (bought.usd_per_hour or 0.0) / bought.speed
    if saved <= 0:
        return BreakEven(name, None, None)
    until = (bought.usd or 0.0) / saved
    return BreakEven(name, until, until / hours if hours else None)


def _why_not(option: Option, confidential: Sequence[str], allowed: Sequence[str]) -> str:
    if not confidential or option.region in allowed:
        return ""
    names = ", ".join(confidential)
    if option.region is None:
        return f"{names} is confidential, and the region of this machine is not given"
    return f"{names} is confidential and may not be in {option.region}"


def _convert(value: Any, kind: Any, where: str, name: str) -> Any:
    try:
        return to_record(value, kind)
    except msgspec.ValidationError as error:
        unknown = str(error).partition("unknown field `")[2].partition("`")[0]
        hint = suggestion(unknown, kind.__struct_fields__) if unknown else None
        if "enum value" in str(error):
            hint = f"kind: {', '.join(get_args(Kind))}"
        raise UsageError(f"{name}: {error}", where=where, hint=hint) from None
