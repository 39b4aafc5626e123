"""Weights of other backends than Ultralytics, and folders that are called like weights."""

from __future__ import annotations

import numpy as np

from checks.small_set import SmallSet
from liftgate.backends import toy
from liftgate.checks import run


def test_what_the_toy_backend_wrote_is_not_called_unreadable(small: SmallSet) -> None:
    with (small.root / "w.pt").open("wb") as file:
        np.savez(file, classes=np.array(["cup"]), centroids=np.zeros((1, 8)))
    assert toy._load(small.root / "w.pt").classes == ("cup",), "this is how it writes"
    assert run(small.subject(weights="w.pt", backend="toy", recipe={}, control={}), select=["weights"]).findings == ()
    (found,) = run(small.subject(weights="w.pt"), select=["weights"]).findings
    assert found.id == "weights.unreadable"


def test_a_folder_called_like_weights_is_no_weights(small: SmallSet) -> None:
    (small.root / "w.pt").mkdir()
    assert {finding.id for finding in run(small.subject(weights="w.pt"), select=["weights"]).findings} == {
        "weights.missing"
    }
