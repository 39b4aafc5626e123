"""Rules about classes: lists that disagree, meaningless names, classes with too few objects to learn or measure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from liftgate.checks.class_lists import class_list_conflicts
from liftgate.checks.fault_findings import fault_findings, faults_of_kind
from liftgate.checks.finding import Finding, Severity
from liftgate.checks.messages import first_few, plural
from liftgate.checks.rule import dataset_rule, rule
from liftgate.checks.subject import StageInArm, Subject
from liftgate.data.core.dataset import Dataset

_RARE = 20  # boxes to learn from: a floor. In one project a class of 115 boxes was still found 0 times
_LONGEST_LIST = 1 << 20  # bytes of a classes.txt
_IMBALANCE = 100
_SKEW, _CERTAIN, _FEW_GROUPS = 0.1, 5.0, 10  # points of share, standard errors, groups that show how it varies
_NUMBER = re.compile(r"(class|item|object|label|category|cls)?[ _-]*\d+", re.IGNORECASE)


@rule("classes.mismatch", "error", "warning")
def mismatch(subject: Subject) -> Iterator[Finding]:
    """Class lists that disagree: nc against names, numbers that no name has, the same names in another order.

    A detector only knows class numbers. If number 0 is `cat` in one place and `dog` in the other, everything trains and
    every figure is wrong, or merely low. Ultralytics refuses a wrong `nc` and drops each image with a number that is
    not in the list; another order goes unnoticed. Numbers that start at 1 give every object the name of the next class.

    In a study the names of all data are compared before anything is trained: between the parts of a mix, from stage to
    stage, and with what the gates measure. Predictions belong to the truth by the names of their classes, so
    `Blue Cone` never finds a `blue_cone` (what a later stage forgets would be all of it), and a stage on `one` to `six`
    teaches nothing about `RBC` and `WBC`. Where nothing could be learned or measured it is an error; names that differ
    in case alone, or of which only some are shared, a warning.

    Fix: make `names` one list in one order everywhere, or give a data set the study's names with `rename:`, which the
    hint spells out where it is obvious; if the lowest number in use is 1, subtract one in the label files.
    """
    for name, dataset in subject.datasets.items():
        for finding in itertools.chain(_lists(dataset), _numbers(dataset), _labelling_tool_list(dataset)):
            yield replace(finding, data={"dataset": name, **finding.data})
    pairs = itertools.combinations(subject.datasets.items(), 2)
    for (name, dataset), (other, second) in pairs:
        yield from _order(name, dataset.classes, other, second.classes)
    for one in class_list_conflicts(subject):
        yield mismatch.finding(
            one.where, one.message, hint=one.hint, severity=one.severity, unseen=list(one.names), rename=one.rename
        )


def _lists(dataset: Dataset) -> Iterator[Finding]:
    severities: Mapping[str, Severity] = {
        "names_mismatch": "error",
        "names_gap": "error",
        "names_twice": "warning",
        "category_unknown": "error",
        "category_twice": "warning",
        "class_not_integer": "error",
    }
    yield from fault_findings(mismatch, dataset, severities)


def _numbers(dataset: Dataset) -> Iterator[Finding]:
    rows = faults_of_kind(dataset, "class_out_of_range")
    used = set(dataset.labels.cls.tolist())
    shifted = bool(used) and 0 not in used
    for finding in fault_findings(mismatch, dataset, {"class_out_of_range": "error"} if rows else {}):
        yield replace(finding, hint="no row has class 0: the numbers seem to begin at 1") if shifted else finding


def _labelling_tool_list(dataset: Dataset) -> Iterator[Finding]:
    """Yield a finding for a classes.txt beside the labels (LabelImg) that lists the same names in another order."""
    folders = {image.label.parent for image in dataset.images if image.label is not None} | {dataset.root}
    for file in sorted(folder / "classes.txt" for folder in folders if dataset.format == "yolo"):
        try:
            if not file.is_file() or file.stat().st_size > _LONGEST_LIST:
                continue
            from_file = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError):
            continue
        if set(from_file) == set(dataset.classes) and from_file != list(dataset.classes):
            number = next(i for i, (a, b) in enumerate(zip(from_file, dataset.classes, strict=False)) if a != b)
            message = (
                f"the same classes in another order: number {number} is {from_file[number]!r} here, "
                f"{dataset.classes[number]!r} in {dataset.source.name}"
            )
            hint = "labelling tools number by classes.txt: draw the boxes of one image with their names to see"
            orders = {"classes.txt": from_file, "names": list(dataset.classes)}
            yield mismatch.finding(file, message, hint=hint, severity="warning", orders=orders)


def _order(name: str, classes: Sequence[str], other: str, second: Sequence[str]) -> Iterator[Finding]:
    """Yield a finding where two data sets of one study list the same names in another order."""
    if set(classes) == set(second) and tuple(classes) != tuple(second):
        number = next(i for i, (a, b) in enumerate(zip(classes, second, strict=False)) if a != b)
        message = (
            f"the same classes in another order: number {number} is "
            f"{classes[number]!r} in {name}, {second[number]!r} in {other}"
        )
        yield mismatch.finding(f"{name}, {other}", message, orders={name: list(classes), other: list(second)})


@rule("classes.absent", "warning")
def absent(subject: Subject) -> Iterator[Finding]:
    """Classes without a single box in a split.

    A class absent from train cannot be learnt; its average precision of 0 pulls the mean down by 1/n. A class absent
    from val or test is not measured, which the mean does not show. Of a mix in a study, val is one data set's: a class
    that only another part has is trained and never measured, and the best epoch is chosen without it.

    Fix: label some, drop the class from the list (`keep:`), or split again with the rare classes spread.
    """
    for name, dataset in subject.datasets.items():
        for finding in _without_a_box(dataset):
            yield replace(finding, data={"dataset": name, **finding.data})
    for place in subject.stages:
        yield from _trained_but_not_measured(subject, place)


def _without_a_box(dataset: Dataset) -> Iterator[Finding]:
    if not len(dataset.labels):
        return  # no labels at all: labels.missing or data.empty report it
    for split, boxes in _per_split(dataset):
        lacking = [name for name, count in zip(dataset.classes, boxes, strict=True) if count == 0]
        if lacking:
            message = f"{plural(len(lacking), 'class has', 'classes have')} no box in {split}: {first_few(lacking)}"
            yield absent.finding(_where(dataset, split), message, split=split, classes=lacking)


def _trained_but_not_measured(subject: Subject, place: StageInArm) -> Iterator[Finding]:
    """Yield a finding for classes that a mix adds and that the val split of the stage's own data set does not have."""
    own = subject.datasets.get(place.stage.data)
    parts = [subject.datasets[name] for name in place.stage.sources if name in subject.datasets]
    learned = list(dict.fromkeys(name for part in parts for name in part.classes))
    lacking = [name for name in learned if own is not None and name not in own.classes]
    if lacking:
        message = (
            f"{len(lacking)} of {plural(len(learned), 'class', 'classes')} of the mix have no box in "
            f"{place.stage.data}.val: {first_few(lacking)}; they are trained and never measured"
        )
        hint = "add them to that data set's val, or measure them on a data set of their own with a gate"
        yield absent.finding(place.at("data"), message, hint=hint, split="val", classes=lacking)


