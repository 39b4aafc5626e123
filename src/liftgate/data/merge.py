"""Merge and mix: several datasets as one, with a plan that shows every class and conflict before any writing."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from liftgate.data.dataset import Dataset, Fault, Image, Labels, stack_labels
from liftgate.data.fingerprint import file_hashes
from liftgate.data.terms import strictest
from liftgate.errors import DataError
from liftgate.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class ClassRules:
    """What happens to class names: renamed (two to one name: joined), or dropped with their boxes."""

    rename: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Conflict:
    """Something that a person should decide before datasets become one."""

    kind: str
    """`alike` two names that differ only in case, accents or separators; `keypoints` skeletons that differ;
    `same_image` the same file in two datasets; `unknown_class` a rule for a class that is not there"""
    message: str


@dataclass(frozen=True, slots=True)
class MergePlan:
    """What a merge would do."""

    datasets: tuple[Dataset, ...]
    names: tuple[str, ...]
    """Name of each dataset, unique; the first part of its images' ids after the merge"""
    classes: tuple[str, ...]
    places: tuple[tuple[int, ...], ...]
    """For each dataset and each of its classes: the index in `classes`, −1 dropped"""
    conflicts: tuple[Conflict, ...]

    def table(self) -> list[dict[str, object]]:
        """One row per class of each dataset: dataset, class, becomes (None: dropped), objects."""
        rows: list[dict[str, object]] = []
        for dataset, name, places in zip(self.datasets, self.names, self.places, strict=True):
            counts = np.bincount(dataset.labels.cls, minlength=len(dataset.classes)).tolist()
            for old, place, count in zip(dataset.classes, places, counts, strict=True):
                becomes = None if place < 0 else self.classes[place]
                rows.append({"dataset": name, "class": old, "becomes": becomes, "objects": count})
        return rows


@dataclass(frozen=True, slots=True)
class Mix:
    """A merged dataset for training, and how often each of its images is seen per epoch."""

    dataset: Dataset
    repeats: Mapping[str, int]
    """image id → times; only where it is not once"""
    left_out: Mapping[str, int]
    """dataset → its val and test images that were left out"""


def plan_merge(
    datasets: Sequence[Dataset],
    rules: Mapping[str, ClassRules] | None = None,
    *,
    everywhere: ClassRules | None = None,
    order: Sequence[str] = (),
    progress: Progress = silent,
) -> MergePlan:
    """Plan to merge datasets by class name: equal names become one class.

    `rules` are by dataset name and come before those for `everywhere`. Classes stand in the order of `order`, then as
    they are met. Nothing is written and no conflict is an error here; `merge` refuses them.

    Raises:
        DataError: fewer than two datasets, or rules for a dataset that is not there.
    """
    if len(datasets) < 2:
        raise DataError("a merge needs two data sets or more", got=len(datasets))
    names = _unique([dataset.name for dataset in datasets])
    rules, everywhere = rules or {}, everywhere or ClassRules()
    if unknown := sorted(set(rules) - set(names)):
        raise DataError("rules for a data set that is not there", expected=", ".join(names), got=", ".join(unknown))
    conflicts: list[Conflict] = []
    wanted: list[list[str | None]] = []
    for dataset, name in zip(datasets, names, strict=True):
        own = rules.get(name, ClassRules())
        wanted.append([_becomes(old, own, everywhere) for old in dataset.classes])
        for ruled in sorted((own.rename.keys() | own.drop) - set(dataset.classes)):
            conflicts.append(Conflict("unknown_class", f"a rule for {ruled!r}, which {name} does not have"))
    everybodys = {old for dataset in datasets for old in dataset.classes}
    for ruled in sorted((everywhere.rename.keys() | everywhere.drop) - everybodys):
        conflicts.append(Conflict("unknown_class", f"a rule for {ruled!r}, which no data set has"))
    met = [new for row in wanted for new in row if new is not None]
    classes = tuple(dict.fromkeys([name for name in order if name in met] + met))
    index = {name: place for place, name in enumerate(classes)}
    conflicts += [*_alike(classes), *_skeletons(datasets, names), *_same_images(datasets, names, progress)]
    places = tuple(tuple(-1 if new is None else index[new] for new in row) for row in wanted)
    return MergePlan(tuple(datasets), names, classes, places, tuple(conflicts))


def merge(plan: MergePlan, *, accept: Collection[str] = ()) -> Dataset:
    """Return the merged dataset: ids `NAME/id`, groups `NAME:group`, splits as they are, the strictest terms of all.

    Images that have lost all their boxes to `drop` stay, as backgrounds. Files are not touched.

    Raises:
        DataError: conflicts whose kind is not in `accept`, all listed; skeletons that differ can never be accepted.
    """
    open_ = [conflict for conflict in plan.conflicts if conflict.kind not in accept or conflict.kind == "keypoints"]
    if open_:
        listed = "; ".join(f"{conflict.kind}: {conflict.message}" for conflict in open_[:20])
        raise DataError(
            f"{len(open_)} conflicts between the data sets",
            got=listed,
            hint="rename or drop classes by rule, or accept the kind of conflict by name",
        )
    if not plan.classes:
        raise DataError("every class is dropped")
    images: list[Image] = []
    parts: list[Labels] = []
    faults: list[Fault] = []
    for dataset, name, places in zip(plan.datasets, plan.names, plan.places, strict=True):
        cls = np.asarray(places, dtype=np.int64)[dataset.labels.cls]
        kept = dataset.labels.take(cls >= 0)
        parts.append(replace(kept, image=kept.image + len(images), cls=cls[cls >= 0]))
        images += [_renamed(image, name) for image in dataset.images]
        faults += [replace(fault, image=fault.image and f"{name}/{fault.image}") for fault in dataset.faults]
    first = plan.datasets[0]
    return Dataset(
        name="+".join(plan.names),
        root=Path(os.path.commonpath([dataset.root for dataset in plan.datasets])),
        source=first.source,
        format="merged",
        classes=plan.classes,
        images=tuple(images),
        labels=stack_labels(parts),
        keypoints=first.keypoints,
        faults=tuple(faults),
        origin="real" if any(dataset.origin == "real" for dataset in plan.datasets) else "synthetic",
        licence=strictest(*(dataset.licence for dataset in plan.datasets)),
        confidential=any(dataset.confidential for dataset in plan.datasets),
        raw={"merged_from": {n: str(d.source) for n, d in zip(plan.names, plan.datasets, strict=True)}},
    )


