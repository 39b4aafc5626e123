"""EXIF rotation: boxes that fit into one frame only decide; the size that labels give does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from checks.small_set import SmallSet
from liftgate.checks import Finding, Subject, run
from liftgate.data.core.dataset import Dataset, Fault, Labels


def exif_finding(dataset: Dataset, box: tuple[float, float, float, float]) -> Finding:
    """The finding on one upright image of 40 × 80 whose labels give the stored size, with one box."""
    image = replace(dataset.images[0], width=80, height=40, orientation=6)
    labels = Labels.build([0], [0], np.array([box]))
    fault = Fault("size_rotated", "labels.json", "labels say 80×40, upright it is 40×80", image.id)
    made = replace(dataset, images=(image,), labels=labels, faults=(fault,), format="coco")
    (found,) = run(Subject({"small": made}), select=["images.exif_rotation"]).findings
    return found


def test_boxes_that_fit_the_upright_frame_only_are_right(small: SmallSet) -> None:
    found = exif_finding(small.read(), (5, 50, 30, 78))
    assert (found.severity, found.data["frame"]) == ("info", "upright")


def test_boxes_that_fit_the_stored_frame_only_are_an_error(small: SmallSet) -> None:
    found = exif_finding(small.read(), (50, 5, 78, 30))
    assert (found.severity, found.data["frame"]) == ("error", "stored")


def test_boxes_that_fit_both_frames_cannot_be_known(small: SmallSet) -> None:
    found = exif_finding(small.read(), (5, 5, 30, 30))
    assert (found.severity, found.data["frame"]) == ("warning", "unknown")
    assert "is unknown" in found.message
