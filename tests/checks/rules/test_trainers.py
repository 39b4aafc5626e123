"""A transformer's queries against the image size: what is too small is an error before any epoch."""

from __future__ import annotations

import pytest

from checks.small_set import SmallSet
from liftgate.checks.finding import Finding
from liftgate.checks.run import run

RECIPE = {"epochs": 60, "lr0": 0.0002, "batch": 2}


def queries(small: SmallSet, model: str, recipe: dict[str, object], backend: str = "libreyolo") -> list[Finding]:
    """What `recipe.queries` finds in the two arms of a study with this model and recipe."""
    (small.root / "model.yaml").write_text(f"libreyolo: {model}\n")
    recipe = {**RECIPE, **recipe}
    subject = small.subject(recipe=recipe, control=recipe, weights="model.yaml", backend=backend)
    return list(run(subject, select=["recipe.queries"]).findings)


@pytest.mark.parametrize(
    ("model", "small_side", "cells", "least"), [("dfine-n", 224, 245, 256), ("dfine-s", 96, 189, 128)]
)
def test_it_fires_below_the_size_that_it_names_and_not_from_there_on(
    small: SmallSet, model: str, small_side: int, cells: int, least: int
) -> None:
    control, treatment = queries(small, model, {"imgsz": small_side})
    assert [control.where, treatment.where] == ["arm control, stage 1", "arm treatment, stage 1"]
    assert treatment.severity == "error"
    assert treatment.message == f"imgsz {small_side} has {cells} cells for 300 queries of {model}; {least} has enough"
    assert queries(small, model, {"imgsz": least}) == []


def test_the_trainers_own_image_size_is_large_enough(small: SmallSet) -> None:
    assert queries(small, "dfine-n", {}) == []


def test_a_model_without_queries_has_no_such_bound(small: SmallSet) -> None:
    assert queries(small, "yolox-n", {"imgsz": 96}) == []


def test_the_size_of_another_trainer_is_none_of_its_business(small: SmallSet) -> None:
    assert queries(small, "dfine-n", {"imgsz": 96}, backend="toy") == []


@pytest.mark.parametrize("weights", ["yolov8n.pt", "yolov8n.yaml", "yolox-nano"])
def test_weights_of_ultralytics_are_no_weights_of_libreyolo(small: SmallSet, weights: str) -> None:
    """It was told to fetch them, or that they are there."""
    subject = small.subject(weights=weights, backend="libreyolo")
    found = run(subject, select=["weights.missing"]).findings
    assert {one.severity for one in found} == {"error"} and all(weights in one.message for one in found)
    assert all("libreyolo: yolox-n" in one.hint and "curl" not in one.hint for one in found)
