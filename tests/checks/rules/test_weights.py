"""Weights: where they are looked for, those of other backends, and folders that are called like weights."""

from __future__ import annotations

import numpy as np

from checks.small_set import SmallSet
from liftgate.backends import toy
from liftgate.checks.run import run
from liftgate.study.weights import weights_cache


def test_what_the_toy_backend_wrote_is_not_called_unreadable(small: SmallSet) -> None:
    with (small.root / "w.pt").open("wb") as file:
        np.savez(file, classes=np.array(["cup"]), centroids=np.zeros((1, 8)))
    assert toy.load_model(small.root / "w.pt").classes == ("cup",), "this is how it writes"
    assert run(small.subject(weights="w.pt", backend="toy", recipe={}, control={}), select=["weights"]).findings == ()
    (found,) = run(small.subject(weights="w.pt"), select=["weights"]).findings
    assert found.id == "weights.unreadable"


def test_a_folder_called_like_weights_is_no_weights(small: SmallSet) -> None:
    (small.root / "w.pt").mkdir()
    assert {finding.id for finding in run(small.subject(weights="w.pt"), select=["weights"]).findings} == {
        "weights.missing"
    }


def test_a_published_name_that_is_not_on_this_machine_is_a_warning_that_says_where_to_put_it(small: SmallSet) -> None:
    found = {
        finding.where: finding for finding in run(small.subject(weights="yolov8n.pt"), select=["weights"]).findings
    }
    assert {(one.id, one.severity) for one in found.values()} == {("weights.missing", "warning")}
    assert all(str(weights_cache() / "yolov8n.pt") in one.hint for one in found.values())


def test_weights_are_looked_for_where_a_run_looks(small: SmallSet) -> None:
    weights_cache().mkdir(parents=True)
    (weights_cache() / "ours.pt").write_bytes(b"cut off")
    subject = small.subject(weights="ours.pt")
    assert {finding.id for finding in run(subject, select=["weights"]).findings} == {"weights.unreadable"}


def test_a_misspelt_file_is_told_from_those_beside_it(small: SmallSet) -> None:
    (small.root / "yolov8n_recon.pt").write_bytes(b"")
    (found, *_) = run(small.subject(weights="yolov8n_rcon.pt"), select=["weights.missing"]).findings
    assert (found.severity, found.hint) == ("error", f"did you mean {small.root / 'yolov8n_recon.pt'}?")
