"""Several treatments against one control: intervals that hold all at once, so that the best of many is no accident.

Each difference keeps its standard error and degrees of freedom; what changes is the level of its interval. It comes
from the distribution of the largest of several statistics (max-t), which accounts for arms with one control, on one set
of images, going up and down together.
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
from liftgate.stats.clustered import widened
from liftgate.stats.distributions import normal_quantile, t_quantile, t_tails
from liftgate.stats.interval import Interval
from liftgate.stats.multiplicity import MaxT, max_t, t_p_value

_NORMAL = 1e9  # degrees of freedom
_SEED = 20_260_102  # the simulated factor must not depend on who calls: 200,000 draws leave it uncertain by about 0.005


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
    everyone = (control, *treatments.values())
    truth, left_out, note = known_truth(truth)
    spec.validate_for(truth, models=len(everyone))
    for treatment in treatments.values():
        require_same_images(control, treatment, left_out)
    first, *others = (match_for_metric(truth, one, spec, spec.threshold(i)) for i, one in enumerate(everyone))
    groups = units(truth.groups)
    pairs = [paired_difference(truth, (first, other), spec, groups) for other in others]
    wider, p_values = _together(pairs, spec.interval_level)
    found = {
        name: replace(
            build_comparison(truth, (control, treatment), (first, other), pair, spec, groups, name=name, note=note),
            p_adjusted=None if math.isnan(p) else p,
        )
        for (name, treatment), other, pair, p in zip(treatments.items(), others, wider, p_values, strict=True)
    }
    return Comparisons(spec.metric, found, f"max-t over {len(found)} treatments, intervals hold all at once")


def _together(pairs: Sequence[PairedDifference], level: float) -> tuple[list[PairedDifference], list[float]]:
    """Return the pairs with simultaneous intervals, and p-values adjusted alike; NaN where nothing is established.

    The largest of several |z| gives the level that each interval needs; each keeps its own degrees of freedom.
    """
    shown = [pair for pair in pairs if pair.delta.established]
    if not shown:
        return list(pairs), [math.nan] * len(pairs)
    draws = np.stack([pair.draws for pair in shown])
    family = max_t(draws[:, np.isfinite(draws).all(axis=0)], _NORMAL, np.random.default_rng(_SEED))
    each = 1 - t_tails(family.critical(level), _NORMAL)
    wider = [pair._replace(delta=_widened(pair.delta, each, len(pairs))) for pair in pairs]
    return wider, [_adjusted(pair.delta, family) for pair in pairs]


def _widened(delta: Interval, level: float, count: int) -> Interval:
    if not delta.established or delta.standard_error is None or count == 1:
        return delta
    method = f"{delta.method}, max-t of {count}"
    return replace(widened(delta, t_quantile(level, delta.degrees) * delta.standard_error), method=method)


def _adjusted(delta: Interval, family: MaxT) -> float:
    if not delta.established or delta.standard_error is None:
        return math.nan
    alone = float(t_p_value(delta.estimate, delta.standard_error, delta.degrees))
    return float(family.p_values(normal_quantile(1 - alone) if alone > 0 else math.inf))
