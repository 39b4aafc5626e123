"""Agreement of annotators: kappa, F1 and mean IoU of their boxes, and kappa and AC1 of presence per image.

Boxes have no true negatives: places where both drew nothing cannot be counted. Kappa is therefore computed over the
objects that at least one annotator drew, with the classes and "none" as categories; the cell (none, none) is empty.
That makes it strict (every missed box is a disagreement, and no empty place balances it), and with a single class it
cannot exceed 0. Presence per image is reported as well: for every frame and class, is there at least one object? Here
both may answer no; Gwet's AC1 of the same table stays meaningful where a class is nearly everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.data.agreement import ObjectMatches, SharedFrames, match_objects, shared_frames
from liftgate.data.agreement.matching import NONE
from liftgate.data.core.dataset import Dataset
from liftgate.errors import UsageError
from liftgate.evaluation.agreement_records import (
    Agreement,
    AgreementVerdict,
    ClassAgreement,
    Disagreement,
    GateOn,
)
from liftgate.progress import Progress, silent
from liftgate.stats.agreement import (
    ac1_interval,
    cohen_kappa,
    kappa_interval,
    percentile_interval,
    ratio_interval,
)
from liftgate.stats.interval import Interval
from liftgate.study.vocabulary import VerdictWord

_ONE_CLASS: tuple[GateOn, ...] = ("f1_50", "presence_ac1")

Tables = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ComparedAnnotators:
    """An agreement with the data that it was computed from, for drawing it."""

    a: Dataset
    b: Dataset
    frames: SharedFrames
    seen: ObjectMatches
    """The matched objects"""
    found: Agreement
    """The result"""


def agreement(
    a: Dataset,
    b: Dataset,
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    at_least: float = 0.5,
    missing_is_empty: bool = False,
) -> ComparedAnnotators:
    """Compare two label sets of the same frames.

    Args:
        a: labels of the first annotator; its images' groups are used, and without any every frame is its own group.
        b: labels of the second annotator.
        rng: for the percentile interval.
        level: of the intervals.
        at_least: IoU from which two boxes match.
        missing_is_empty: whether an image without a label file counts as empty.

    Raises:
        DataError: no frame in common, or frames of two sizes.
        UsageError: no shared frame that both have labelled.
    """
    frames = shared_frames(a, b, missing_is_empty=missing_is_empty)
    if not len(frames):
        raise UsageError(
            "no frame that both have labelled",
            where=f"{a.source} and {b.source}",
            hint="--missing empty, where no label file means an empty frame",
        )
    seen = match_objects(a, b, frames, at_least=at_least)
    _, group = np.unique([a.images[i].key for i in frames.a], return_inverse=True)
    count: dict[str, Any] = {"level": level, "n_images": len(frames)}
    used = np.setdiff1d(np.union1d(seen.class_a, seen.class_b), [NONE])
    tables = _confusion_tables(seen, used, group)
    present = _presence_tables(seen, used, group, len(frames))
    per_class = tuple(
        _per_class(frames.classes[c], k, tables, present[:, k], _agreed_iou(seen, c), count) for k, c in enumerate(used)
    )
    matched, agreed = seen.matched, seen.agreed
    boxes = (seen.class_a != NONE) * 1.0 + (seen.class_b != NONE)

    def over(above: NDArray[Any], below: NDArray[Any]) -> Interval:
        at, groups = group[seen.frame], int(group.max()) + 1
        sums = [np.bincount(at, weights=column, minlength=groups) for column in (above, below)]
        return ratio_interval(np.stack(sums, axis=1), **count)

    found = Agreement(
        a=a.name,
        b=b.name,
        kappa=kappa_interval(tables, **count),
        kappa_percentile=percentile_interval(tables, cohen_kappa, rng, **count),
        f1_50=over(2 * matched, boxes),
        f1_50_class=over(2 * agreed, boxes),
        mean_iou=over(seen.iou * matched, matched),
        presence_kappa=kappa_interval(present.sum(axis=1), **count),
        presence_ac1=ac1_interval(present.sum(axis=1), **count),
        per_class=per_class,
        categories=(*(frames.classes[c] for c in used), "none"),
        table=tuple(tuple(int(v) for v in row) for row in tables.sum(axis=0)),
        disagreements=_disagreements(seen, a, frames),
        n_images=len(frames),
        n_groups=int(group.max()) + 1,
        n_matched=int(matched.sum()),
        n_a=int((seen.class_a != NONE).sum()),
        n_b=int((seen.class_b != NONE).sum()),
        n_left_out=seen.n_left_out,
        iou=at_least,
        notes=_notes(a, b, frames, seen, len(used)),
    )
    return ComparedAnnotators(a, b, frames, seen, found)


def agreements(
    sets: Sequence[Dataset], *, rng: np.random.Generator, progress: Progress = silent, **settings: Any
) -> tuple[ComparedAnnotators, ...]:
    """Compare every pair of two or more label sets, in the order given; `settings` are keywords of `agreement`.

    Raises:
        UsageError: fewer than two, or two of one name.
    """
    names = [dataset.name for dataset in sets]
    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError("agreement needs two or more label sets with names of their own", got=", ".join(names))
    pairs = [(i, j) for i in range(len(sets)) for j in range(i + 1, len(sets))]
    found = []
    for done, (i, j) in enumerate(pairs):
        progress("comparing annotators", done, len(pairs))
        found.append(agreement(sets[i], sets[j], rng=rng, **settings))
    progress("comparing annotators", len(pairs), len(pairs))
    return tuple(found)


def by_annotator(pairs: Sequence[Agreement]) -> Mapping[str, float | None]:
    """Return the mean kappa of each annotator with the others, lowest first; None: undefined."""
    names = dict.fromkeys(name for pair in pairs for name in (pair.a, pair.b))
    means: dict[str, float | None] = {}
    for name in names:
        values = [pair.kappa.estimate for pair in pairs if name in (pair.a, pair.b)]
        known = [value for value in values if np.isfinite(value)]
        means[name] = sum(known) / len(known) if known else None
    return dict(sorted(means.items(), key=lambda item: (item[1] is not None, item[1] or 0.0)))


def weakest(pairs: Sequence[Agreement], on: GateOn = "kappa") -> Agreement:
    """Return the pair with the lowest coefficient; a pair whose coefficient is undefined counts as lowest."""
    return min(pairs, key=lambda pair: (np.isfinite(_coefficient(pair, on).estimate), _coefficient(pair, on).estimate))


def judge(pairs: Sequence[Agreement], at_least: float, on: GateOn = "kappa") -> AgreementVerdict:
    """Return the verdict on the weakest pair: PASS if its lower bound reaches `at_least`, FAIL if its upper is below.

    Otherwise MARGINAL. Where a pair has boxes of one class, or hardly any of another, its kappa is meaningless: the
    worse of F1 at IoU 0.5 and presence per image then decides for that pair, and the sentence says so.
    """
    silent = [pair for pair in pairs if on == "kappa" and pair.of_one_class]
    if silent:
        parts = [judge(silent, at_least, part) for part in _ONE_CLASS]
        others = [pair for pair in pairs if not pair.of_one_class]
        verdicts = [*parts, judge(others, at_least)] if others else parts
        worst = min(verdicts, key=lambda one: ("FAIL", "MARGINAL", "PASS").index(one.word))
        outcome_text = " ".join(one.sentence for one in verdicts)
        whose = f" of {' and '.join(f'{pair.a} with {pair.b}' for pair in silent)}" if others else ""
        why = f"With one class kappa of matched boxes{whose} measures nothing; F1 and presence per image decide instead"
        return replace(worst, sentence=f"{why}: {outcome_text}")
    pair = weakest(pairs, on)
    value, name = _coefficient(pair, on), on.replace("_", " ")
    among = f" ({pair.a} and {pair.b}, the pair that agrees least)" if len(pairs) > 1 else ""
    if value.low is None or value.high is None:
        outcome_text = (
            "is undefined" if not np.isfinite(value.estimate) else f"is {value.estimate:.4f}, without an interval"
        )
        sentence = f"{name}{among} {outcome_text} ({value.basis}): {value.note}."
        return AgreementVerdict("MARGINAL", sentence, on, at_least, (pair.a, pair.b))
    word: VerdictWord = "PASS" if value.low >= at_least else "FAIL" if value.high < at_least else "MARGINAL"
    outcome = {"PASS": "is reached", "FAIL": "is ruled out", "MARGINAL": "is neither reached nor ruled out"}[word]
    sentence = (
        f"{name}{among} is {value.estimate:.4f}, between {value.low:.4f} and {value.high:.4f} ({value.basis}): "
        f"{at_least:g} {outcome}."
    )
    return AgreementVerdict(word, sentence, on, at_least, (pair.a, pair.b))


def to_dict(pairs: Sequence[Agreement], verdict: AgreementVerdict | None = None) -> dict[str, Any]:
    """Return the JSON of `data agree`: the weakest pair's values at the top level, all pairs under `pairs`."""
    record = weakest(pairs).to_dict()
    if len(pairs) > 1:
        record["pairs"] = [pair.to_dict() for pair in pairs]
    record["annotators"] = dict(by_annotator(pairs))
    if verdict is not None:
        record["gate"] = asdict(verdict)
        record["verdict"] = verdict.word
    return record


