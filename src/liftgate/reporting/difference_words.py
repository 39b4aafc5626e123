"""A difference of two models in words: its amount and direction, what both reached, and what was asked for."""

from __future__ import annotations

from liftgate.evaluation.records import Comparison
from liftgate.reporting.metric_words import words_of
from liftgate.reporting.number_format import about, exact, outward
from liftgate.stats.interval import Interval


def change_in_words(delta: Interval, comparison: Comparison) -> str:
    """Return a difference as an amount with its direction: `8 to 18 more`, `between 2 fewer and 9 more`."""
    words = words_of(comparison.metric)
    if delta.low is None or delta.high is None:
        amount = about(delta.estimate, words.scale)
        if amount == "0":
            return f"about 0 {words.more} or {words.fewer}"
        return f"about {with_unit(amount.lstrip('−'), words.more if delta.estimate > 0 else words.fewer)}"
    low, high = outward(delta.low, delta.high, (0.0, *comparison.reached_at), words.scale)
    if delta.low >= 0:
        return with_unit(low, words.more) if low == high else f"{low} to {with_unit(high, words.more)}"
    below = low.lstrip("−")
    if delta.high <= 0:
        above = high.lstrip("−")
        return with_unit(below, words.fewer) if low == high else f"{above} to {with_unit(below, words.fewer)}"
    return f"between {with_unit(below, words.fewer)} and {with_unit(high, words.more)}"


def with_unit(number: str, unit: str) -> str:
    """Return a number with its unit, in the singular where it is 1."""
    return f"{number} {unit.replace('points', 'point') if number == '1' else unit}"


def both_values(comparison: Comparison) -> str:
    """Return what each of the two reached, so that a difference has a place on its scale; empty: unknown."""
    if comparison.treatment is None or comparison.control is None:
        return ""
    scale = words_of(comparison.metric).scale
    return f"about {about(comparison.treatment, scale)} against {about(comparison.control, scale)}"


def asked_for(comparison: Comparison, measured: str = "") -> str:
    """Return in brackets what was measured, and the margin that was asked for or allowed; empty: neither."""
    words = words_of(comparison.metric)
    margin = exact(comparison.margin, words.scale)
    better, worse = (words.fewer, words.more) if comparison.less_is_better else (words.more, words.fewer)
    asked = ""
    if comparison.margin > 0:
        asked = f"asked for: at least {with_unit(margin, better)}"
    elif comparison.margin < 0:
        asked = f"allowed: at most {with_unit(margin.lstrip('−'), worse)}"
    told = "; ".join(part for part in (measured, asked) if part)
    return f" ({told})" if told else ""
