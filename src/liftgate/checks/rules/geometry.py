"""Geometry: do the boxes lie where the objects are?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from liftgate.checks.edges import NEXT, PREVIOUS, Geometry, probe
from liftgate.checks.finding import Finding
from liftgate.checks.rule import dataset_rule
from liftgate.data.dataset import Dataset


@dataset_rule("labels.geometry", "error")
def geometry(dataset: Dataset) -> Iterator[Finding]:
    """Boxes that do not lie where the objects are: transposed, mirrored, rotated, shifted, scaled, of another image.

    At most 200 images are looked at, without a model: under the sides of a right box the picture has a step, beside
    them less of one. If the boxes as stored have none and the same boxes with x and y exchanged have, the converter
    exchanged them. In the luggage X-ray project mAP50 was stuck at 0.2 and every hyper-parameter was tried; the
    labels had been read x before y where they were written y before x, on a grid of 1000 instead of 1024.

    It is an error only when another transform fits better by six standard errors over images and at least twice as
    well. Where nothing stands out (few images, boxes as large as the picture, soft edges) the answer is "not
    decidable", which says nothing against the labels.

    Mend: look at the example with its boxes drawn, then mend the converter as the message says and export again.
    """
    found = probe(dataset)
    if found is None or found.answer == "fits":
        return
    if found.answer == "not decidable":
        message = (
            f"not decidable: on {found.n_images} images neither the boxes as stored (z {found.stored.z:.1f}) nor any "
            f"other way to read them stands out (best: {found.best.transform}, {found.best.gain:+.1f} standard errors)"
        )
        hint = "draw the boxes of a few images and look; more images make it decidable"
        yield geometry.finding(dataset.source, message, hint=hint, severity="info", **_data(found))
        return
    best = found.best.transform
    what = f"the labels are those {best}" if best in {NEXT, PREVIOUS} else f"the boxes are {best}"
    message = (
        f"{what}: read that way they lie on edges in {found.n_images} images "
        f"(ridge {found.best.ridge:.2f} against {found.stored.ridge:.2f} as stored, "
        f"{found.best.gain:+.1f} standard errors)"
    )
    yield geometry.finding(found.example.path, message, **_data(found))


def _data(found: Geometry) -> dict[str, Any]:
    """The evidence, and one image with both sets of boxes: enough to draw a picture of both."""
    return {
        "answer": found.answer,
        "images": found.n_images,
        "transform": found.best.transform,
        "evidence": [
            {"transform": one.transform, "ridge": round(one.ridge, 3), "z": round(one.z, 2), "gain": round(one.gain, 2)}
            for one in found.evidence
        ],
        "example": {
            "image": found.example.id,
            "stored": np.round(found.stored_boxes, 4).tolist(),
            "mended": np.round(found.mended_boxes, 4).tolist(),
        },
    }