def _confusion_tables(seen: ObjectMatches, used: NDArray[np.int64], group: NDArray[np.int64]) -> Tables:
    """Return (G, k+1, k+1) counts of a's (rows) and b's (columns) categories by group, `none` last."""
    side, groups = len(used) + 1, int(group.max()) + 1
    row = np.where(seen.class_a == NONE, side - 1, np.searchsorted(used, seen.class_a))
    column = np.where(seen.class_b == NONE, side - 1, np.searchsorted(used, seen.class_b))
    cell = (group[seen.frame] * side + row) * side + column
    side = max(side, 2)  # no box at all: an empty 2 × 2 table, whose kappa is undefined
    counts: Tables = np.bincount(cell, minlength=groups * side * side).astype(np.float64)
    return counts.reshape(groups, side, side)


def _presence_tables(seen: ObjectMatches, used: NDArray[np.int64], group: NDArray[np.int64], frames: int) -> Tables:
    """Return (G, k, 2, 2) counts of frames with and without each class; index 0 is "present"."""
    groups, classes = int(group.max()) + 1, len(used)
    absent = np.ones((2, frames, classes), dtype=np.int64)
    for side, column in enumerate((seen.class_a, seen.class_b)):
        drawn = column != NONE
        absent[side, seen.frame[drawn], np.searchsorted(used, column[drawn])] = 0
    tables = np.zeros((groups, classes, 2, 2))
    np.add.at(tables, (group[:, None], np.arange(classes)[None, :], absent[0], absent[1]), 1.0)
    return tables