@dataset_rule("classes.rare", "warning")
def rare(dataset: Dataset) -> Iterator[Finding]:
    """Classes with fewer than 20 boxes to learn from.

    Twenty is a floor, not enough: in the luggage X-ray project a class with 115 boxes was found 0 times by every
    model.

    Fix: label more of them first, or merge them with a neighbour.
    """
    for split, boxes in _per_split(dataset):
        few = {name: int(count) for name, count in zip(dataset.classes, boxes, strict=True) if 0 < count < _RARE}
        if few and split in {"train", "all images"}:
            named = first_few(f"{name} {count}" for name, count in sorted(few.items(), key=lambda item: item[1]))
            message = f"{plural(len(few), 'class has', 'classes have')} under {_RARE} boxes in {split}: {named}"
            yield rare.finding(_where(dataset, split), message, split=split, boxes=few)


@dataset_rule("classes.imbalance", "info")
def imbalance(dataset: Dataset) -> Iterator[Finding]:
    """One class has a hundred times the training boxes of another.

    The mean over classes weights both equally, while training sees one of them a hundred times as often. This is
    common; the rare class, with the widest interval, then dominates the mean.

    Fix: label more of the rare class, show its images more often (`repeat:` in a mix), and read the score per class.
    """
    for split, boxes in _per_split(dataset):
        there = np.flatnonzero(boxes)
        if split not in {"train", "all images"} or len(there) < 2:
            continue
        most, least = there[boxes[there].argmax()], there[boxes[there].argmin()]
        if boxes[most] > _IMBALANCE * boxes[least]:
            message = (
                f"{dataset.classes[most]} has {boxes[most]:,} boxes in {split}, {dataset.classes[least]} "
                f"{boxes[least]:,}: {boxes[most] / boxes[least]:.0f} to 1"
            )
            counts = {dataset.classes[i]: int(boxes[i]) for i in (most, least)}
            yield imbalance.finding(_where(dataset, split), message, split=split, boxes=counts)


@dataset_rule("classes.skew", "info")
def skew(dataset: Dataset) -> Iterator[Finding]:
    """A class whose share of the objects differs by more than 10 points between train and what is measured.

    Val or test then come from another distribution than train: another camera, another season, or a split by folder
    where each folder holds one class. Only differences beyond the chance of drawing these images or groups (five
    standard errors) are reported.

    Fix: split again by group with `liftgate data split`, which spreads the classes; or keep it
    where production is like test, and document it.
    """
    counts, keys, splits = _counts(dataset)
    if "train" not in dataset.splits:
        return
    for split in (one for one in dataset.splits if one != "train"):
        first, second = (_shares(counts[splits == one], keys[splits == one]) for one in ("train", split))
        if first is None or second is None:
            continue
        apart, error = second[0] - first[0], np.sqrt(first[1] ** 2 + second[1] ** 2)
        far = np.flatnonzero((np.abs(apart) > _SKEW) & (np.abs(apart) > _CERTAIN * error))
        if len(far):
            named = [f"{dataset.classes[i]} {first[0][i]:.0%} → {second[0][i]:.0%}" for i in far]
            message = f"share of all objects, train → {split}: {first_few(named)}"
            shares = {dataset.classes[i]: [round(float(one[0][i]), 4) for one in (first, second)] for i in far}
            yield skew.finding(_where(dataset, split), message, split=split, shares=shares)


