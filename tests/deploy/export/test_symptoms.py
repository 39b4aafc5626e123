"""What is named from the agreement of an export with its reference alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from liftgate.deploy.export.agreement import Agreement
from liftgate.deploy.export.symptoms import symptoms_of

SOUND = Agreement(
    n_reference=100, n_export=98, n_pairs=97, median_iou=0.97, low_iou=0.9, offset=(0.0, 0.0),
    offset_error=(0.01, 0.01), same_class=0.98, renamed=(), rank=0.95, slope=0.99, image_rank=0.97, identical=False,
)  # fmt: skip


def test_a_sound_int8_export_shows_nothing() -> None:
    assert symptoms_of(SOUND, 0.25) == []


def test_rare_classes_that_are_called_by_each_others_names_are_named() -> None:
    """White cells and platelets are a sixth of all cells: the share of pairs with another class stays small."""
    exchanged = (("white", "platelet", 7, 8), ("platelet", "white", 6, 6))
    (symptom,) = symptoms_of(replace(SOUND, same_class=0.86, renamed=exchanged), 0.25)
    assert symptom.id == "classes.order" and "white is called platelet (7 of 8)" in symptom.message


@pytest.mark.parametrize(
    "renamed",
    [
        (("truck", "car", 6, 6),),
        (("truck", "car", 3, 3), ("car", "truck", 3, 4)),
        (("truck", "car", 6, 10), ("car", "truck", 6, 10)),
    ],
)
def test_classes_that_an_export_confuses_are_not_in_another_order(
    renamed: tuple[tuple[str, str, int, int], ...],
) -> None:
    assert symptoms_of(replace(SOUND, same_class=0.93, renamed=renamed), 0.25) == []


def test_a_pair_of_classes_that_changed_places_is_named_by_its_scores() -> None:
    """Two dogs among thirty persons: too few pairs for a share, but both have their scores under the other's name."""
    called = (("person", "dog", 30, 0.6, 0.02), ("dog", "person", 2, 0.7, 0.01))
    (symptom,) = symptoms_of(replace(SOUND, same_class=0.81, called=called), 0.25)
    assert symptom.id == "classes.order" and "person is called dog (scores of 30 detections" in symptom.message
    for few in ((("truck", "car", 4, 0.3, 0.05),), (("truck", "car", 1, 0.3, 0.05), ("car", "truck", 2, 0.3, 0.05))):
        assert symptoms_of(replace(SOUND, called=few), 0.25) == []


def test_scores_that_are_all_smaller_by_one_factor_are_named() -> None:
    small = replace(SOUND, slope=0.85, ratio=0.85, ratio_error=0.0, rank=1.0)
    (symptom,) = symptoms_of(small, 0.25)
    assert symptom.id == "scores.scaled" and "0.85 times the reference's" in symptom.message
    assert symptoms_of(replace(small, ratio=1.2), 0.25)[0].id == "scores.scaled"
    assert symptoms_of(replace(small, ratio=0.96, ratio_error=0.004), 0.25) == [], "as far as INT8 moves them"
    assert symptoms_of(replace(small, ratio_error=0.05), 0.25) == [], "not sure"
    assert symptoms_of(replace(small, rank=0.8), 0.25) == [], "their order says that it is something else"
    assert symptoms_of(replace(small, rank=0.89), 0.25), "INT8 without VNNI shuffles them so much"
    assert symptoms_of(replace(small, rank=0.89, ratio=0.92, slope=0.98), 0.25) == [], "and moves them so far by itself"
    misnamed = symptoms_of(replace(small, same_class=0.1, slope=1.0), 0.25)
    assert [one.id for one in misnamed] == ["classes.order"], "scores of other classes were compared"
