"""What was drawn with which probability, and what the answers say about it, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.judging.pairing import Units

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What the answers say, with doubts counted once against the treatment and once in its favour."""

    unit: NDArray[np.int64]
    """(s,) units that were judged"""
    against: Floats
    """(s, 3) control right, treatment right, object found by either: 0 or 1, doubts counted against the treatment"""
    in_favour: Floats
    """(s, 3) the same, doubts counted in favour of the treatment"""
    image: NDArray[np.int64]
    """(r,) images that were searched for objects which both models missed"""
    fewest: Floats
    """(r,) how many these are at least"""
    most: Floats
    """(r,) how many these are at most; infinite: unknown"""


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """The units, the images and the probabilities with which they were drawn."""

    units: Units
    score: Floats
    """(n,) confidence of each unit"""
    probability: Floats
    """(n,) inclusion probability of each unit"""
    image_probability: Floats
    """(n_images,) inclusion probability of each image in the search for missed objects"""
    empty: NDArray[np.bool_]
    """(n_images,) images on which neither model found anything"""
    groups: Sequence[str]
    """(n_images,) group of each image"""
