"""Several seeds: from "this checkpoint is better" to "this recipe is better".

The mean over seeds of treatment − control has two sources of chance: which groups were sampled for the test, and which
seeds were drawn. Their variances add (Bouthillier et al. 2021): SE² = mean of the seeds' own SE² over groups +
s²(differences between seeds)/k. Degrees of freedom after Satterthwaite. With k = 2 or 3 the t quantile is what makes
the interval honest; a bootstrap of three seeds would not be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from liftgate.data.dataset import Dataset
from liftgate.data.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.measure.comparison import compare
from liftgate.measure.metrics import LESS_IS_BETTER
from liftgate.measure.records import Comparison
from liftgate.measure.screening import Screen
from liftgate.measure.verdict import decide, explain, groups_that_settle, oriented
from liftgate.stats.distributions import t_quantile
from liftgate.stats.seeds import probability_better


def compare_seeds(
    truth: Dataset,
    controls: Sequence[Predictions],
    treatments: Sequence[Predictions],
    *,
    screens: Sequence[tuple[Screen, Screen]] | None = None,
    **options: Any,
) -> Comparison:
    """Compare two arms that were each run for the same seeds; with one seed this is `compare`.

    The estimate is the mean of the paired differences. An arm without training repeats the same predictions and adds no
    seed variance of its own.

    Raises:
        UsageError: the numbers of runs differ, or as `compare`.
    """
    if len(controls) != len(treatments) or not controls:
        raise UsageError("arms have different numbers of runs", expected=len(controls), got=len(treatments))
    of_each: Sequence[tuple[Screen, Screen] | None] = screens or (None,) * len(controls)
    each = [
        compare(truth, control, treatment, screens=pair, **options)
        for control, treatment, pair in zip(controls, treatments, of_each, strict=True)
    ]
    if len(each) == 1:
        return each[0]
    first, rule = each[0], options.get("rule", "interval")
    deltas = np.array([one.delta.estimate for one in each])
    delta = replace(
        first.delta,
        estimate=float(deltas.mean()),
        method=f"{first.delta.method}, {len(each)} seeds",
    )
    errors = [one.delta.standard_error for one in each]
    if first.delta.established and all(error is not None for error in errors):
        delta = replace(delta, **_bounds(deltas, [float(error or 0) for error in errors], first))
    gain = oriented(delta, first.metric)
    word = decide(gain, first.margin, rule, first.claim)
    unsettled = word == "MARGINAL" and rule == "interval"
    return replace(
        first,
        control=_mean([one.control for one in each]),
        treatment=_mean([one.treatment for one in each]),
        delta=delta,
        verdict=word,
        reason=explain(first.metric, delta, first.margin, rule, ("control", "treatment"), first.claim),
        groups_needed=groups_that_settle(gain, first.margin, first.claim) if unsettled else None,
        differences=tuple(dict.fromkeys(text for one in each for text in one.differences)),
        caveats=(*first.caveats, "classes, slices and images are those of the first seed"),
        percentile=None,
        probability_better=_probability_better(each),
        p_value=None,
    )


def _probability_better(each: Sequence[Comparison]) -> float | None:
    """P(A > B) over the runs themselves (Bouthillier et al. 2021); None where a run has no value."""
    values = [(one.control, one.treatment) for one in each]
    if any(control is None or treatment is None for control, treatment in values):
        return None
    controls, treatments = zip(*values, strict=True)
    share = probability_better(controls, treatments)
    return 1 - share if each[0].metric in LESS_IS_BETTER else share


def _bounds(
    deltas: np.ndarray[Any, np.dtype[np.float64]], errors: Sequence[float], first: Comparison
) -> dict[str, Any]:
    """Low, high and standard error of the mean difference.

    The group part uses the mean of the seeds' own squared errors: the same test images serve all seeds, so it does not
    shrink with k. (The jackknife of the mean itself would be a little smaller; this never understates.)
    """
    k = len(deltas)
    of_groups = float(np.mean(np.square(errors)))
    of_seeds = float(np.var(deltas, ddof=1)) / k
    total = of_groups + of_seeds
    parts = ((of_groups, first.delta.n_groups - 1), (of_seeds, k - 1))
    freedom = total**2 / sum(part**2 / df for part, df in parts) if total > 0 else k - 1
    half = t_quantile(first.delta.level, freedom) * math.sqrt(total)
    mean = float(deltas.mean())
    return {"low": mean - half, "high": mean + half, "standard_error": math.sqrt(total)}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None
