"""Options of single metrics: image-level threshold, PCK, OKS sigmas. No arrays here: specs import this module."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from liftgate.errors import UsageError

Sigmas = Sequence[float] | str | float | None
"""`coco`, one number for all keypoints, or one for each; None: the data set's own"""

Normaliser = Literal["box_diagonal", "max_side", "torso"]
NORMALISERS: tuple[Normaliser, ...] = ("box_diagonal", "max_side", "torso")


class Pck(NamedTuple):
    """Normaliser and fraction of a PCK. No defaults: 5% of the box diagonal and 5% of the torso are different metrics.

    >>> str(Pck("box_diagonal", 0.05)), str(Pck("torso", 0.2, ("left_hip", "right_shoulder")))
    ('box_diagonal=0.05', 'torso:left_hip,right_shoulder=0.2')
    """

    normaliser: Normaliser
    fraction: float
    torso: tuple[str, str] | None = None
    """The two keypoints whose distance is the torso length"""

    @classmethod
    def parse(cls, text: str) -> Pck:
        """Read what `str` writes.

        Raises:
            UsageError: `text` is no such option.
        """
        what, _, share = text.partition("=")
        name, _, ends = what.partition(":")
        torso = tuple(part.strip() for part in ends.split(",")) if ends else None
        try:
            fraction = float(share)
        except ValueError:
            fraction = math.nan
        if name not in NORMALISERS or not fraction > 0 or (name == "torso") != (torso is not None and len(torso) == 2):
            expected = "box_diagonal=0.05, max_side=0.1 or torso:left_shoulder,right_hip=0.2"
            raise UsageError("PCK takes a normaliser and a fraction of it", expected=expected, got=text)
        return cls(name, fraction, None if torso is None else (torso[0], torso[1]))

    def __str__(self) -> str:
        return self.normaliser + (f":{','.join(self.torso)}" if self.torso else "") + f"={self.fraction:g}"


@dataclass(frozen=True, slots=True)
class ImageLevelThreshold:
    """The positive classes, and the score from which an image is flagged."""

    threats: tuple[str, ...]
    """The positive classes; `threats` is their name on the command line and in JSON"""
    threshold: float
    chosen: str = "as given"
    """Where the threshold comes from, in words"""
