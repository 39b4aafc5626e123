"""Interval: an estimate with its confidence interval, method, sample size and groups."""

from __future__ import annotations

from dataclasses import dataclass

MIN_GROUPS = 5
"""Below this many groups an interval is "not established": no method here reaches its nominal coverage."""


LEAST_LEVEL = 0.5
"""Least level of an interval. Who writes 0.05 means the chance of error: at that level nearly any value would pass."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its confidence interval. `low` and `high` are None where no interval can be established."""

    estimate: float
    low: float | None
    high: float | None
    level: float
    method: str
    """`korn-graubard`, `bootstrap-se-t`, `cluster-se-t`, …"""
    n_images: int
    n_groups: int
    design_effect: float | None = None
    n_effective: float | None = None
    standard_error: float | None = None
    """Where the interval was computed from one"""
    note: str = ""
    """Why there is no interval, or what limits it"""
    groups_informative: int | None = None
    """Groups that hold what the estimate counts; None: unknown"""
    groups_effective: float | None = None
    """Effective number of groups (Kish); the degrees of freedom are one fewer"""
    largest_group_share: float | None = None
    """Share of the information that the largest group holds"""

    @property
    def established(self) -> bool:
        """Whether there is an interval."""
        return self.low is not None and self.high is not None

    @property
    def degrees(self) -> float:
        """Degrees of freedom of its standard error: effective groups − 1, at least 1."""
        return max(1.0, (self.n_groups if self.groups_effective is None else self.groups_effective) - 1)

    @property
    def informative(self) -> int:
        """Groups that hold what the estimate counts; all groups where that is unknown."""
        return self.n_groups if self.groups_informative is None else self.groups_informative

    @property
    def one_group_dominates(self) -> bool:
        """Whether the groups are so uneven that their effective number is below MIN_GROUPS."""
        return self.established and self.groups_effective is not None and self.groups_effective < MIN_GROUPS - 1e-9

    @property
    def basis(self) -> str:
        """Level and method of the interval, where there is one, and the sample, in words.

        Where groups are uneven, also their effective number and the share of the largest.

        >>> Interval(0.5, 0.4, 0.6, 0.975, "bootstrap-se-t", 144, 18).basis
        '97.5% bootstrap-se-t, 144 images in 18 groups'
        >>> uneven = Interval(0.5, 0.3, 0.7, 0.95, "t", 240, 20, groups_effective=3.8, largest_group_share=0.5)
        >>> uneven.basis
        '95% t, 240 images in 20 groups, effectively 3.8, the largest holds 50%'
        """
        text = sample(self.n_images, self.n_groups)
        if self.groups_effective is not None and self.groups_effective < 0.9 * self.n_groups:
            text += f", effectively {self.groups_effective:.3g}"
            if self.largest_group_share is not None:
                text += f", the largest holds {self.largest_group_share:.0%}"
        return f"{percent(self.level)} {self.method}, {text}" if self.established else text

    def __str__(self) -> str:
        bounds = f"[{self.low:.4f}, {self.high:.4f}]" if self.established else "interval not established"
        return f"{self.estimate:.4f} {bounds} ({self.basis})"


def percent(share: float) -> str:
    """Return a share as a percentage, not rounded: 97.5% is neither 97% nor 98%.

    >>> percent(0.95), percent(0.975)
    ('95%', '97.5%')
    """
    return f"{share * 100:g}%"


def sample(n_images: int, n_groups: int) -> str:
    """Return the sample size in words.

    >>> sample(5000, 36), sample(1, 1)
    ('5,000 images in 36 groups', '1 image in 1 group')
    """
    return f"{n_images:,} image{'s' * (n_images != 1)} in {n_groups:,} group{'s' * (n_groups != 1)}"
