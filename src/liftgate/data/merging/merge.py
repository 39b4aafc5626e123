"""Merge several datasets into one, with a plan that shows every class and conflict before anything is written."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset, Fault, Image, Keypoints, Labels, stack_labels
from liftgate.data.core.fingerprint import file_hashes
from liftgate.data.provenance.licences import strictest
from liftgate.errors import DataError
from liftgate.paths import is_file
from liftgate.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class ClassRules:
    """Rules for class names: renamed (two to one name: joined), or dropped with their boxes."""

    rename: Mapping[str, str] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Conflict:
    """Something that a person should decide before datasets are merged."""

    kind: str
    """`alike` two names that differ only in case, accents or separators; `keypoints` skeletons that differ;
    `same_image` the same file in two datasets; `unknown_class` a rule for a class that is not there"""
    message: str


@dataclass(frozen=True, slots=True)
class ClassMapping:
    """Mapping of one class of one dataset: its name in the merged dataset, None if dropped."""

    dataset: str
    name: str
    becomes: str | None
    """None: dropped"""
    objects: int

    def to_dict(self) -> dict[str, str | int | None]:
        """Return plain JSON values, in the order of the columns of classes.csv."""
        return {"dataset": self.dataset, "class": self.name, "becomes": self.becomes, "objects": self.objects}


@dataclass(frozen=True, slots=True)
class MergePlan:
    """Plan of a merge: the classes of the result, the mapping of each class, and the conflicts."""

    datasets: tuple[Dataset, ...]
    names: tuple[str, ...]
    """Unique name of each dataset, the prefix of its image ids after the merge"""
    classes: tuple[str, ...]
    places: tuple[tuple[int, ...], ...]
    """For each dataset and each of its classes: the index in `classes`, −1 dropped"""
    conflicts: tuple[Conflict, ...]

    def emptied(self) -> tuple[NDArray[np.bool_], ...]:
        """Return for each dataset the mask of images that lose all their boxes, because their classes are dropped."""
        masks = []
        for dataset, places in zip(self.datasets, self.places, strict=True):
            image, count = dataset.labels.image, len(dataset.images)
            kept = image[np.asarray(places, dtype=np.int64)[dataset.labels.cls] >= 0]
            masks.append((np.bincount(image, minlength=count) > 0) & (np.bincount(kept, minlength=count) == 0))
        return tuple(masks)

    def table(self) -> tuple[ClassMapping, ...]:
        """Return one row per class of each dataset."""
        rows: list[ClassMapping] = []
        for dataset, name, places in zip(self.datasets, self.names, self.places, strict=True):
            counts = np.bincount(dataset.labels.cls, minlength=len(dataset.classes)).tolist()
            for old, place, count in zip(dataset.classes, places, counts, strict=True):
                becomes = None if place < 0 else self.classes[place]
                rows.append(ClassMapping(name, old, becomes, count))
        return tuple(rows)


def plan_merge(
    datasets: Sequence[Dataset],
    rules: Mapping[str, ClassRules] | None = None,
    *,
    everywhere: ClassRules | None = None,
    keep: Sequence[str] = (),
    order: Sequence[str] = (),
    progress: Progress = silent,
) -> MergePlan:
    """Plan to merge datasets by class name: equal names become one class.

    Nothing is written, and conflicts are not errors here; `merge` refuses them. Classes are in the order of `order`, of
    `keep`, then of their first occurrence.

    Args:
        datasets: the datasets to merge.
        rules: dataset name → its rules, which take precedence over `everywhere`.
        everywhere: rules for all datasets.
        keep: only these of the classes that result; empty: all.
        order: classes that come first.
        progress: called while files are compared.

    Raises:
        DataError: fewer than two datasets, or rules for an unknown dataset.
    """
    if len(datasets) < 2:
        raise DataError("a merge needs two data sets or more", got=len(datasets))
    names = _unique([dataset.name.replace("/", "-") for dataset in datasets])
    rules, everywhere = rules or {}, everywhere or ClassRules()
    if unknown := sorted(set(rules) - set(names)):
        raise DataError("rules for a data set that is not there", expected=", ".join(names), got=", ".join(unknown))
    conflicts: list[Conflict] = []
    wanted: list[list[str | None]] = []
    for dataset, name in zip(datasets, names, strict=True):
        own = rules.get(name, ClassRules())
        becomes = [_becomes(old, own, everywhere) for old in dataset.classes]
        wanted.append([new if new in keep or not keep else None for new in becomes])
        for ruled in sorted((own.rename.keys() | own.drop) - set(dataset.classes)):
            conflicts.append(Conflict("unknown_class", f"a rule for {ruled!r}, which {name} does not have"))
    everybodys = {old for dataset in datasets for old in dataset.classes}
    for ruled in sorted((everywhere.rename.keys() | everywhere.drop) - everybodys):
        conflicts.append(Conflict("unknown_class", f"a rule for {ruled!r}, which no data set has"))
    occurring = [new for row in wanted for new in row if new is not None]
    conflicts += [
        Conflict("unknown_class", f"{name!r} is to be kept, but is no class") for name in keep if name not in occurring
    ]
    classes = tuple(dict.fromkeys([name for name in (*order, *keep) if name in occurring] + occurring))
    index = {name: place for place, name in enumerate(classes)}
    conflicts += [*_similar_names(classes), *_skeletons(datasets, names), *_same_images(datasets, names, progress)]
    places = tuple(tuple(-1 if new is None else index[new] for new in row) for row in wanted)
    return MergePlan(tuple(datasets), names, classes, places, tuple(conflicts))


def merge(plan: MergePlan, *, accept: Collection[str] = (), backgrounds: bool = False) -> Dataset:
    """Return the merged dataset: ids `NAME/id`, groups `NAME:group`, splits unchanged, the strictest terms of all.

    Images that lose all their boxes, because their classes are dropped, are left out; with `backgrounds` they stay as
    background images. Files are not changed.

    Raises:
        DataError: conflicts whose kind is not in `accept`, all listed; skeletons that differ can never be accepted.
    """
    open_ = [conflict for conflict in plan.conflicts if conflict.kind not in accept or conflict.kind == "keypoints"]
    if open_:
        listed = "; ".join(f"{conflict.kind}: {conflict.message}" for conflict in open_[:20])
        kinds = {conflict.kind for conflict in open_}
        raise DataError(
            f"{len(open_)} conflict{'s' * (len(open_) > 1)} between the data sets",
            got=listed,
            hint="say in the rules which keypoints are the same: `datasets: {NAME: {keypoints: {old: new, …}}}`"
            if kinds == {"keypoints"}
            else f"rename or drop classes by --rules FILE, or let them be: --accept {' '.join(sorted(kinds))}",
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
    merged = Dataset(
        name="+".join(plan.names),
        root=Path(os.path.commonpath([dataset.root for dataset in plan.datasets])),
        source=first.source,
        format="merged",
        classes=plan.classes,
        images=tuple(images),
        labels=stack_labels(parts),
        keypoints=_skeleton(plan.datasets),
        faults=tuple(faults),
        origin="real" if any(dataset.origin == "real" for dataset in plan.datasets) else "synthetic",
        licence=strictest(*(dataset.licence for dataset in plan.datasets)),
        confidential=any(dataset.confidential for dataset in plan.datasets),
        raw={"merged_from": {n: str(d.source) for n, d in zip(plan.names, plan.datasets, strict=True)}},
    )
    emptied = np.concatenate(plan.emptied())
    return merged if backgrounds or not emptied.any() else merged.take(~emptied)


def _becomes(old: str, own: ClassRules, everywhere: ClassRules) -> str | None:
    for rules in (own, everywhere):
        if old in rules.drop:
            return None
        if old in rules.rename:
            return rules.rename[old]
    return old


def _similar_names(classes: Sequence[str]) -> Iterator[Conflict]:
    spelled: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        plain = unicodedata.normalize("NFKD", name).casefold()
        spelled["".join(letter for letter in plain if letter.isalnum())].append(name)
    for names in spelled.values():
        if len(names) > 1:
            # Two encodings of ü look the same: shown as escapes they differ, and can be copied into a rule.
            hidden = len({unicodedata.normalize("NFC", name) for name in names}) < len(names)
            shown = " and ".join(map(ascii if hidden else repr, names))
            yield Conflict("alike", f"{shown} would be {len(names)} classes")


def _skeletons(datasets: Sequence[Dataset], names: Sequence[str]) -> Iterator[Conflict]:
    """Yield differences between keypoint definitions; what only one of two has (flip_idx, sigmas) is no difference."""
    first = datasets[0].keypoints
    for dataset, name in zip(datasets[1:], names[1:], strict=True):
        other = dataset.keypoints
        if first is None or other is None:
            if first is not other:
                yield Conflict("keypoints", f"of {names[0]} and {name} only one has keypoints")
        elif first.names != other.names:
            of_first, of_other = (f"{len(k.names)}: {', '.join(k.names[:6])} …" for k in (first, other))
            yield Conflict("keypoints", f"{names[0]} has {of_first} and {name} {of_other}")
        else:
            for field, in_first, in_other in (
                ("flip_idx", first.flip_idx, other.flip_idx),
                ("sigmas", first.sigmas, other.sigmas),
            ):
                if in_first is not None and in_other is not None and in_first != in_other:
                    yield Conflict(
                        "keypoints", f"{field} is {list(in_first)} in {names[0]} and {list(in_other)} in {name}"
                    )


def _skeleton(datasets: Sequence[Dataset]) -> Keypoints | None:
    known = [dataset.keypoints for dataset in datasets if dataset.keypoints is not None]
    if not known:
        return None
    return replace(
        known[0],
        flip_idx=next((k.flip_idx for k in known if k.flip_idx is not None), None),
        sigmas=next((k.sigmas for k in known if k.sigmas is not None), None),
        dims=3 if any(k.dims == 3 for k in known) else 2,
    )


def _same_images(datasets: Sequence[Dataset], names: Sequence[str], progress: Progress) -> Iterator[Conflict]:
    """Yield a conflict if files in two datasets have the same bytes; only files of equal size are read."""
    sizes: dict[int, list[tuple[str, Image]]] = defaultdict(list)
    for dataset, name in zip(datasets, names, strict=True):
        for image in dataset.images:
            if is_file(image.path):
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
