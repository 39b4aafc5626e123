"""Draw the overlap: the frames that a second annotator labels too."""

from __future__ import annotations

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.errors import UsageError


def draw_overlap(dataset: Dataset, count: int, rng: np.random.Generator) -> Dataset:
    """Return `count` images drawn from as many groups as possible: one from each, then a second from each, and so on.

    Frames of one video are near-copies, so fifty frames of two videos carry information about only two groups. The
    draw depends on the generator, ids and groups alone, not on the order in which files were listed.

    Raises:
        UsageError: `count` is below 1 or above the number of images.
    """
    if not 1 <= count <= len(dataset.images):
        raise UsageError(
            "the overlap cannot be drawn", where=dataset.source, expected=f"1 to {len(dataset.images)}", got=count
        )
    members: dict[str, list[int]] = {}
    for index in sorted(range(len(dataset.images)), key=lambda i: dataset.images[i].id):
        members.setdefault(dataset.images[index].key, []).append(index)
    shuffled = {group: rng.permutation(members[group]).tolist() for group in sorted(members)}
    names = sorted(shuffled)
    order = [names[place] for place in rng.permutation(len(names)).tolist()]
    rounds = max(len(frames) for frames in shuffled.values())
    turn = [shuffled[group][r] for r in range(rounds) for group in order if r < len(shuffled[group])]
    return dataset.take(np.array(sorted(turn[:count]), dtype=np.int64))
