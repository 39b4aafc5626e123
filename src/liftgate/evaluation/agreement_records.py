"""Records of the agreement of annotators: per class, per frame, of a pair, and the verdict on it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from liftgate.stats.interval import Interval
from liftgate.study.vocabulary import VerdictWord

GateOn = Literal["kappa", "f1_50", "presence_kappa", "presence_ac1"]

_FEW_BOXES = 10
"""Of both annotators together: so few of other classes than the first say nothing about who confuses what"""


@dataclass(frozen=True, slots=True)
class ClassAgreement:
    """One class against the rest."""

    name: str
    n_a: int
    """Boxes of this class that a drew"""
    n_b: int
    n_agreed: int
    """Matched pairs to which both gave this class"""
    kappa: Interval
    """Over the drawn objects: this class against all other categories, "none" included"""
    f1_50: Interval
    mean_iou: float | None
    """Over the agreed pairs"""
    presence_kappa: Interval
    """Over the frames: is there at least one object of this class?"""
    presence_ac1: Interval
    n_present: tuple[int, int, int, int]
    """Frames on which both, only a, only b, neither has it"""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A frame on which the annotators differ."""

    image: str
    """Id in a"""
    index: int
    """Into SharedFrames.a"""
    n_only_a: int
    n_only_b: int
    n_class: int
    """Matched pairs with two classes"""
    n_agreed: int

    @property
    def count(self) -> int:
        """Differences on this frame."""
        return self.n_only_a + self.n_only_b + self.n_class


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of two label sets of the same frames."""

    a: str
    b: str
    kappa: Interval
    kappa_percentile: Interval
    """Percentile bootstrap over groups: for display, no gate rests on it"""
    f1_50: Interval
    """2 · matched over all boxes of both; a matched pair may differ in class"""
    f1_50_class: Interval
    """The same where the class must agree too"""
    mean_iou: Interval
    """Over matched pairs"""
    presence_kappa: Interval
    presence_ac1: Interval
    per_class: tuple[ClassAgreement, ...]
    categories: tuple[str, ...]
    """Classes that occur, then `none`"""
    table: tuple[tuple[int, ...], ...]
    """How often a (row) and b (column) gave which category"""
    disagreements: tuple[Disagreement, ...]
    """Worst first: most differences, then the greater share of the frame's objects, then by name"""
    n_images: int
    n_groups: int
    n_matched: int
    n_a: int
    n_b: int
    n_left_out: int
    iou: float
    """IoU from which two boxes match"""
    notes: tuple[str, ...]
    """Caveats of the numbers, as sentences"""

    @property
    def of_one_class(self) -> bool:
        """Whether boxes are of one class, or so nearly that kappa of matched boxes measures nothing.

        Boxes have no true negatives: with one class kappa is about 0 however well two agree, and one box of another
        class in a hundred changes little. Nearly: others are under 5% of the boxes of both, and fewer than ten.
        """
        table = np.array(self.table)
        boxes = table[:-1].sum(axis=1) + table[:, :-1].sum(axis=0)
        others = int(boxes.sum() - boxes.max()) if len(boxes) else 0
        return len(boxes) < 2 or others < min(_FEW_BOXES, 0.05 * int(boxes.sum()))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; the stable names of docs/output.md hold point values and [low, high]."""
        record = asdict(self)
        for name in ("kappa", "f1_50", "f1_50_class", "mean_iou", "presence_kappa", "presence_ac1"):
            record |= _interval_json(name, getattr(self, name))
        record["kappa_percentile"] = [self.kappa_percentile.low, self.kappa_percentile.high]
        record["per_class"] = [_class_json(entry) for entry in self.per_class]
        record["level"], record["method"] = self.kappa.level, self.kappa.method
        return record


@dataclass(frozen=True, slots=True)
class AgreementVerdict:
    """The gate of `data agree`: the interval rule of every gate, on the pair that agrees least."""

    word: VerdictWord
    sentence: str
    on: GateOn
    at_least: float
    pair: tuple[str, str]


def _interval_json(name: str, interval: Interval) -> dict[str, object]:
    estimate = interval.estimate if np.isfinite(interval.estimate) else None
    record: dict[str, object] = {name: estimate, f"{name}_interval": [interval.low, interval.high]}
    return record | ({f"{name}_note": interval.note} if interval.note else {})


def _class_json(entry: ClassAgreement) -> dict[str, object]:
    record = asdict(entry)
    for name in ("kappa", "f1_50", "presence_kappa", "presence_ac1"):
        record |= _interval_json(name, getattr(entry, name))
    return record
