"""Several treatments against one control: nobody shines by being one of many."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.test_evaluate import BOX, FAR, said, truth
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.errors import UsageError
from liftgate.evaluation.compare import compare
from liftgate.evaluation.multiple_comparisons import compare_arms
from liftgate.evaluation.spec import ComparisonSpec
from liftgate.stats.distributions import t_quantile


def models(*hits: float, groups: int = 12) -> tuple[Dataset, list[Predictions]]:
    """Models that find about so many of the objects; all of them see the same luck, so they go together."""
    data = truth([1] * (groups * 5), [f"v{i // 5}" for i in range(groups * 5)])
    rng = np.random.default_rng(3)
    luck, own = rng.random(groups * 5), rng.random((len(hits), groups * 5))
    return data, [
        said([(i, BOX if 0.7 * luck[i] + 0.3 * own[m, i] < share else FAR, 0.9) for i in range(groups * 5)], data)
        for m, share in enumerate(hits)
    ]


def test_one_treatment_is_the_plain_comparison() -> None:
    data, (control, treatment) = models(0.4, 0.6)
    (one,) = compare_arms(data, control, {"treatment": treatment}, ComparisonSpec(metric="mAP50")).treatments.values()
    alone = compare(data, control, treatment, ComparisonSpec(metric="mAP50"))
    assert one.delta == alone.delta and one.reason == alone.reason
    assert one.p_adjusted == pytest.approx(alone.p_value, abs=0.01)


def test_intervals_of_several_are_wider_by_one_factor_between_student_and_bonferroni() -> None:
    data, (control, *others) = models(0.4, 0.5, 0.6, 0.4)
    found = compare_arms(data, control, dict(zip("abc", others, strict=True)), ComparisonSpec(metric="recall"))
    for name, other in zip("abc", others, strict=True):
        alone, one = compare(data, control, other, ComparisonSpec(metric="recall")), found.treatments[name]
        assert one.delta.estimate == alone.delta.estimate
        factor = (one.delta.high - one.delta.estimate) / (alone.delta.high - alone.delta.estimate)  # type: ignore[operator]
        degrees = alone.delta.degrees
        assert 1 < factor < t_quantile(1 - 0.05 / 3, degrees) / t_quantile(0.95, degrees)
        assert one.p_adjusted >= alone.p_value  # type: ignore[operator]
        assert "max-t of 3" in one.delta.method and f"recall of {name} is" in one.reason


def test_the_question_whether_any_does_it_passes_with_the_best() -> None:
    data, (control, poor, good) = models(0.4, 0.2, 0.9)
    found = compare_arms(data, control, {"poor": poor, "good": good}, ComparisonSpec(metric="recall"))
    assert {name: one.verdict for name, one in found.treatments.items()} == {"poor": "FAIL", "good": "PASS"}
    assert found.verdict == "PASS"
    record = found.to_dict()
    assert record["comparisons"]["good"]["verdict"] == "PASS" and "max-t over 2" in record["adjustment"]
    assert "good PASS" in repr(found) and "<table>" in found._repr_html_()


def test_the_groups_that_would_settle_one_of_several_are_counted_by_its_own_longer_interval() -> None:
    data, (control, *others) = models(0.5, 0.57, 0.5, 0.45)
    spec = ComparisonSpec(metric="recall", margin=0.08)
    one = compare_arms(data, control, dict(zip("abc", others, strict=True)), spec).treatments["a"]
    alone = compare(data, control, others[0], spec)
    assert one.verdict == alone.verdict == "MARGINAL"
    assert one.groups_needed is not None and alone.groups_needed is not None
    assert one.groups_needed > alone.groups_needed > len(set(data.groups))


def test_under_five_groups_nothing_is_established() -> None:
    data, (control, *others) = models(0.4, 0.5, 0.6, groups=4)
    found = compare_arms(data, control, dict(zip("ab", others, strict=True)), ComparisonSpec(metric="recall"))
    assert found.verdict == "MARGINAL"
    assert all(one.p_adjusted is None for one in found.treatments.values())
    with pytest.raises(UsageError, match="nothing to compare"):
        compare_arms(data, control, {})
