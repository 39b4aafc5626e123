"""Say before anybody clicks: how many judgements there will be, how precise they will be, and whether they pay."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liftgate.evaluation.group_hints import key_caveats
from liftgate.judging.allocation import allocate
from liftgate.judging.draw import LEAST_BUDGET, MISSED, Draw
from liftgate.judging.pairing import KINDS, Units
from liftgate.judging.sizes import size_measure
from liftgate.stats.interval import MIN_GROUPS

DEFAULT_WIDTH = 1.15
"""The default budget makes the interval about so many times as wide as labels of everything would"""
_DESIGN_EFFECT = 2.0
"""How much more groups vary than units that are independent would; measured by benchmarks/labels.py"""


@dataclass(frozen=True, slots=True)
class JudgementPlan:
    """What judging two models would take."""

    questions: int
    """Judgements that will be asked for"""
    kinds: Mapping[str, int]
    """Their kind"""
    units: Mapping[str, int]
    """How many units there are of each kind, drawn or not"""
    agreement: float
    """Share of the models' detections on which they agree"""
    boxes: int
    """About how many boxes the labels of these images would have"""
    n_images: int
    n_groups: int
    width: float
    """How much wider than with labels of everything the interval will be, about"""
    groups_apart: int = 0
    """Groups in which the models disagree"""
    notes: tuple[str, ...] = ()
    """What limits the verdict before anybody clicks: groups that are missing, or too few that tell the models apart"""

    @property
    def boxes_for_width(self) -> int:
        """About how many boxes, on images drawn at random, would give as narrow an interval."""
        return math.ceil(self.boxes / self.width**2)

    @property
    def pays(self) -> bool:
        """Whether that is more boxes than there are judgements; they would answer more questions, too."""
        return self.questions <= self.boxes_for_width

    @property
    def text(self) -> str:
        """The plan in sentences."""
        differ = sum(count for kind, count in self.units.items() if kind != "agreed")
        drawn = sum(count for kind, count in self.kinds.items() if kind not in ("agreed", MISSED))
        return (
            f"{self.questions} judgements ({drawn} of {differ:,} disagreements, {self.kinds['agreed']} of "
            f"{self.units['agreed']:,} agreed pairs, {self.kinds[MISSED]} of {self.n_images:,} images searched for "
            f"objects that both missed) instead of about {self.boxes:,} boxes to draw; the models agree in "
            f"{self.agreement:.0%} of their detections. The interval will be about {self.width:.2f} times as wide as "
            f"labels would give; about {self.boxes_for_width:,} boxes on images drawn at random would do as well."
            + ("" if self.pays else _FAR_APART if self.agreement < _NEAR_AGREEMENT else _TOO_MANY)
        )


_NEAR_AGREEMENT = 0.5
_FAR_APART = (
    " It will not pay: these models are too far apart to be judged by their disagreements; draw the boxes, which "
    "answer every question."
)
_TOO_MANY = " So many judgements will not pay: draw the boxes, which answer every question, or ask for fewer."


def plan_of(draw: Draw) -> JudgementPlan:
    """Return the plan of a draw."""
    units = draw.units.units()
    score = np.array(draw.units.score, dtype=np.float64)
    asked = sum(one.kind != MISSED for one in draw.questions)
    boxes = expected_boxes(units)
    keys = [image.group for image in draw.images]
    apart, groups = len({keys[image] for image in units.image[~units.agreed].tolist()}), len(set(keys))
    notes = list(key_caveats([image.id for image in draw.images], keys))
    if apart < MIN_GROUPS:
        notes.append(
            f"the models disagree in {apart} of {groups} groups, and an interval needs {MIN_GROUPS} in which they do: "
            "unless an agreed pair elsewhere turns out to have two answers, nothing will be settled"
        )
    return JudgementPlan(
        questions=len(draw.questions), kinds=draw.counts(), units={kind: units.count(kind) for kind in KINDS},
        agreement=units.agreement, boxes=boxes, n_images=len(draw.images),
        n_groups=groups, width=_width(units, score, asked), groups_apart=apart, notes=tuple(notes),
    )  # fmt: skip


def expected_boxes(units: Units) -> int:
    """Return about how many objects there are: agreed detections, and half of those that only one model has."""
    single = (units.control < 0) | (units.treatment < 0)
    return math.ceil(int((~single).sum()) + 0.5 * int(single.sum()))


def default_budget(units: Units, score: NDArray[np.float64]) -> int:
    """Return the number of judgements that makes the interval about 1.15 times as wide as labels would."""
    low, high = min(LEAST_BUDGET, len(units)), len(units)
    while low < high:
        middle = (low + high) // 2
        if _width(units, score, middle) > DEFAULT_WIDTH:
            low = middle + 1
        else:
            high = middle
    return max(LEAST_BUDGET, math.ceil(low / 0.94))


def _width(units: Units, score: NDArray[np.float64], judged: int) -> float:
    """Return √(1 + variance of the draw / variance between groups) as the size measure expects them."""
    between = _DESIGN_EFFECT * float(np.sum(size_measure(units, score) ** 2))
    return math.sqrt(1 + allocate(units, score, judged).variance / between)
