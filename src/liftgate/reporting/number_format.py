"""How numbers are written. Rounding is all that a report does to them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from liftgate.progress import dollars

MISSING = "–"
_MINUS = "\u2212"
_FOLDERS = re.compile(
    r"(?:(?<=[\s\"'`(])|^)(?:~|\.{1,2}|[A-Za-z]:)?[/\\](?:[^\s\"'`/\\]+[/\\])*(?=[^\s\"'`/\\])|(?:(?<=[\s\"'`(])|^)(?:[\w.-]+[/\\])+(?=[\w-]+\.\w+)"
)


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


def outward(low: float, high: float, marks: Sequence[float] = (), scale: float = 1.0) -> tuple[str, str]:
    """Return an interval's ends, rounded away from each other so that the text never says more than the interval.

    As few decimals as the width allows; more where rounding would move an end to the other side of a mark, so that a
    bound that misses a threshold by little is not printed as reaching it.

    Args:
        low: lower end.
        high: upper end.
        marks: values, such as 0 and the threshold, that each end keeps its side of.
        scale: factor of all values: 100 writes a share as a count out of a hundred.

    >>> outward(0.0830, 0.1794, (0.0, 0.01), 100), outward(-0.0152, 0.0124, (0.0, 0.01), 100)
    (('8', '18'), ('−1.6', '1.3'))
    >>> outward(0.03, 0.0499, (0.05,), 100), outward(2.0, 2.0)
    (('3.00', '4.99'), ('2', '2'))
    """
    ends = [round(value * scale, 9) for value in (low, high)]
    edges = [round(value * scale, 9) for value in marks]
    step = (ends[1] - ends[0]) / 5
    texts = ("", "")
    for decimals in range(10):
        factor = 10**decimals
        down, up = math.floor(round(ends[0] * factor, 6)) / factor, math.ceil(round(ends[1] * factor, 6)) / factor
        texts = (_decimals(down, decimals), _decimals(up, decimals))
        kept = all(_sides(down, up, edge) == _sides(ends[0], ends[1], edge) for edge in edges)
        if kept and (step == 0 or 1 / factor <= step or ends == [down, up]):
            break
    return texts


def _sides(low: float, high: float, edge: float) -> tuple[bool, ...]:
    return low >= edge, low > edge, high < edge, high <= edge


def about(value: float, scale: float = 1.0) -> str:
    """Return a value with two digits, at most four decimals.

    >>> about(0.0413, 100), about(0.92, 100), about(12.34), about(0.0)
    ('4.1', '92', '12', '0')
    """
    scaled = round(value * scale, 9)
    if scaled == 0:
        return "0"
    decimals = min(4, max(0, 1 - math.floor(math.log10(abs(scaled)))))
    return f"{round(scaled, decimals):,.10g}".replace("-", _MINUS)


def exact(value: float, scale: float = 1.0) -> str:
    """Return a declared number, such as a threshold, as it was declared.

    >>> exact(0.01, 100), exact(-0.005, 100), exact(0.95, 100)
    ('1', '−0.5', '95')
    """
    return f"{round(value * scale, 9):.10g}".replace("-", _MINUS)


def _decimals(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}"
    return (text.lstrip("-") if float(text.replace(",", "")) == 0 else text).replace("-", _MINUS)


def without_folders(text: str) -> str:
    """Return text in which files are named without their folders: those of one machine mean nothing elsewhere.

    >>> without_folders("Does /home/a/models/best.pt find every cone, and/or ../big/x.yaml?")
    'Does best.pt find every cone, and/or x.yaml?'
    """
    return _FOLDERS.sub("", text)


def coordinate(value: float) -> float:
    """Return a pixel coordinate with one decimal, for drawing.

    >>> coordinate(12.3456)
    12.3
    """
    return round(value, 1)


def format_setting(value: object) -> str:
    """Return a setting as text; `not set` for None."""
    if value is None:
        return "not set"
    return f"{value:g}" if isinstance(value, float) else str(value)
