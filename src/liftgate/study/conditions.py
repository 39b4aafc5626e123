"""Conditions on a validation metric, as decision points have them: `mAP50 > 0.40`, `forecast mAP50 > 0.5`.

No other form is accepted.

A grammar of three words was chosen over evaluating an expression, because a study may be an untrusted file.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from liftgate.study.vocabulary import EPOCH_METRICS
from liftgate.suggestions import suggestion

_FORM = re.compile(r"\s*(forecast\s+)?([A-Za-z][\w-]*)\s*(>=|<=|≥|≤|>|<)\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*")
FORECAST_EPOCHS = 8
"""Epochs that a forecast needs"""
_FIRST = frozenset("<>≤≥")
_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class Condition(NamedTuple):
    """A comparison of an epoch's metric with a number."""

    metric: str
    sign: str
    number: float
    forecast: bool = False
    """Whether it is about the metric after the last epoch of the recipe, as far as the curve tells"""

    def holds(self, value: float | None) -> bool:
        """Return whether a value fulfils the condition; None and NaN fulfil none.

        >>> parse_condition("mAP50 > 0.40").holds(0.41), parse_condition("mAP50 > 0.40").holds(None)
        (True, False)
        """
        return value is not None and math.isfinite(value) and _SIGNS[self.sign](value, self.number)

    def __str__(self) -> str:
        return f"{'forecast ' if self.forecast else ''}{self.metric} {self.sign} {self.number:g}"


def with_metric_of(text: str, other: str) -> str:
    """Return a condition without a metric with that of another condition; other text unchanged.

    >>> with_metric_of("> 0.30", "mAP50 > 0.40")
    'mAP50 > 0.30'
    """
    wanted = _FORM.fullmatch(other)
    return f"{wanted[1] or ''}{wanted[2]} {text.strip()}" if wanted and text.lstrip()[:1] in _FIRST else text


def parse_condition(text: str) -> Condition:
    """Read `METRIC SIGN NUMBER`, or `forecast METRIC SIGN NUMBER`.

    Raises:
        ValueError: the text has another form; its arguments are a message and, if there is one, a hint.

    >>> parse_condition("mAP50-95>=.3")
    Condition(metric='mAP50-95', sign='>=', number=0.3, forecast=False)
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(
            f"expected METRIC SIGN NUMBER, or forecast before it, got {text!r}", "for example mAP50 > 0.40"
        )
    ahead, metric, sign, digits = match.groups()
    if metric not in EPOCH_METRICS:
        raise ValueError(f"no metric `{metric}` in an epoch's report", suggestion(metric, EPOCH_METRICS))
    try:
        number = float(digits)
    except ValueError:
        raise ValueError(f"not a number: {digits}") from None
    if not math.isfinite(number):
        raise ValueError(f"not a finite number: {digits}")
    return Condition(metric, {"≥": ">=", "≤": "<="}.get(sign, sign), number, ahead is not None)
