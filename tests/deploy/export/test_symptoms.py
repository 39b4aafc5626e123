"""What is named from the agreement of an export with its reference alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from liftgate.deploy.export.agreement import Agreement
from liftgate.deploy.export.symptoms import channels_symptom, symptoms_of

SOUND = Agreement(
    n_reference=100, n_export=98, n_pairs=97, median_iou=0.97, low_iou=0.9, offset=(0.0, 0.0),
    offset_error=(0.01, 0.01), same_class=0.98, renamed=(), rank=0.95, slope=0.99, image_rank=0.97, identical=False,
)  # fmt: skip


def test_a_sound_int8_export_shows_nothing() -> None:
    assert symptoms_of(SOUND, 0.25) == []
    assert channels_symptom(SOUND, replace(SOUND, same_class=0.85, rank=0.8), "RGB") is None


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


def test_turned_channels_are_named_where_most_of_the_detections_agree() -> None:
    """As measured on yolov8n with red and blue exchanged: 83% agree, which no other tripwire finds."""
    blue_first = replace(SOUND, n_pairs=96, same_class=0.87, median_iou=0.945, rank=0.81)
    assert symptoms_of(blue_first, 0.25) == []
    symptom = channels_symptom(blue_first, SOUND, "RGB")
    assert symptom is not None and symptom.id == "contract.channels"
    assert "wants BGR" in symptom.message and "95% of the detections agree, not 84%" in symptom.message
    assert channels_symptom(SOUND, blue_first, "RGB") is None
    assert channels_symptom(blue_first, replace(blue_first, rank=0.84), "RGB") is None, "turned is hardly better"
