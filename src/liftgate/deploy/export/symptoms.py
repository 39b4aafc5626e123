"""What is wrong with an export, named by kind: boxes, scores, classes, contract, calibration, and what made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from liftgate.deploy.export.agreement import Agreement
from liftgate.deploy.export.calibration import FEWEST, CalibrationImage
from liftgate.deploy.export.card import ExportCard

Kind = Literal["boxes", "scores", "classes", "contract", "calibration", "weights", "file", "device"]

FEW_PAIRS = 10
"""Detections from which something is said"""
_PAIRED, _LOOSE, _SAME_CLASS, _RANKED, _AGREEING = 0.6, 0.75, 0.8, 0.6, 0.7
_FEW_OF_A_CLASS = 5
_SLOPES = (0.75, 1.33)
_MOVED = 0.3
"""Pixels of the input: padding that is rounded otherwise moves boxes by half a pixel, INT8 moved them by up to 0.17"""
_SURE = 4.0
_SCALED = ((0.9, 0.07), (0.85, 0.12))
"""Rank correlation of scores, and how far from 1 a ratio is named from there on: INT8 whose sums a runtime cuts off
shuffles scores (to 0.88) and moves them by up to 0.07 by itself"""
_COUNTS = (0.6, 1.67)


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing that is wrong, or limits what a proof says."""

    id: str
    """Stable word, such as `boxes.lost`"""
    message: str
    broken: bool = True
    """Whether the export cannot pass; False: a limit that its numbers carry"""

    @property
    def kind(self) -> str:
        """The part before the dot."""
        return self.id.partition(".")[0]


def symptoms_of(found: Agreement, conf: float) -> list[Symptom]:
    """Return what the agreement of an export with its reference shows, worst first.

    Args:
        found: from `compare_detections`.
        conf: the confidence that it was made with.
    """
    if found.identical or found.n_reference < FEW_PAIRS or found.paired is None:
        return []
    said: list[Symptom] = []
    if found.paired < _PAIRED:
        amount = f"{found.n_pairs} of {found.n_reference} detections from confidence {conf:g} on have a partner"
        agree = found.image_rank is not None and found.image_rank >= _AGREEING
        if agree:
            rank = f"the best scores per image and class agree (rank correlation {found.image_rank:.2f})"
            return [Symptom("boxes.lost", f"boxes are not where they were: {amount}, while {rank}")]
        said.append(Symptom("scores.lost", f"neither boxes nor scores agree: {amount}"))
        return said
    if found.median_iou is not None and found.median_iou < _LOOSE:
        said.append(
            Symptom(
                "boxes.loose", f"boxes are inexact: the median IoU of {found.n_pairs} pairs is {found.median_iou:.2f}"
            )
        )
    said += _moved(found)
    said += _named(found)
    said += _scored(found, conf)
    return said


def _moved(found: Agreement) -> list[Symptom]:
    if found.offset is None or found.offset_error is None or found.n_pairs < FEW_PAIRS:
        return []
    far = [
        abs(value) >= _MOVED and abs(value) > _SURE * max(error, 0.01)
        for value, error in zip(found.offset, found.offset_error, strict=True)
    ]
    if not any(far):
        return []
    x, y = found.offset
    amount = f"{x:+.2f}, {y:+.2f} pixels of the input (median of {found.n_pairs} pairs)"
    message = f"boxes are moved by {amount}: letterbox or padding differ"
    return [Symptom("boxes.moved", message)]


def _named(found: Agreement) -> list[Symptom]:
    elsewhere = _under_other_names(found)
    if found.same_class is None or (found.same_class >= _SAME_CLASS and not elsewhere and not _exchanged(found)):
        return []
    if elsewhere:
        return [Symptom("classes.order", f"classes are called by other names: {elsewhere}")]
    listed = ", ".join(
        f"{name} is called {other} ({count} of {total})" for name, other, count, total in found.renamed[:4]
    )
    share = f"{1 - found.same_class:.0%} of {found.n_pairs} pairs have another class"
    return [Symptom("classes.order", f"{share}{': ' + listed if listed else ''}")]


def _under_other_names(found: Agreement) -> str:
    """Return which classes have their scores under another name; empty: none for certain.

    A class that INT8 confuses with another keeps a score of its own; here it is gone, and stands under another name.
    One class needs five detections for that, two that have changed places need four together.
    """
    counts = {(one, other): count for one, other, count, _, _ in found.called}

    def is_sure(one: str, other: str) -> bool:
        back = counts.get((other, one))
        return counts[one, other] + (back or 0) >= (_FEW_OF_A_CLASS if back is None else _FEW_OF_A_CLASS - 1)

    sure = [row for row in found.called if is_sure(row[0], row[1])]
    return "; ".join(
        f"{one} is called {other} (scores of {count} detections: {own:.2f} away by its own name, {there:.2f} by that)"
        for one, other, count, own, there in sure[:4]
    )