def _counts(dataset: Dataset) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.object_]]:
    """Return (n, classes) objects of each image, (n,) number of its group and (n,) its split."""
    table = np.zeros((len(dataset.images), len(dataset.classes)))
    counted = ~dataset.labels.crowd & ~dataset.labels.ignore
    np.add.at(table, (dataset.labels.image[counted], dataset.labels.cls[counted]), 1)
    number: dict[str, int] = {}
    keys = np.array([number.setdefault(image.key, len(number)) for image in dataset.images], dtype=np.int64)
    return table, keys, np.array([image.split or "" for image in dataset.images], dtype=object)


def _shares(
    counts: NDArray[np.float64], keys: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return (classes,) share of the objects and its standard error over groups; None where groups are too few."""
    groups, place = np.unique(keys, return_inverse=True)
    table = np.zeros((len(groups), counts.shape[1]))
    np.add.at(table, place, counts)
    total = table.sum()
    if len(groups) < _FEW_GROUPS or total < _RARE:
        return None
    share = table.sum(axis=0) / total
    off = table - share * table.sum(axis=1, keepdims=True)
    return share, np.sqrt((off**2).sum(axis=0) * len(groups) / (len(groups) - 1)) / total


@dataset_rule("classes.names", "warning", "info")
def names(dataset: Dataset) -> Iterator[Finding]:
    """Class names that are numbers, or near-duplicates of each other.

    Of 26 public data.yaml files, one had the classes `0, 123, Mobile phone, phone`: two names for one thing split its
    examples and make each an error of the other. A number for a name is what an exporter writes when it has lost the
    names, and labels cannot be checked against it. The ten digits may be what is labelled: an info.

    Fix: give every class the name a person would use; merge the duplicates, in the labels too.
    """
    yield from fault_findings(names, dataset, {"names_not_text": "warning"})
    bare = [name for name in dataset.classes if _NUMBER.fullmatch(name.strip()) or not name.strip()]
    if bare:
        digits = len(bare) >= len(_DIGITS) and set(bare) <= _DIGITS
        message = f"{plural(len(bare), 'class name is', 'class names are')} a number: {first_few(map(repr, bare))}"
        hint = "right where digits are what is labelled (counters, number plates)" if digits else None
        severity: Severity = "info" if digits else "warning"
        yield names.finding(dataset.source, message, hint=hint, severity=severity, numbers=bare)
    duplicates = [list(pair) for pair in itertools.combinations(dataset.classes, 2) if _near_duplicates(*pair)]
    if duplicates:
        named = first_few(f"{a!r} / {b!r}" for a, b in duplicates)
        yield names.finding(dataset.source, f"near-duplicates among the class names: {named}", twins=duplicates)


_DIGITS = frozenset("0123456789")

# Leading words that do not change the class; any other word does: fire truck, person-seatbelt.
_EMPTY_TEXT = """
    mobile cell cellular smart a an the my class object type kind
"""
_EMPTY = frozenset(_EMPTY_TEXT.split())


def _near_duplicates(a: str, b: str) -> bool:
    """Return whether names differ in case, spaces, plural s or an empty first word only (phone, Mobile phone)."""
    first, second = (re.sub(r"[\s_-]+", " ", name).strip().casefold() for name in (a, b))
    if a == b or not first or not second:
        return False  # classes.mismatch reports equal names
    if first == second or first.rstrip("s") == second.rstrip("s") or first.replace(" ", "") == second.replace(" ", ""):
        return True
    longer, shorter = (first, second) if len(first) > len(second) else (second, first)
    return longer.endswith(f" {shorter}") and set(longer.removesuffix(f" {shorter}").split()) <= _EMPTY


def _per_split(dataset: Dataset) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield each split with its number of boxes per class; `all images` where there are no splits."""
    counted = dataset.labels.cls[~dataset.labels.crowd & ~dataset.labels.ignore]
    image = dataset.labels.image[~dataset.labels.crowd & ~dataset.labels.ignore]
    size = len(dataset.classes)
    if not dataset.splits:
        yield "all images", np.bincount(counted, minlength=size)[:size]
    split = np.array([one.split or "" for one in dataset.images], dtype=object)
    for name in dataset.splits:
        yield name, np.bincount(counted[split[image] == name], minlength=size)[:size]


def _where(dataset: Dataset, split: str) -> str:
    return str(dataset.source) if split == "all images" else f"{dataset.source}, {split}"
