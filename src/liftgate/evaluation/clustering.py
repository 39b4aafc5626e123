"""Clustering: images that come in groups and resemble each other, and how many independent ones they are worth."""

from __future__ import annotations

import math
from dataclasses import dataclass

from liftgate.errors import UsageError
from liftgate.stats.distributions import t_quantile
from liftgate.stats.sample_size import design_effect, fewest_groups


@dataclass(frozen=True, slots=True)
class Clustering:
    """Clustering of images: m images per group, with an intraclass correlation (ICC)."""

    per_group: float = 1.0
    """Images per group"""
    icc: float = 0.0
    """Intraclass correlation, 0 … 1"""

    def __post_init__(self) -> None:
        if not 1 <= self.per_group < math.inf or not 0 <= self.icc <= 1:
            got = (self.per_group, self.icc)
            raise UsageError(
                "per_group is at least 1 and icc lies in 0 … 1", got=got, hint="video frames: icc about 0.1"
            )

    @property
    def effect(self) -> float:
        """Design effect: the factor by which clustering raises the number of images."""
        return design_effect(self.per_group, self.icc)

    def inflate(self, trials: int, level: float) -> tuple[int, int | None]:
        """Return the images and groups that are equivalent to `trials` independent images in a Korn–Graubard interval.

        That interval corrects for the estimated between-group variance by (t/z)², so with few groups more are needed.
        """
        images = math.ceil(trials * self.effect - 1e-9)
        if self.per_group == 1:
            return images, None
        groups = fewest_groups(
            lambda groups: groups * self.per_group / self.effect >= trials * _t_over_z(level, groups) ** 2
        )
        groups = math.ceil(images / self.per_group) if groups is None else groups
        return math.ceil(groups * self.per_group), groups

    def worth(self, images: int) -> float:
        """Return the number of independent images that `images` are equivalent to."""
        return images / self.effect

    def words(self) -> str:
        """Return the sentence on groups; empty where images are independent."""
        if self.per_group == 1:
            return ""
        return (
            f" Frames come in groups of {self.per_group:g} that resemble each other (ICC {self.icc:g}), "
            f"so {self.effect:.2f} times as many are needed."
        )


def _t_over_z(level: float, groups: int) -> float:
    return t_quantile(level, groups - 1) / t_quantile(level, 1e9)
