"""Rule about object sizes: are objects large enough at the image size of the recipe?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from liftgate.checks.finding import Finding
from liftgate.checks.rule import rule
from liftgate.checks.subject import Subject
from liftgate.checks.ultralytics.arguments import DEFAULT_IMGSZ
from liftgate.data.core.dataset import Dataset

_CELL = 8.0  # pixels: the finest grid of a YOLO detector without a P2 head
_MANY, _SOME = 0.2, 0.05
_TRIED = (320, 416, 512, 640, 960, 1280)


@rule("objects.tiny", "warning", "info")
def tiny(subject: Subject) -> Iterator[Finding]:
    """Objects that are smaller than a cell of the detector's grid at the chosen imgsz.

    Images are scaled so that the longer side is imgsz. The finest grid has a cell every 8 pixels: several objects
    in one cell hide each other, and an object of 6 pixels is a texture. In the bus-passenger project, heads that
    fit at 640 fell below the cell at 416.

    Fix: train at the size that the message names, or cut the images into tiles.
    """
    for name, dataset in subject.datasets.items():
        sides = _fractions(dataset)
        if not len(sides):
            continue
        for size, where in _sizes(subject, name, dataset):
            share = float((sides * size < _CELL).mean())
            if share < _SOME:
                continue
            table = {str(one): round(float((sides * one < _CELL).mean()), 4) for one in _TRIED}
            enough = next((one for one in _TRIED if one > size and table[str(one)] < _SOME), None)
            message = (
                f"at imgsz {size}, {share:.0%} of {len(sides):,} objects are under {_CELL:g} pixels "
                f"(median {float(np.median(sides)) * size:.0f} pixels)"
                + (
                    f"; at {enough} it is {table[str(enough)]:.0%}"
                    if enough
                    else "; at 1280 it is " + f"{table['1280']:.0%}"
                )
            )
            yield tiny.finding(
                where,
                message,
                hint=f"train at imgsz {enough}, or cut the images into tiles"
                if enough
                else "cut the images into tiles",
                severity="warning" if share >= _MANY else "info",
                dataset=name,
                imgsz=size,
                share=round(share, 4),
                share_by_imgsz=table,
            )


def _fractions(dataset: Dataset) -> NDArray[np.float64]:
    """Return (n,) √area of every counted box as a fraction of its image's longer side."""
    labels = dataset.labels
    longer = np.array([max(image.width, image.height) for image in dataset.images], dtype=np.float64)[labels.image]
    box = np.maximum(labels.boxes[:, 2:] - labels.boxes[:, :2], 0).prod(axis=1)
    counted = (longer > 0) & (box > 0) & ~labels.crowd & ~labels.ignore
    fractions: NDArray[np.float64] = np.sqrt(box[counted]) / longer[counted]
    return fractions


def _sizes(subject: Subject, name: str, dataset: Dataset) -> Iterator[tuple[int, str]]:
    """Yield every imgsz that this data set is trained at, and the stage."""
    if subject.study is None:
        yield DEFAULT_IMGSZ, str(dataset.source)
    seen = set()
    for place in subject.stages:
        size = place.stage.recipe.get("imgsz", DEFAULT_IMGSZ)
        if name in place.stage.sources and isinstance(size, int) and size not in seen:
            seen.add(size)
            yield size, place.where
