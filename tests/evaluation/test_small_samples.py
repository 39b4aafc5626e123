"""What one sample hides of average precision: few objects, the 101 points of recall, classes that never vary."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta

from evaluation.test_evaluate import BOX, FAR, said, truth
from liftgate.data.core.dataset import Dataset, Labels
from liftgate.data.core.predictions import Predictions
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.informative_groups import whole_groups
from liftgate.evaluation.intervals import difference_interval
from liftgate.evaluation.matched_predictions import MatchedPredictions
from liftgate.evaluation.matching import match
from liftgate.evaluation.metric_names import COCO
from liftgate.evaluation.metrics import averaged_metrics
from liftgate.evaluation.operating_point import operating_point
from liftgate.evaluation.resampling import units
from liftgate.evaluation.small_samples import SampleValues, first_point_reach, recall_point_variance

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


def test_thresholds_that_miss_the_same_objects_jump_together_and_recall_has_no_steps() -> None:
    """All boxes are perfect, so that all ten recalls lie between the same two points (docs/decisions/0053)."""
    found = values(*one_object_an_image(150))
    assert found.unseen_variance(COCO["mAP50-95"]) == pytest.approx(HALF_A_STEP**2)
    assert found.unseen_variance(COCO["AR_100"]) == 0


@pytest.mark.parametrize(
    ("control", "treatment", "halves"), [(150, 150, 0), (150, 151, 0), (150, 152, 2), (150, 190, 2), (0, 150, 1)]
)
def test_a_difference_jumps_where_either_model_passes_a_recall_point_and_not_where_both_do(
    control: int, treatment: int, halves: int
) -> None:
    """Of 200 objects two lie between one point of recall and the next."""
    tables = []
    for found in (control, treatment):
        data, predictions = one_object_an_image(found, wrong_last=1)
        tables.append(match(data, predictions))
    groups = units(data.groups)
    unseen = recall_point_variance(COCO["mAP50-95"], groups, tables[1], tables[0])
    assert unseen == pytest.approx(halves * HALF_A_STEP**2)
    assert unseen == recall_point_variance(COCO["mAP50-95"], groups, tables[0], tables[1])


def test_steps_of_thresholds_with_other_recalls_cancel_in_part() -> None:
    data, predictions = all_found_but_not_tightly()
    unseen = values(data, predictions).unseen_variance(COCO["mAP50-95"])
    assert 0 < unseen < HALF_A_STEP**2 / 3


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


def test_an_interval_is_no_longer_than_if_every_group_were_wholly_found_or_wholly_missed() -> None:
    """Misses in one of ten groups only leave one degree of freedom, and t reached over all; ten groups say more."""
    data = truth([1] * 60, [f"v{i // 6:02}" for i in range(60)])
    score = np.random.default_rng(0).uniform(0.5, 0.9, 60)
    interval = evaluate(data, said([(i, BOX, float(score[i])) for i in range(6, 60)], data)).intervals["mAP50"]
    assert interval.groups_effective == 1
    hits, misses = 10 * interval.estimate, 10 * (1 - interval.estimate)
    assert interval.low == pytest.approx(beta.ppf(0.025, hits, misses + 1), abs=0.01)
    assert interval.high == pytest.approx(beta.ppf(0.975, hits + 1, misses), abs=0.01)


def site_with_classes_of_its_own(right: list[bool]) -> tuple[Dataset, Predictions]:
    """Groups with 12 objects of one class, in the first ten one of each of two more; 6 further classes in group 0."""
    of_group = [[0] * 12 + [7, 8] * (g < 10) + [*range(1, 7)] * 10 * (g == 0) for g in range(len(right))]
    rows = [(g, k, cls) for g, objects in enumerate(of_group) for k, cls in enumerate(objects)]
    boxes = [
        [10.0 + 60 * (k % 10), 10.0 + 60 * (k // 10), 50.0 + 60 * (k % 10), 50.0 + 60 * (k // 10)] for _, k, _ in rows
    ]
    base = truth([0] * len(right), [f"g{g:02}" for g in range(len(right))], tuple(f"c{k}" for k in range(9)))
    data = replace(base, labels=Labels.build([g for g, _, _ in rows], [cls for _, _, cls in rows], boxes))
    found = [n for n, (g, _, _) in enumerate(rows) if right[g]]
    score = np.random.default_rng(0).uniform(0.3, 0.9, len(found))
    predictions = said([(rows[n][0], boxes[n], float(score[i])) for i, n in enumerate(found)], data)
    return data, replace(predictions, cls=np.array([rows[n][2] for n in found], dtype=np.int64))


def test_a_group_that_holds_most_of_a_mean_over_classes_may_be_anything() -> None:
    """Objects and information are spread over 20 groups; six of nine classes, and so two thirds of mAP, over one."""
    data, predictions = site_with_classes_of_its_own([g not in (3, 7) for g in range(20)])
    assert whole_groups(match(data, predictions), COCO["mAP50"], units(data.groups)) < 2.5
    interval = evaluate(data, predictions).intervals["mAP50"]
    assert interval.low is None or interval.low < 0.1, "with group 0 wrong it were below 0.3"
    even = truth([1] * 60, [f"v{i // 3:02}" for i in range(60)])
    table = match(even, said([(i, BOX, 0.9) for i in range(54)], even))
    assert whole_groups(table, COCO["mAP50"], units(even.groups)) == pytest.approx(20)


def test_confident_errors_count_as_objects_of_their_class() -> None:
    """Fifty false detections in one group, of a class with twenty objects, are most of what its precision is."""
    base = truth([0] * 20, [f"g{g:02}" for g in range(20)], ("a", "b"))
    data = replace(base, labels=Labels.build(list(range(20)) * 2, [0] * 20 + [1] * 20, [BOX] * 20 + [FAR] * 20))
    rows = [(i, BOX, 0.9) for i in range(20)] + [(i, FAR, 0.9) for i in range(20)]
    noise = [(0, [300.0, 300.0, 340.0, 340.0], 0.95)] * 50
    sound = replace(said(rows, data), cls=np.array([0] * 20 + [1] * 20))
    noisy = replace(said(rows + noise, data), cls=np.array([0] * 20 + [1] * 70))
    found = [whole_groups(match(data, one), COCO["mAP50"], units(data.groups)) for one in (sound, noisy)]
    assert found[0] == pytest.approx(20) and found[1] < 3


def test_average_recall_is_in_proportion_as_low_as_recall_may_be() -> None:
    """No group misses an object, and still one in four might: what recall's own interval says holds for AR too."""
    found = evaluate(*all_found_but_not_tightly())
    recall, average = found.intervals["recall"], found.intervals["AR_100"]
    assert recall.estimate == 1 and recall.low is not None and average.low is not None
    assert average.low == pytest.approx(average.estimate * recall.low, rel=1e-6)


