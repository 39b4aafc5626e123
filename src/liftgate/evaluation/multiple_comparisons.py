"""Multiple comparisons: several treatments against one control, with simultaneous intervals (max-t).

Each difference keeps its standard error and degrees of freedom; only the level of its interval changes. That level is
from the distribution of the largest of several statistics, which accounts for the correlation of arms that share one
control and one set of images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.alignment import known_truth, require_same_images
from liftgate.evaluation.compare import PairedDifference, build_comparison, paired_difference
from liftgate.evaluation.matched_predictions import match_for_metric
from liftgate.evaluation.records import Comparisons
from liftgate.evaluation.resampling import units
from liftgate.evaluation.spec import ComparisonSpec
from liftgate.stats.differences import at_level, two_sided_p_value
from liftgate.stats.distributions import normal_quantile, t_tails
from liftgate.stats.interval import Interval
from liftgate.stats.multiplicity import MaxT, max_t

_INFINITE_DEGREES = 1e9  # with so many degrees of freedom t is normal
_SEED = 20_260_102  # fixed, so that the simulated factor is reproducible; with 200,000 draws its error is about 0.005


def compare_arms(
    truth: Dataset,
    control: Predictions,
    treatments: Mapping[str, Predictions],
    spec: ComparisonSpec = ComparisonSpec(),  # noqa: B008 (frozen)
) -> Comparisons:
    """Compare every treatment with one control, as `compare` does.

    Returns:
        Comparisons: one Comparison for each treatment, whose intervals hold all at once with probability `level`.

    Raises:
        UsageError: as `compare`, or no treatment.
    """
    if not treatments:
        raise UsageError("nothing to compare with the control", expected="a treatment")
    models = (control, *treatments.values())
    truth, left_out, note = known_truth(truth)
    spec.validate_for(truth, models=len(models))
    for treatment in treatments.values():
        require_same_images(control, treatment, left_out)
    first, *others = (match_for_metric(truth, one, spec, spec.threshold(i)) for i, one in enumerate(models))
    groups = units(truth.groups)
    pairs = [paired_difference(truth, (first, other), spec, groups) for other in others]
    simultaneous, p_values = _simultaneous(pairs, spec.interval_level)
    found = {
        name: replace(
            build_comparison(truth, (control, treatment), (first, other), pair, spec, groups, name=name, note=note),
            p_adjusted=None if math.isnan(p) else p,
        )
        for (name, treatment), other, pair, p in zip(treatments.items(), others, simultaneous, p_values, strict=True)
    }
    return Comparisons(spec.metric, found, f"max-t over {len(found)} treatments, intervals hold all at once")


def _simultaneous(pairs: Sequence[PairedDifference], level: float) -> tuple[list[PairedDifference], list[float]]:
    """Return the pairs with simultaneous intervals, and their adjusted p-values; NaN where no interval is established.

    The distribution of the largest |z| gives the level that each interval needs; each keeps its degrees of freedom.
    """
    shown = [pair for pair in pairs if pair.delta.established]
    if not shown:
        return list(pairs), [math.nan] * len(pairs)
    draws = np.stack([pair.draws for pair in shown])
    family = max_t(draws[:, np.isfinite(draws).all(axis=0)], _INFINITE_DEGREES, np.random.default_rng(_SEED))
    each = 1 - t_tails(family.critical(level), _INFINITE_DEGREES)
    wider = [pair._replace(delta=_simultaneous_interval(pair.delta, each, len(pairs))) for pair in pairs]
    return wider, [_adjusted_p_value(pair.delta, family) for pair in pairs]


def _simultaneous_interval(delta: Interval, level: float, count: int) -> Interval:
    if not delta.established or count == 1:
        return delta
    return replace(at_level(delta, level), method=f"{delta.method}, max-t of {count}")


def _adjusted_p_value(delta: Interval, family: MaxT) -> float:
    alone = two_sided_p_value(delta)
    if alone is None:
        return math.nan
    return float(family.p_values(normal_quantile(1 - alone) if alone > 0 else math.inf))
