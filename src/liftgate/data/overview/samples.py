"""Which images to show: every class, the rarest first, and as many groups as there can be."""

from __future__ import annotations

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.overview.columns import counted_labels


def choose_samples(dataset: Dataset, count: int, rng: np.random.Generator) -> list[int]:
    """Return the index of `count` images, sorted by id.

    One for each class while there is room, then others, each time from the group that has been shown least.
    """
    labels = counted_labels(dataset)
    rank = rng.permutation(len(dataset.images))  # who comes first among equals
    keys = dataset.groups
    shown: dict[str, int] = {}
    taken: list[int] = []

    def take(candidates: list[int]) -> None:
        free = [index for index in candidates if index not in taken]
        if free and len(taken) < count:
            best = min(free, key=lambda index: (shown.get(keys[index], 0), rank[index]))
            shown[keys[best]] = shown.get(keys[best], 0) + 1
            taken.append(best)

    sizes = np.bincount(labels.cls, minlength=len(dataset.classes))
    for cls in np.argsort(sizes, kind="stable").tolist():
        if sizes[cls]:
            take(np.unique(labels.image[labels.cls == cls]).tolist())
    for _ in range(count - len(taken)):
        take(list(range(len(dataset.images))))
    return sorted(taken, key=lambda index: dataset.images[index].id)