def _per_class(
    name: str, k: int, tables: Tables, present: Tables, overlap: float | None, count: Mapping[str, Any]
) -> ClassAgreement:
    both, row, column = tables[:, k, k], tables[:, k].sum(axis=1), tables[:, :, k].sum(axis=1)
    rest = tables.sum(axis=(1, 2)) - row - column + both
    against_rest = np.stack([both, row - both, column - both, rest], axis=1).reshape(-1, 2, 2)
    frames = present.sum(axis=0)
    return ClassAgreement(
        name=name,
        n_a=int(row.sum()),
        n_b=int(column.sum()),
        n_agreed=int(both.sum()),
        kappa=kappa_interval(against_rest, **count),
        f1_50=ratio_interval(np.stack([2 * both, row + column], axis=1), **count),
        mean_iou=overlap,
        presence_kappa=kappa_interval(present, **count),
        presence_ac1=ac1_interval(present, **count),
        n_present=(int(frames[0, 0]), int(frames[0, 1]), int(frames[1, 0]), int(frames[1, 1])),
    )


def _agreed_iou(seen: ObjectMatches, cls: int) -> float | None:
    chosen = seen.agreed & (seen.class_a == cls)
    return float(seen.iou[chosen].mean()) if chosen.any() else None


def _disagreements(seen: ObjectMatches, a: Dataset, frames: SharedFrames) -> tuple[Disagreement, ...]:
    def per_frame(chosen: NDArray[np.bool_]) -> list[int]:
        counts: list[int] = np.bincount(seen.frame[chosen], minlength=len(frames)).tolist()
        return counts

    only_a, only_b = per_frame(seen.class_b == NONE), per_frame(seen.class_a == NONE)
    other, same = per_frame(seen.matched & ~seen.agreed), per_frame(seen.agreed)
    found = [
        Disagreement(a.images[i].id, index, only_a[index], only_b[index], other[index], same[index])
        for index, i in enumerate(frames.a.tolist())
    ]
    return tuple(
        sorted((d for d in found if d.count), key=lambda d: (-d.count, -d.count / (d.count + d.n_agreed), d.image))
    )


def _notes(a: Dataset, b: Dataset, frames: SharedFrames, seen: ObjectMatches, classes: int) -> tuple[str, ...]:
    notes = []
    if classes == 1:
        notes.append(
            "One class only: boxes have no true negatives, so kappa cannot be above 0 here, however well they agree. "
            "Read F1, mean IoU and AC1, or gate on one of them (--gate-on)."
        )
    for mine, other, name in ((frames.only_a, b.name, a.name), (frames.only_b, a.name, b.name)):
        if mine:
            notes.append(f"{len(mine)} images of {name} are not in {other} and were left out, such as {mine[0]}.")
    for ids, name in ((frames.unlabelled_a, a.name), (frames.unlabelled_b, b.name)):
        if ids:
            notes.append(f"{len(ids)} shared frames have no label file in {name} and were left out, such as {ids[0]}.")
    for one, two in frames.look_alikes:
        notes.append(f"The classes {one!r} and {two!r} differ only in how they are written; they count as two.")
    if seen.n_left_out:
        notes.append(f"{seen.n_left_out} boxes were not compared: crowd or ignore regions, or boxes without an area.")
    return tuple(notes)


def _coefficient(pair: Agreement, name: GateOn) -> Interval:
    value: Interval = getattr(pair, name)
    return value
