"""Three ways to one verdict beside each other: images at random, images by design, judgements."""

from __future__ import annotations

from dataclasses import replace

import liftgate
from judging.two_models import two_models
from services.test_sampled_evidence import differ_in

NEAR = differ_in(two_models(11, groups=80, per_group=3), 0.1)


def test_models_that_differ_in_few_groups_take_fewer_images_by_design_and_fewer_judgements_than_boxes() -> None:
    found = liftgate.size_models(NEAR.truth, NEAR.control, NEAR.treatment, 0.02, metric="recall").to_dict()
    assert found["images_by_design"] < 0.8 * found["images"]
    assert found["judgements"] < 0.5 * found["boxes"]
    assert "Three ways: " in found["text"] and "judgements by `judge`" in found["text"]


def test_average_precision_takes_labels_and_models_far_apart_gain_nothing() -> None:
    found = liftgate.size_models(NEAR.truth, NEAR.control, NEAR.treatment, 0.02, metric="mAP50").to_dict()
    assert found["judgements"] is None and "judgements do not answer mAP50" in found["text"]
    far = two_models(3, groups=40, per_group=4, apart=2.0)
    answer = liftgate.size_models(far.truth, far.control, far.treatment, 0.2, metric="recall").to_dict()
    assert answer["images_by_design"] <= answer["images"]


def test_a_pilot_of_few_images_plans_no_ways() -> None:
    few = two_models(3, groups=9, per_group=2, apart=2.0)
    assert "Three ways" not in liftgate.size_models(few.truth, few.control, few.treatment, 0.2, metric="recall").text


def test_a_metric_of_which_less_is_better_is_to_be_lower_and_missing_groups_are_named() -> None:
    found = liftgate.size_models(*NEAR, 0.05, metric="false_positives_per_image")
    assert "is lower by more than 0 when it really is 0.05 lower" in found.text and not found.notes
    bare = NEAR.truth.with_images([replace(one, group=None) for one in NEAR.truth.images])
    (note,) = liftgate.size_models(bare, NEAR.control, NEAR.treatment, 0.05, metric="recall").to_dict()["notes"]
    assert "no groups are given" in note
