"""Interval: an estimate with what a reader must know before believing it."""

from __future__ import annotations

from dataclasses import dataclass

MIN_GROUPS = 5
"""Below this many groups an interval is "not established": no method here covers what it promises."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its confidence interval. `low` and `high` are None where no interval can be established."""

    estimate: float
    low: float | None
    high: float | None
    level: float
    method: str
    """`korn-graubard`, `jackknife-t`, `cluster-se-t`, …"""
    n_images: int
    n_groups: int
    design_effect: float | None = None
    n_effective: float | None = None
    standard_error: float | None = None
    """Where the interval was made of one"""
    note: str = ""
    """Why there is no interval, or what limits it."""

    @property
    def established(self) -> bool:
        return self.low is not None and self.high is not None

    @property
    def basis(self) -> str:
        """What must stand beside the number: level and method of its interval, where there is one, and the sample.

        >>> Interval(0.5, 0.4, 0.6, 0.975, "jackknife-t", 144, 18).basis
        '97.5% jackknife-t, 144 images in 18 groups'
        """
        of = sample(self.n_images, self.n_groups)
        return f"{percent(self.level)} {self.method}, {of}" if self.established else of

    def __str__(self) -> str:
        bounds = f"[{self.low:.4f}, {self.high:.4f}]" if self.established else "interval not established"
        return f"{self.estimate:.4f} {bounds} ({self.basis})"


def percent(share: float) -> str:
    """A level of confidence; not rounded, because 97.5% is neither 97% nor 98%.

    >>> percent(0.95), percent(0.975)
    ('95%', '97.5%')
    """
    return f"{share * 100:g}%"


def sample(n_images: int, n_groups: int) -> str:
    """What stands beside every number.

    >>> sample(5000, 36), sample(1, 1)
    ('5,000 images in 36 groups', '1 image in 1 group')
    """
    return f"{n_images:,} image{'s' * (n_images != 1)} in {n_groups:,} group{'s' * (n_groups != 1)}"
