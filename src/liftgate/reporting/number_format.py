"""How numbers are written. Rounding is all that a report does to them."""

from __future__ import annotations

import math

from liftgate.progress import dollars

MISSING = "–"
_MINUS = "\u2212"


def number(value: float | int | None) -> str:
    """Return a metric with four decimals, a count with thousands separators; a dash for None and NaN.

    Four, because published gates argue in the fourth (0.7626 against 0.7612) and a bound that misses its margin by
    0.0002 must not be printed as equal to it.

    >>> number(0.70812), number(4155), number(None)
    ('0.7081', '4,155', '–')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
    return text.replace("-", _MINUS)


def signed(value: float | None) -> str:
    """Return a difference with its sign; zero has none.

    >>> signed(0.0413), signed(-0.02), signed(0.0)
    ('+0.0413', '−0.0200', '0')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    return "0" if value == 0 else f"{value:+.4f}".replace("-", _MINUS)


def score(value: float) -> str:
    """Return a confidence with two decimals, for pictures.

    >>> score(0.834)
    '0.83'
    """
    return f"{value:.2f}"


def tick(value: float) -> str:
    """Return a value for the end of an axis, with three digits.

    >>> tick(10.0), tick(0.70812), tick(12.3456), tick(2048)
    ('10', '0.708', '12.3', '2,048')
    """
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", _MINUS)


def reading(value: float) -> str:
    """Return a value for the tooltip of a point.

    >>> reading(0.708123), reading(1e-05)
    ('0.7081', '1e−05')
    """
    return f"{value:.4g}".replace("-", _MINUS)


def money(usd: float | None) -> str:
    """Return US dollars and cents.

    >>> money(1.6), money(None)
    ('$1.60', '–')
    """
    return MISSING if usd is None else dollars(usd)
