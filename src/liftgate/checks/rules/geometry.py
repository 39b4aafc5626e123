"""Geometry: do the boxes lie where the objects are?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from liftgate.checks.finding import Finding
from liftgate.checks.probes.box_conventions import describe_transform
from liftgate.checks.probes.label_geometry import FEWEST, Geometry, rival
from liftgate.checks.rule import rule
from liftgate.checks.subject import Subject
from liftgate.data.core.dataset import Dataset


@rule("labels.geometry", "error")
def geometry(subject: Subject) -> Iterator[Finding]:
    """Boxes that do not lie where the objects are: transposed, mirrored, rotated, scaled, in pixels, of another image.

    At most 200 images are looked at, without a model: under the sides of a right box the picture has a step, beside
    them less of one. If the boxes as stored have none and the same boxes with x and y exchanged have, the converter
    exchanged them. So it is with a corner written where the centre belongs, two corners for centre and size, pixels or
    per cent for fractions, labels that slipped by one image. In the luggage X-ray project mAP50 was stuck at 0.2 and
    every hyper-parameter was tried; the labels had been read x before y where they were written y before x, on a grid
    of 1000 instead of 1024.

    It is an error only when another transform fits better by six standard errors over images and at least twice as
    well. Where nothing stands out (few images, boxes as large as the picture, soft edges) the answer is "not
    decidable", which says nothing against the labels. Where the boxes lie on edges as stored and read another way too,
    some images may be labelled one way and some the other: a warning (15% of the images of a set of dice were enough).
    `check` says what the answer was, also where it is "fits".

    Fix: look at the example with its boxes drawn both ways (`liftgate check … --page check.html`), then mend the
    converter as the message says and export again; `--fix DIR` writes a mended copy.
    """
    for name in subject.datasets:
        found = subject.geometry(name)
        marked = len(np.unique(subject.datasets[name].labels.image))
        if found is None and marked >= 2 * FEWEST:  # with fewer images no answer is expected
            message = (
                f"not decidable: of {marked:,} images with boxes fewer than {FEWEST} have some that are large enough "
                "and lie in other places than those of the others"
            )
            data = {"dataset": name, "answer": "not decidable", "images": 0}
            hint = "draw the boxes of a few images and look"
            yield geometry.finding(subject.datasets[name].source, message, hint=hint, severity="info", **data)
        if found is not None and found.answer != "fits":
            yield _finding(name, subject.datasets[name], found)


def _finding(name: str, dataset: Dataset, found: Geometry) -> Finding:
    if found.answer == "not decidable" and (other := rival(found.evidence)) and found.stored.z > 0:
        message = (
            f"not decidable: in {found.n_images} images boxes lie on edges as stored (z {found.stored.z:.1f}), and "
            f"also read as {other.transform} (z {other.z:.1f}): are some images labelled one way and some the other?"
        )
        hint = "draw the boxes of twenty images from every annotator or source and look (`--page` draws one)"
        data = {**_data(found), "rival": other.transform}
        return geometry.finding(dataset.source, message, hint=hint, severity="warning", dataset=name, **data)
    if found.answer == "not decidable":
        message = (
            f"not decidable: on {found.n_images} images neither the boxes as stored (z {found.stored.z:.1f}) nor any "
            f"other way to read them stands out (best: {found.best.transform}, {found.best.gain:+.1f} standard errors)"
        )
        hint = "draw the boxes of a few images and look (`--page`); more images make it decidable"
        return geometry.finding(dataset.source, message, hint=hint, severity="info", dataset=name, **_data(found))
    message = (
        f"{describe_transform(found.best.transform)}: with that undone they lie on edges in {found.n_images} images "
        f"(ridge {found.best.ridge:.2f} against {found.stored.ridge:.2f} as stored, "
        f"{found.best.gain:+.1f} standard errors)"
    )
    return geometry.finding(found.example.path, message, dataset=name, **_data(found))


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
