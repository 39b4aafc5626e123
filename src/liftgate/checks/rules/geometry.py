"""Rule about label geometry: do the boxes lie where the objects are?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypedDict

import numpy as np

from liftgate.checks.finding import Finding
from liftgate.checks.probes.box_conventions import describe_transform
from liftgate.checks.probes.label_geometry import MIN_SCENES, Geometry
from liftgate.checks.rule import rule
from liftgate.checks.subject import Subject
from liftgate.data.core.dataset import Dataset


@rule("labels.geometry", "error", "warning", "info")
def geometry(subject: Subject) -> Iterator[Finding]:
    """Boxes that do not lie where the objects are: transposed, mirrored, rotated, scaled, in pixels, of another image.

    At most 120 images are judged, without a model, by two kinds of evidence that compare an image's own boxes with
    those of other images, placed in the same image. *Content*: for every reading, colour, brightness and texture are
    learned inside the boxes as read so; under the right one they lie inside the boxes of images that were not learned
    from, and not beside them. *Edges*: the sides of right boxes lie on stronger gradients than lines beside them, at
    the margin that people left around objects. If the boxes with x and y exchanged fit and the boxes as stored do not,
    the converter exchanged them. Likewise for a corner in place of the centre, two corners in place of centre and size,
    pixels or per cent in place of fractions, a scale, and labels shifted by one image. In the luggage X-ray project
    mAP50 was stuck at 0.2 and every hyper-parameter was tried; the labels had been read x before y where they were
    written y before x, on a grid of 1000 instead of 1024.

    It is an error only where the evidence for another reading is significant, none contradicts it, and both halves of
    the data agree. Frames of a fixed camera count as one scene. Without significant evidence (few scenes, a fixed
    camera, objects that look like the background) the answer is "not decidable", which is no evidence against the
    labels. An error of scale below 3% is within the precision of drawing. Where some images clearly fit as stored and
    some under another reading, part of the labels may have the mistake: a warning. `check` shows the answer also
    where it is "fits".

    Fix: look at the examples with their boxes drawn both ways (`liftgate check … --page check.html`), then correct the
    converter as the message describes and export again. `--fix DIR` changes boxes only where
    `--fix labels.geometry` is given too, and where images that the decision did not use confirm it.
    """
    for name, dataset in subject.datasets.items():
        found = subject.geometry(name)
        if found is not None:
            yield from _findings(name, dataset, found)
        elif len(np.unique(dataset.labels.image)) >= 2 * MIN_SCENES:  # with fewer images no answer is expected
            message = (
                f"not decidable: fewer than {MIN_SCENES} different scenes have boxes that are large enough; "
                "frames of a fixed camera, and images with the same boxes, count as one"
            )
            data: dict[str, Any] = {"dataset": name, "answer": "not decidable", "images": 0}
            hint = "draw the boxes of a few images and check them"
            yield geometry.finding(dataset.source, message, hint=hint, severity="info", **data)


def _findings(name: str, dataset: Dataset, found: Geometry) -> Iterator[Finding]:
    if found.answer == "fits":
        return
    details: dict[str, Any] = {"dataset": name, **_details(found)}
    judged = f"{found.n_images} images ({found.decision.n_scenes} scenes)"
    if found.answer == "does not fit":
        message = (
            f"{describe_transform(found.best.transform)}: with that undone they lie on the objects in {judged} "
            f"(edges z {found.best.z:.1f} against {found.stored.z:.1f} as stored, "
            f"content {found.best.gain:+.1f} standard errors)"
        )
        yield geometry.finding(found.examples[0].image.path, message, **details)
    elif found.decision.mixed_with:
        message = (
            f"not decidable: of {judged} some fit as stored and some as {found.decision.mixed_with}: "
            "are some images labelled one way and some the other?"
        )
        hint = "draw the boxes of twenty images from every annotator or source and look (`--page` draws some)"
        data: dict[str, Any] = {**details, "rival": found.decision.mixed_with}
        yield geometry.finding(dataset.source, message, hint=hint, severity="warning", **data)
    else:
        message = (
            f"not decidable: on {judged} neither the boxes as stored (edges z {found.stored.z:.1f}) nor another way "
            f"to read them is significant (best: {found.best.transform}, {found.best.gain:+.1f} standard errors)"
        )
        hint = "draw the boxes of a few images and look (`--page`); more images make it decidable"
        yield geometry.finding(dataset.source, message, hint=hint, severity="info", **details)


class _Details(TypedDict):
    """The evidence, and one image with both sets of boxes: enough to draw a picture of both."""

    answer: str
    images: int
    scenes: int
    transform: str
    evidence: list[dict[str, str | float]]
    example: dict[str, object]


def _details(found: Geometry) -> _Details:
    example = found.examples[0]
    return {
        "answer": found.answer,
        "images": found.n_images,
        "scenes": found.decision.n_scenes,
        "transform": found.best.transform,
        "evidence": [
            {"transform": one.transform, "ridge": round(one.ridge, 3), "z": round(one.z, 2), "gain": round(one.gain, 2)}
            for one in found.decision.evidence
        ],
        "example": {
            "image": example.image.id,
            "stored": np.round(example.stored, 4).tolist(),
            "mended": np.round(example.corrected, 4).tolist(),
        },
    }
