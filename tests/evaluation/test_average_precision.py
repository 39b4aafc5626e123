"""Weights: a weight of 2 is the image standing there twice, a weight of 0 is the image not standing there."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from liftgate.evaluation.average_precision import average_precision
from liftgate.evaluation.matching import match
from liftgate.evaluation.metric_names import COCO
from liftgate.evaluation.metrics import averaged_metrics
from liftgate.evaluation.resampling import units
from oracle import coco_sets


def duplicated(
    truth: dict[str, Any], results: list[dict[str, Any]], counts: NDArray[np.int64]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Every image as often as `counts` says, with its annotations and detections."""
    out: dict[str, Any] = {"images": [], "categories": truth["categories"], "annotations": []}
    more: list[dict[str, Any]] = []
    for image, count in zip(truth["images"], counts, strict=True):
        for copy_number in range(count):
            new = {"id": image["id"] * 100 + copy_number}
            out["images"].append(new)
            for rows, into in ((truth["annotations"], out["annotations"]), (results, more)):
                for row in rows:
                    if row["image_id"] == image["id"]:
                        into.append(copy.deepcopy(row) | {"image_id": new["id"]})
    return out, more


def distinct_scores(results: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    order = np.random.default_rng(seed).permutation(len(results))
    return [row | {"score": (1 + int(place)) / (1 + len(results))} for row, place in zip(results, order, strict=True)]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_weights_equal_literal_duplication(seed: int) -> None:
    truth, results = coco_sets.awkward(seed, images=8)
    results = distinct_scores(results, seed)
    counts = np.random.default_rng(seed).integers(0, 4, size=8)
    if not counts.any():
        return
    table = match(coco_sets.dataset(truth), coco_sets.predictions(results, truth))
    weighted = averaged_metrics(table, COCO, np.arange(8), counts[:, None].astype(float))
    twice, more = duplicated(truth, results, counts)
    copied = match(coco_sets.dataset(twice), coco_sets.predictions(more, twice))
    literal = averaged_metrics(copied, COCO, np.arange(len(twice["images"])), np.ones((len(twice["images"]), 1)))
    for name in COCO:
        assert weighted[name] == pytest.approx(literal[name], abs=1e-12, nan_ok=True), name


def test_the_weight_of_a_group_is_the_weight_of_each_of_its_images() -> None:
    truth, results = coco_sets.awkward(5)
    keys = [f"g{i % 3}" for i in range(len(truth["images"]))]
    table = match(coco_sets.dataset(truth, keys), coco_sets.predictions(results, truth))
    groups = units(keys, 10)
    by_group = average_precision(table, groups.of_image, np.array([[2.0], [0.0], [1.0]]))
    by_image = average_precision(
        table, np.arange(len(keys)), np.array([[{"g0": 2.0, "g1": 0.0, "g2": 1.0}[key]] for key in keys])
    )
    np.testing.assert_array_equal(by_group, by_image)


def test_lanes_do_not_touch_each_other_across_batches() -> None:
    truth, results = coco_sets.awkward(11)
    table = match(coco_sets.dataset(truth), coco_sets.predictions(results, truth))
    each = np.arange(len(table.images))
    weights = np.random.default_rng(0).integers(0, 3, size=(len(each), 37)).astype(float)
    together = average_precision(table, each, weights)
    for lane in (0, 15, 16, 36):
        alone = average_precision(table, each, weights[:, [lane]])
        np.testing.assert_array_equal(together[:, :, [lane]], alone)


def test_many_groups_are_dealt_into_blocks_that_do_not_depend_on_the_order_of_images() -> None:
    keys = [f"g{i}" for i in range(50)]
    dealt = units(keys, max_units=8)
    assert (dealt.count, dealt.n_groups, dealt.blocked) == (8, 50, True)
    assert "8 blocks" in dealt.method("bootstrap-se-t")
    backwards = units(keys[::-1], max_units=8)
    np.testing.assert_array_equal(dealt.of_image, backwards.of_image[::-1])
    assert np.bincount(dealt.of_image).max() <= 7


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_weights_that_are_no_whole_numbers_leave_no_rest_where_others_are_0(seed: int) -> None:
    """A rest of 1e-15 over another one once counted as a precision of up to hundreds."""
    truth, results = coco_sets.awkward(seed, images=12)
    table = match(coco_sets.dataset(truth), coco_sets.predictions(results, truth))
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, size=(12, 6)) * rng.integers(0, 2, size=(12, 6)) * rng.integers(1, 50, size=(12, 1))
    whole = averaged_metrics(table, COCO, np.arange(12), counts.astype(float))
    parts = averaged_metrics(table, COCO, np.arange(12), counts / 7)
    for name in COCO:
        if name.startswith("mAP"):
            assert parts[name] == pytest.approx(whole[name], abs=0.011, nan_ok=True), name
            assert (np.nan_to_num(parts[name]) <= 1).all(), name


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_weights_of_one_byte_give_the_same_numbers_as_floats(seed: int) -> None:
    truth, results = coco_sets.awkward(seed, images=12)
    table = match(coco_sets.dataset(truth), coco_sets.predictions(results, truth))
    counts = np.random.default_rng(seed).integers(0, 4, size=(12, 6)).astype(float)
    small = averaged_metrics(table, COCO, np.arange(12), counts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("liftgate.evaluation.average_precision.MOST_ROWS_OF_BYTES", -1)
        floats = averaged_metrics(table, COCO, np.arange(12), counts)
    for name in COCO:
        np.testing.assert_array_equal(small[name], floats[name], err_msg=name)
