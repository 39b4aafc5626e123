"""Several treatments against one control: intervals that hold all at once, so that the best of many is no accident.

Each difference keeps its standard error; what changes is the factor in front of it. It comes from the distribution of
the largest |t| (max-t), which knows that arms with one control, on one set of images, go up and down together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.alignment import require_same_images
from liftgate.evaluation.compare import PairedDifference, build_comparison, paired_difference
from liftgate.evaluation.matched_predictions import match_for_metric
from liftgate.evaluation.records import Comparisons
from liftgate.evaluation.resampling import affordable, units
from liftgate.evaluation.spec import ComparisonSpec
from liftgate.stats.interval import Interval
from liftgate.stats.multiplicity import max_t

_SEED = 20_260_102  # the simulated factor must not depend on who asks: 200,000 draws leave it uncertain by about 0.005


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
    spec.validate_for(truth, models=len(everyone))
    for treatment in treatments.values():
        require_same_images(control, treatment)
    first, *others = (match_for_metric(truth, one, spec, spec.threshold(i)) for i, one in enumerate(everyone))
    groups = units(truth.groups, affordable(max(len(one) for one in everyone)))
    pairs = [paired_difference(truth, (first, other), spec, groups) for other in others]
    wider, p_values = _together(pairs, spec.interval_level)
    found = {
        name: replace(
            build_comparison(truth, (control, treatment), (first, other), pair, spec, groups, name=name),
            p_adjusted=None if np.isnan(p) else float(p),
        )
        for (name, treatment), other, pair, p in zip(treatments.items(), others, wider, p_values, strict=True)
    }
    return Comparisons(spec.metric, found, f"max-t over {len(found)} treatments, intervals hold all at once")


def _together(pairs: Sequence[PairedDifference], level: float) -> tuple[list[PairedDifference], NDArray[np.float64]]:
    """The pairs with simultaneous intervals, and p-values adjusted alike; NaN where nothing is established."""
    shown = [pair for pair in pairs if pair.delta.established]
    if not shown:
        return list(pairs), np.full(len(pairs), np.nan)
    family = max_t(
        np.stack([pair.replicates for pair in shown]), min(pair.degrees for pair in shown), np.random.default_rng(_SEED)
    )
    factor = family.critical(level)
    wider = [pair._replace(delta=_widened(pair.delta, factor, len(pairs))) for pair in pairs]
    return wider, family.p_values([_t(pair.delta) for pair in pairs])


def _widened(delta: Interval, factor: float, count: int) -> Interval:
    if not delta.established or delta.standard_error is None or count == 1:
        return delta
    half = factor * delta.standard_error
    method = f"{delta.method}, max-t of {count}"
    return replace(delta, low=delta.estimate - half, high=delta.estimate + half, method=method)


def _t(delta: Interval) -> float:
    if not delta.established or delta.standard_error is None:
        return np.nan
    return (
        0.0 if delta.estimate == 0 else np.inf if delta.standard_error == 0 else delta.estimate / delta.standard_error
    )