@pytest.mark.parametrize(
    ("found", "wrong_first", "further"),
    [
        (10, 0, 0.0),  # the surest detections are right: precision cannot be larger
        (10, 30, 1 - 10 / 40),  # largest where the last of them is found
        (0, 3, 1.0),
        (0, 0, 1.0),  # no detection at all
        (50, 30, 0.0),  # a quarter is found: no class that is seldom found
    ],
)
def test_what_the_first_point_of_recall_hides_is_how_sure_the_surest_hits_may_be(
    found: int, wrong_first: int, further: float
) -> None:
    data, predictions = one_object_an_image(found, wrong_first=wrong_first)
    table, groups = match(data, predictions), units(data.groups)
    assert first_point_reach(COCO["mAP50"], groups, table) == pytest.approx(further / 101)
    assert first_point_reach(COCO["AR_100"], groups, table) == 0


def test_a_model_that_finds_next_to_nothing_may_be_one_recall_point_better() -> None:
    """A recall of 5% behind surer mistakes: with more data one of the hits would come first (decision 55)."""
    data, predictions = one_object_an_image(10, wrong_first=30)
    wrong = [(i, FAR, 0.95) for i in range(30)]
    alone = evaluate(data, predictions).intervals["mAP50"]
    table, groups = match(data, predictions), units(data.groups)
    drawn = averaged_metrics(table, ("mAP50",), groups.of_image, groups.draws())["mAP50"]
    assert alone.high is not None and alone.high - alone.estimate > 0.75 / 101
    twin = MatchedPredictions(table, operating_point(table, 0.25), None)
    half = match(data, said([(i, BOX, 0.9 - i / 1000) for i in range(0, 10, 2)] + wrong, data))
    other = MatchedPredictions(half, operating_point(half, 0.25), None)
    second = averaged_metrics(half, ("mAP50",), groups.of_image, groups.draws())["mAP50"]
    delta = difference_interval((other, twin), "mAP50", (second, drawn), groups, 0.95)
    assert delta.low is not None and delta.high is not None
    assert delta.low < delta.estimate - 0.75 / 101 and delta.high > delta.estimate + 0.75 / 101
