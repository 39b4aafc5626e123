"""What more training data would bring, as `worth` of a study's flow found it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from liftgate.ledger.records import LedgerRecord
from liftgate.study.vocabulary import WorthWord


@dataclass(frozen=True, slots=True)
class AmountRow(LedgerRecord):
    """Training images, and what models reached that were trained on them."""

    kind: str
    """new: all images of a part of the groups; old: a part of the images of every group; all"""
    share: float
    arm: str
    images: int
    groups: int
    seconds: float
    """A training took, mean over seeds"""
    value: float | None = None
    """The metric, mean over seeds; None: without an interval"""
    standard_error: float | None = None
    seeds: int = 0


@dataclass(frozen=True, slots=True)
class WorthEntry(LedgerRecord):
    """What more data would bring; also the result of its step."""

    KIND: ClassVar[str] = "worth"

    step: str
    """Key of the worth step"""
    dataset: str
    arm: str
    """Whose weights and recipe were trained on each amount"""
    metric: str
    on: str
    """dataset.split"""
    n_images: int
    """That were measured on"""
    n_groups: int
    amounts: tuple[AmountRow, ...]
    more: int
    """Images beyond those at hand"""
    text: str
    """The answer in sentences, or why there is none"""
    gain: float | None = None
    """None: unknown, as the metric has no interval"""
    interval: tuple[float, float] | None = None
    level: float | None = None
    seconds_per_image: float | None = None
    """How long an image takes to label; None: not given"""
    margin: float | None = None
    """Least gain that is worth more data; None: nothing is asked"""
    word: WorthWord | None = None
    """Whether the gain reaches the margin; None: nothing is asked"""
