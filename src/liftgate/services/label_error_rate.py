"""How many labels may be wrong: a share, the agreement of two annotators, or what a review of mistakes found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from liftgate.data.core.dataset import Dataset
from liftgate.documents import SMALL, DocumentError, load_json
from liftgate.errors import DataError, UsageError
from liftgate.evaluation.records import LabelErrors
from liftgate.records import to_record

_MOST = 0.5
_HINT = "a share such as 0.03, the --json of `data agree A B`, or that of `check --review DIR --reviewed CSV`"


@dataclass(frozen=True, slots=True)
class _Ends:
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class _Reviewed:
    """What is needed of a kind in the --json of `check --reviewed`."""

    kind: str
    flagged: int
    reviewed: int
    share: _Ends


def label_error_rate(given: float | str | Path, truth: Dataset, *, sampled: bool = False) -> LabelErrors:
    """Return the largest share of labels that may be wrong.

    Of two annotators it is half of what they disagree about, at the lower end of the interval of their F1: which of the
    two is wrong, nobody knows. Of a review it is what was flagged times the share of mistakes, at the upper ends; what
    was never flagged is not in it.

    Args:
        given: a share, or the JSON of `data agree` or of `check --reviewed`.
        truth: the labels that are measured against.
        sampled: they are of a drawn sample, whose images do not count alike: a review of its labels says no share.

    Raises:
        UsageError: no share between 0 and 0.5.
        DataError: the file cannot be read, is neither, or has no interval.
    """
    try:
        rate = float(str(given))
    except ValueError:
        return _of_file(Path(str(given)), truth, sampled)
    return LabelErrors(_sound(rate, given), "as given")


def _sound(rate: float, where: object) -> float:
    if not 0 < rate < _MOST:
        raise UsageError("not a share of wrong labels", expected=f"above 0, below {_MOST}", got=where, hint=_HINT)
    return rate


def _of_file(path: Path, truth: Dataset, sampled: bool) -> LabelErrors:
    try:
        document = load_json(path, SMALL)
    except (OSError, DocumentError) as error:
        raise DataError("cannot read how many labels are wrong", where=path, got=str(error), hint=_HINT) from None
    if isinstance(document, dict) and "f1_50_class_interval" in document:
        low, high = _bounds(document["f1_50_class_interval"], path)
        return LabelErrors(_sound((1 - low) / 2, path), f"two annotators, F1 {low:.3f} to {high:.3f}: half of the rest")
    if kinds := _kinds(document):
        if sampled:
            raise UsageError(
                "a review counts every label alike, and on a drawn sample images stand for different numbers of others",
                where=path, expected="the share of wrong labels among all images", hint="a share such as 0.03, or the "
                "--json of `data agree A B` on images drawn alike",
            )  # fmt: skip
        ends = [_bounds([one.share.low, one.share.high], path)[1] * one.flagged for one in kinds]
        counted = int((~(truth.labels.crowd | truth.labels.ignore)).sum())
        reviewed = sum(one.reviewed for one in kinds)
        return LabelErrors(_sound(sum(ends) / max(1, counted), path), f"{reviewed} flagged labels reviewed")
    raise DataError("this does not say how many labels are wrong", where=path, hint=_HINT)


def _kinds(document: object) -> list[_Reviewed]:
    """Return what a review says of each kind; empty: this is no review."""
    try:
        return to_record(document, list[_Reviewed])
    except msgspec.ValidationError:
        return []


def _bounds(interval: object, path: Path) -> tuple[float, float]:
    """Return both ends.

    Raises:
        DataError: there is no interval: nobody knows how many are wrong.
    """
    match interval:
        case [float() | int() as low, float() | int() as high] if 0 <= low <= high <= 1:
            return float(low), float(high)
    raise DataError(
        "no interval, so nobody knows how many labels are wrong", where=path, got=str(interval),
        hint="let more groups be reviewed or annotated twice, or give a share",
    )  # fmt: skip