def mix(
    plan: MergePlan, *, repeats: Mapping[str, int], held_out: str | None = None, accept: Collection[str] = ()
) -> Mix:
    """Merge for training: `repeats` says by dataset how often its training images are seen per epoch.

    val and test are never mixed: they come from `held_out` alone, or from the only dataset that has any; those of the
    others are left out.

    Raises:
        DataError: as `merge`; an unknown dataset; no telling whose val and test are meant.
    """
    if unknown := sorted((set(repeats) | ({held_out} if held_out else set())) - set(plan.names)):
        raise DataError("no such data set in the mix", expected=", ".join(plan.names), got=", ".join(unknown))
    if bad := [f"{name} × {times}" for name, times in repeats.items() if times < 0]:
        raise DataError("repeats are 0 or more", got=", ".join(bad))
    merged = merge(plan, accept=accept)
    measured = [
        name
        for name, dataset in zip(plan.names, plan.datasets, strict=True)
        if any(image.split not in (None, "train") for image in dataset.images)
    ]
    if held_out is None and len(measured) > 1:
        raise DataError(
            "more than one data set has val or test images",
            got=", ".join(measured),
            hint="say whose are meant: val and test are never mixed",
        )
    keeper = held_out or (measured[0] if measured else "")
    owner = [name for name, dataset in zip(plan.names, plan.datasets, strict=True) for _ in dataset.images]
    train = np.array([image.split == "train" for image in merged.images], dtype=np.bool_)
    held = np.array([image.split not in (None, "train") for image in merged.images], dtype=np.bool_)
    own = np.array([name == keeper for name in owner], dtype=np.bool_)
    times = {name: repeats.get(name, 1) for name in plan.names}
    chosen = (train & np.array([times[name] > 0 for name in owner])) | (held & own)
    left_out = {name: int((held & ~own & np.array([o == name for o in owner])).sum()) for name in measured}
    return Mix(
        dataset=merged.take(chosen),
        repeats={
            image.id: times[name]
            for image, name, wanted in zip(merged.images, owner, (chosen & train).tolist(), strict=True)
            if wanted and times[name] != 1
        },
        left_out={name: count for name, count in left_out.items() if count},
    )


def _becomes(old: str, own: ClassRules, everywhere: ClassRules) -> str | None:
    for rules in (own, everywhere):
        if old in rules.drop:
            return None
        if old in rules.rename:
            return rules.rename[old]
    return old


def _alike(classes: Sequence[str]) -> Iterator[Conflict]:
    spelled: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        plain = unicodedata.normalize("NFKD", name).casefold()
        spelled["".join(letter for letter in plain if letter.isalnum())].append(name)
    for names in spelled.values():
        if len(names) > 1:
            # Two spellings of one ü look the same: as escapes they can be told apart, and written into a rule.
            hidden = len({unicodedata.normalize("NFC", name) for name in names}) < len(names)
            shown = " and ".join(map(ascii if hidden else repr, names))
            yield Conflict("alike", f"{shown} would be {len(names)} classes")


def _skeletons(datasets: Sequence[Dataset], names: Sequence[str]) -> Iterator[Conflict]:
    first = datasets[0].keypoints
    for dataset, name in zip(datasets[1:], names[1:], strict=True):
        if dataset.keypoints != first:
            yield Conflict("keypoints", f"{names[0]} and {name} differ in their keypoints, flip_idx or sigmas")


def _same_images(datasets: Sequence[Dataset], names: Sequence[str], progress: Progress) -> Iterator[Conflict]:
    """Files with the same bytes in two datasets; only files of equal size are read."""
    sizes: dict[int, list[tuple[str, Image]]] = defaultdict(list)
    for dataset, name in zip(datasets, names, strict=True):
        for image in dataset.images:
            if image.path.is_file():
                sizes[image.path.stat().st_size].append((name, image))
    suspects = [pair for pairs in sizes.values() if len({name for name, _ in pairs}) > 1 for pair in pairs]
    seen: dict[str, list[tuple[str, Image]]] = defaultdict(list)
    for pair, hash_ in zip(suspects, file_hashes([image.path for _, image in suspects], progress), strict=True):
        if hash_:
            seen[hash_].append(pair)
    shared = [pairs for pairs in seen.values() if len({name for name, _ in pairs}) > 1]
    if shared:
        example = " = ".join(f"{name}/{image.id}" for name, image in shared[0][:2])
        yield Conflict("same_image", f"{len(shared)} images are in more than one data set, such as {example}")


def _renamed(image: Image, name: str) -> Image:
    group = None if image.group is None else f"{name}:{image.group}"
    return replace(image, id=f"{name}/{image.id}", group=group, coco_id=None)


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    taken: list[str] = []
    for name in names:
        number, fresh = 2, name
        while fresh in taken:
            fresh, number = f"{name}-{number}", number + 1
        taken.append(fresh)
    return tuple(taken)
