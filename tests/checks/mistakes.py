"""Label mistakes that converters make, planted into any data set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from liftgate.checks.probes.box_conventions import NEXT, PREVIOUS, read_boxes
from liftgate.data.core.dataset import Dataset

_UNDONE_BY = {
    "rotated by 90° clockwise": "rotated by 90° anticlockwise",
    "corner-for-centre": "centre-for-corner",
    "scaled by 1000/1024": "scaled by 1024/1000",
    "transposed and scaled by 1000/1024": "transposed and scaled by 1024/1000",
}
_UNDONE_BY |= {reading: mistake for mistake, reading in _UNDONE_BY.items()}


def undone_by(mistake: str) -> str:
    """Return the reading that plants a mistake: it undoes the opposite one."""
    scaled, _, factor = mistake.partition("scaled by ")
    if factor and "/" not in factor:
        return f"{scaled}scaled by {1 / float(factor)!r}"
    return _UNDONE_BY.get(mistake, mistake)


def with_mistake(dataset: Dataset, mistake: str) -> Dataset:
    """Return `dataset` with labels that carry a mistake, named as the probe should name it."""
    labels = dataset.labels
    if mistake in {NEXT, PREVIOUS}:
        order = sorted(range(len(dataset.images)), key=lambda i: (dataset.images[i].split or "", dataset.images[i].id))
        place = {image: at for at, image in enumerate(order)}
        step = 1 if mistake == NEXT else -1
        # Each image gets what belongs to the one before it: the mend is to take the next image's labels.
        moved = [order[(place[int(image)] + step) % len(order)] for image in labels.image]
        return replace(dataset, labels=replace(labels, image=np.array(moved)))
    size = np.array([image.upright for image in dataset.images], dtype=np.float64)[labels.image]
    centre, extent = (labels.boxes[:, :2] + labels.boxes[:, 2:]) / 2, labels.boxes[:, 2:] - labels.boxes[:, :2]
    at, of = centre / size, extent / size
    if mistake == "two corners for centre and size":  # the only one that no reading plants
        made = np.concatenate([at - of / 2, at + of / 2], axis=1)
    else:
        made = read_boxes(np.concatenate([at, of], axis=1), undone_by(mistake))
    corners = np.concatenate([made[:, :2] - made[:, 2:] / 2, made[:, :2] + made[:, 2:] / 2], axis=1)
    return replace(dataset, labels=replace(labels, boxes=corners * np.tile(size, 2)))
