"""What one sample hides of average precision: few objects, the 101 points of recall, classes that never vary."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.test_evaluate import BOX, FAR, said, truth
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.match_table import match
from liftgate.evaluation.metric_names import COCO
from liftgate.evaluation.resampling import units
from liftgate.evaluation.small_samples import SampleValues

HALF_A_STEP = 0.5 / 101


def one_object_an_image(
    found: int, *, of: int = 200, wrong_first: int = 0, wrong_last: int = 0
) -> tuple[Dataset, Predictions]:
    """Return `of` images, of which the first `found` are found; mistakes before the last hit, and after it."""
    data = truth([1] * of, [f"v{i:03}" for i in range(of)])
    rows = [(i, BOX, 0.9 - i / 1000) for i in range(found)]
    rows += [(i, FAR, 0.95) for i in range(wrong_first)]
    rows += [(i, FAR, 0.01) for i in range(wrong_last)]
    return data, said(rows, data)


def values(data: Dataset, predictions: Predictions) -> SampleValues:
    return SampleValues(match(data, predictions), units(data.groups))


@pytest.mark.parametrize(("wrong_first", "wrong_last", "precision"), [(0, 0, 1.0), (50, 0, 0.75), (50, 30, 0.75)])
def test_half_a_step_between_recall_points_counts_at_the_precision_of_the_last_hit(
    wrong_first: int, wrong_last: int, precision: float
) -> None:
    data, predictions = one_object_an_image(150, wrong_first=wrong_first, wrong_last=wrong_last)
    unseen = values(data, predictions).unseen_variance(COCO["mAP50"])
    assert unseen == pytest.approx((HALF_A_STEP * precision) ** 2)


def test_steps_of_many_thresholds_cancel_in_part_and_recall_has_none() -> None:
    found = values(*one_object_an_image(150))
    assert found.unseen_variance(COCO["mAP50-95"]) == pytest.approx(HALF_A_STEP**2 / 10)
    assert found.unseen_variance(COCO["AR_100"]) == 0


def test_one_class_near_1_is_known_no_better_than_to_the_step_of_its_curve() -> None:
    """98% and 97.9% of the objects differ by a whole point of the curve: an interval of one reaches to the other."""
    data, predictions = one_object_an_image(980, of=1000)
    interval = evaluate(data, predictions).intervals["mAP50"]
    assert interval.low is not None and interval.high is not None
    assert interval.low < 98 / 101 and interval.high > 100 / 101


def chance_hits(objects: int, seed: int) -> tuple[Dataset, Predictions]:
    """Detections whose score says nothing about which of them are right: half are."""
    rng = np.random.default_rng(seed)
    data = truth([1] * objects, [f"v{i:03}" for i in range(objects)])
    rows = [(i, BOX if rng.random() < 0.5 else FAR, float(rng.random())) for i in range(objects)]
    return data, said(rows, data)


def test_few_objects_have_too_high_an_average_precision_and_halves_of_them_show_it() -> None:
    """With many objects AP is a quarter here: half are found, at a precision of one half."""
    few = [values(*chance_hits(20, seed)) for seed in range(60)]
    measured = float(np.mean([one.by_class(COCO["mAP50"])[0, 0] for one in few])) - 0.25
    told = float(np.mean([one.bias(COCO["mAP50"]) for one in few]))
    assert measured > 0.02
    assert measured / 2 < told < 2 * measured
    many = values(*chance_hits(1000, 0))
    assert abs(many.bias(COCO["mAP50"])) < told / 3


def test_the_interval_reaches_down_by_the_bias_and_not_up() -> None:
    data, predictions = chance_hits(20, 3)
    assert values(data, predictions).bias(COCO["mAP50"]) > 0
    interval = evaluate(data, predictions).intervals["mAP50"]
    assert interval.low is not None and interval.high is not None
    middle, low, high = (np.log(p / (1 - p)) for p in (interval.estimate, interval.low, interval.high))
    assert middle - low > high - middle


def test_recall_has_no_such_bias() -> None:
    assert values(*chance_hits(20, 0)).bias(COCO["AR_100"]) == 0


def all_found_but_not_tightly(groups: int = 12, per_group: int = 10) -> tuple[Dataset, Predictions]:
    """Every object is found at IoU 0.5; how tight the boxes are differs from object to object."""
    rng = np.random.default_rng(0)
    data = truth([1] * (groups * per_group), [f"v{i // per_group:02}" for i in range(groups * per_group)])
    left, top, right, bottom = BOX
    shift = rng.uniform(0, 10, len(data.images))
    return data, said([(i, [left + shift[i], top, right + shift[i], bottom], 0.9) for i in range(len(shift))], data)


def test_average_recall_counts_the_groups_that_move_it_though_none_misses_an_object() -> None:
    """One effective group, as if no miss at IoU 0.5 meant that nothing is known, made the interval 12.7 errors wide."""
    data, predictions = all_found_but_not_tightly()
    interval = evaluate(data, predictions).intervals["AR_100"]
    assert interval.high is not None and interval.groups_effective is not None
    assert interval.groups_effective > 3
    assert interval.high - interval.estimate < 0.1


def test_average_precision_counts_errors_that_few_groups_hold_as_few_groups() -> None:
    data = truth([1] * 200, [f"v{i // 10:02}" for i in range(200)])
    score = np.random.default_rng(0).uniform(0.5, 0.9, 200)

    def effective(missed: list[int]) -> float | None:
        rows = [(i, FAR if i in missed else BOX, float(score[i])) for i in range(200)]
        return evaluate(data, said(rows, data)).intervals["mAP50"].groups_effective

    spread, few = effective([i for i in range(200) if i % 10 in (3, 7)]), effective([*range(20), *range(0, 200, 10)])
    assert spread == pytest.approx(20)
    assert few is not None and few < 8, "every group holds an error, and two of them half"


def test_average_recall_is_in_proportion_as_low_as_recall_may_be() -> None:
    """No group misses an object, and still one in four might: what recall's own interval says holds for AR too."""
    found = evaluate(*all_found_but_not_tightly())
    recall, average = found.intervals["recall"], found.intervals["AR_100"]
    assert recall.estimate == 1 and recall.low is not None and average.low is not None
    assert average.low == pytest.approx(average.estimate * recall.low, rel=1e-6)
