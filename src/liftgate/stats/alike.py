"""Variance of an estimate if large groups differ from each other as much as all groups do (docs/decisions/0057).

What draws of groups show, and sums of squares over groups, rests on the largest groups. Where these agree by chance, it
is too little.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liftgate.stats.distributions import t_quantile
from liftgate.stats.groups import AlikeVariance, count_groups


def alike_groups(
    influence: ArrayLike, group: NDArray[np.int64], share: ArrayLike, *, by_share: bool = False
) -> AlikeVariance | None:
    """Return the variance of an estimate if all groups, large or small, differ by as much.

    The variance is that of independent images, Σ u², and what pairs of images of one group add to it. What they add,
    for the share that each group holds, is the mean over all groups, each counted as far as it has pairs: 1 − 1/x for x
    images. Degrees of freedom (Satterthwaite) are those of this mean, and of the images for the rest.

    Args:
        influence: (n,) by how much each image moves the estimate; the sum is 0.
        group: (n,) index of its group.
        share: (G,) how much of the estimate each group holds; groups of share 0 tell nothing.
        by_share: weight the mean by these shares too, which is less noisy where groups hardly differ.

    Returns:
        AlikeVariance: None where no group has two images, or images of a group are no more alike than others.

    >>> images = np.repeat([1, 1, -1, -1], [70, 20, 40, 50]) / 180  # four groups, in each of which all images are alike
    >>> round(alike_groups(images, np.repeat(range(4), [70, 20, 40, 50]), [70, 20, 40, 50]).variance, 2)
    0.41
    """
    shares, column = np.asarray(share, dtype=np.float64), np.asarray(influence, dtype=np.float64)
    counts = np.bincount(group, minlength=len(shares))
    some = (shares > 0) & (counts > 0)
    h, x = shares[some] / float(shares[some].sum()), counts[some]
    square, paired = float(np.sum(h**2)), 1 - 1 / x
    if not paired.any() or square >= 1:
        return None
    pull, alone = (np.bincount(group, one, minlength=len(shares))[some] for one in (column, column**2))
    of_pairs = np.where(x > 1, (pull**2 - alone) / (h**2 * np.maximum(paired, 0.5)), 0.0)
    simple = float(np.sum(column**2))
    weight = paired * h if by_share else paired
    apart = (float(weight @ of_pairs) / float(weight.sum()) + simple) / (1 - square)  # both are about their own mean
    if apart <= 0:
        return None
    between = apart * float(np.sum(h**2 * paired))
    telling = count_groups(np.where(alone > 0, weight, 0.0))
    uncertain = between**2 / max(1.0, telling.effective - 1) + simple**2 / max(1, len(column) - 1)
    return AlikeVariance(simple + between, max(1.0, (simple + between) ** 2 / uncertain))


def half_width(least: AlikeVariance | None, level: float, more: float = 0.0) -> float:
    """Return t × the standard error, 0 without one; `more` is added to the variance.

    >>> round(half_width(AlikeVariance(0.0004, 19), 0.95), 3)
    0.042
    """
    return 0.0 if least is None else t_quantile(level, least.degrees) * math.sqrt(least.variance + more)
