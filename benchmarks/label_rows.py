"""Rows of benchmarks/labels.py: how studies that were judged compare with the same studies labelled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from liftgate.evaluation.verdict import as_gain, decide
from liftgate.stats.interval import Interval

MARGINS = (-0.02, -0.01, 0.0, 0.01, 0.02, 0.04)
NEAR = 0.5
"""A margin is near an end of the interval within so many standard errors: other images would move the end as far"""


class Study(NamedTuple):
    """One study, judged and labelled."""

    judged: Interval
    labelled: Interval
    width: float
    """Announced"""
    agreement: float
    share: float
    """Judgements for each box"""


class Verdicts(NamedTuple):
    """Verdicts over studies and margins beside those of all labels, in percent."""

    same: float
    undecided: float
    """MARGINAL where labels decide"""
    decided: float
    """PASS or FAIL where labels say MARGINAL"""
    opposite: float
    """PASS for FAIL, or FAIL for PASS"""
    near: float
    """The margin is near an end of the labels' interval"""
    same_elsewhere: float
    """The same verdict, of those whose margin is not"""


def verdicts(studies: list[Study], metric: str) -> Verdicts:
    """Compare all verdicts that the margins make of studies."""
    rows = []
    for one in studies:
        judged, labelled = (as_gain(interval, metric) for interval in (one.judged, one.labelled))
        reach = NEAR * (labelled.standard_error or 0.0)
        for margin in MARGINS:
            mine, right = decide(judged, margin), decide(labelled, margin)
            near = min(abs(margin - labelled.low), abs(margin - labelled.high)) <= reach
            rows.append((mine == right, mine == "MARGINAL" != right, right == "MARGINAL" != mine, near))
    same, undecided, decided, near = np.array(rows).T
    opposite = ~(same | undecided | decided)
    rates = (100 * float(np.mean(one)) for one in (same, undecided, decided, opposite, near, same[~near]))
    return Verdicts(*rates)


HEADER = (
    f"{'study':<26} {'metric':<26} {'agree':>5} {'looks/box':>9} {'runs':>5} {'cover':>6} {'labels':>6} "
    f"{'false PASS':>10} {'width':>5} {'said':>5}  same verdict at margins "
    f"{', '.join(f'{margin:+.2f}' for margin in MARGINS)}; {'all':>5} undecided decided opposite  near elsewhere"
)


def line(name: str, metric: str, studies: list[Study], truth: float | None) -> str:
    """One row of the table."""
    both = [one for one in studies if one.judged.established and one.labelled.established]
    at = [one.labelled.estimate if truth is None else truth for one in both]
    cover = [one.judged.low <= value <= one.judged.high for one, value in zip(both, at, strict=True)]
    labels = [one.labelled.low <= value <= one.labelled.high for one, value in zip(both, at, strict=True)]
    gains = [as_gain(one.judged, metric) for one in both]
    sign = -1 if metric.startswith("false") else 1
    passed = [gain.low > sign * value for gain, value in zip(gains, at, strict=True)]
    width = [(o.judged.high - o.judged.low) / (o.labelled.high - o.labelled.low) for o in both]
    same = []
    for margin in MARGINS:
        words = [[decide(as_gain(one, metric), margin) for one in (o.judged, o.labelled)] for o in both]
        same.append(np.mean([first == second for first, second in words]))
    agreement, share = np.mean([o.agreement for o in studies]), np.mean([o.share for o in studies])
    rates = (100 * np.mean(values) for values in (cover, labels, passed))
    return (
        f"{name:<26} {metric:<26} {agreement:>5.2f} {share:>9.2f} {len(both):>5} "
        + "{:>6.1f} {:>6.1f} {:>10.1f} ".format(*rates)
        + f"{np.median(width):>5.2f} {np.mean([o.width for o in both]):>5.2f}  "
        + " ".join(f"{100 * value:5.1f}" for value in same)
        + "; {:>5.1f} {:>9.1f} {:>7.1f} {:>8.1f} {:>5.1f} {:>9.1f}".format(*verdicts(both, metric))
    )