def _exchanged(found: Agreement) -> bool:
    """Return whether classes are called by each other's names; rare ones are too few to lower the share of pairs.

    Classes that INT8 confuses are called by a name that its own class keeps.
    """
    most = {name for name, _, count, total in found.renamed if total >= _FEW_OF_A_CLASS and count >= 0.8 * total}
    return sum(name in most and other in most for name, other, _, _ in found.renamed) >= 2


def _scored(found: Agreement, conf: float) -> list[Symptom]:
    if found.rank is not None and found.rank < _RANKED:
        return [
            Symptom(
                "scores.order",
                f"scores are ranked otherwise: rank correlation {found.rank:.2f} of {found.n_pairs} pairs",
            )
        ]
    ratio = found.n_export / found.n_reference
    if (scale := _scale(found)) is not None:
        return [Symptom("scores.scaled", scale)]
    if found.slope is not None and not _SLOPES[0] <= found.slope <= _SLOPES[1]:
        word = "compressed" if found.slope < 1 else "stretched"
        counts = f"{found.n_export} instead of {found.n_reference} reach confidence {conf:g}"
        return [
            Symptom("scores.scaled", f"scores are {word}: a slope of {found.slope:.2f} over the reference's; {counts}")
        ]
    if not _COUNTS[0] <= ratio <= _COUNTS[1]:
        message = f"{found.n_export} detections reach confidence {conf:g}, {found.n_reference} of the reference do"
        return [Symptom("scores.shifted", message)]
    return []


def _scale(found: Agreement) -> str | None:
    """Return that scores are all smaller or larger by one factor, which keeps their order; None: they are not."""
    if found.ratio is None or found.ratio_error is None or found.rank is None:
        return None
    if found.same_class is None or found.same_class < _SAME_CLASS:
        return None  # of misnamed classes it compares scores of different ones
    away = abs(found.ratio - 1)
    named_from = next((least for rank, least in _SCALED if found.rank >= rank), None)
    if named_from is None or away < named_from or away <= _SURE * found.ratio_error:
        return None
    word = "compressed" if found.ratio < 1 else "stretched"
    return (
        f"scores are {word}: {found.ratio:.2f} times the reference's (median of {found.n_pairs} pairs, standard error "
        f"{found.ratio_error:.3f}), in the same order (rank correlation {found.rank:.2f})"
    )


def symptoms_of_card(
    card: ExportCard,
    *,
    weights: str | None = None,
    calibration: Sequence[CalibrationImage] = (),
    measured_on: frozenset[str] = frozenset(),
    looks_strange: str = "",
) -> list[Symptom]:
    """Return what an export's card shows.

    Args:
        card: of the export.
        weights: SHA-256 of the reference; None: unknown.
        calibration: the images that it lists.
        measured_on: SHA-256 of the image files that the proof measures on.
        looks_strange: how the calibration images look different from those measured on; empty: they do not.
    """
    said = []
    if weights is not None and set(card.weights.sha256) != {"0"} and card.weights.sha256 != weights:
        message = f"it was made from other weights than the reference: {card.weights.sha256[:12]}, not {weights[:12]}"
        said.append(Symptom("weights.other", message))
    if card.output.nms and card.output.layout == "detections":
        limit = "an unknown confidence" if card.output.nms_conf is None else f"confidence {card.output.nms_conf:g}"
        message = f"suppression is inside the file: below {limit} nothing comes out, so its curve and mAP end there"
        said.append(Symptom("contract.nms", message, broken=False))
    if card.calibration is not None:
        said += _calibrated(card, calibration, measured_on, looks_strange)
    return said


def _calibrated(
    card: ExportCard, images: Sequence[CalibrationImage], measured_on: frozenset[str], looks_strange: str
) -> list[Symptom]:
    record, said = card.calibration, []
    assert record is not None
    shared = [one.image for one in images if one.sha256 in measured_on]
    if shared:
        message = (
            f"{len(shared)} of {len(images)} calibration images are measured on, such as {shared[0]}: it proves nothing"
        )
        said.append(Symptom("calibration.leak", message))
    elif record.split != "train":
        message = f"it was calibrated on {record.split}, which is for judging"
        said.append(Symptom("calibration.leak", message))
    if record.n_images < FEWEST:
        message = (
            f"it was calibrated on {record.n_images} images; ranges of fewer than {FEWEST} depend on which they are"
        )
        said.append(Symptom("calibration.few", message))
    if looks_strange:
        said.append(Symptom("calibration.domain", looks_strange, broken=False))
    return said
