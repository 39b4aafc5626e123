"""Split a dataset into train, val and test by group, and freeze the split in a CSV with a hash.

`make_split` assigns whole groups so that images, groups, the objects of every class and, if strata are given, the
groups of every stratum come as close to the ratios as groups allow (see balance.py).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.csv_tables import read_table, table_bytes
from liftgate.data.core.dataset import Dataset, Fault
from liftgate.data.core.image_names import ImageNames
from liftgate.data.splits.balance import assign_groups_to_splits
from liftgate.errors import DataError
from liftgate.files import write_bytes

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Split:
    """Assignment of images to splits. Its CSV has the same bytes on every machine."""

    assignment: Mapping[str, str]
    """image id → split"""
    groups: Mapping[str, str]
    """image id → group (`image:<id>` where it is a group of its own)"""
    seed: int | None = None
    """None: unknown, because the split was read from a CSV"""
    ratios: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        _refuse_crossing(self.assignment, self.groups, "split")

    def to_csv(self) -> bytes:
        """Return the CSV image,group,split, sorted by image."""
        images = sorted(self.assignment)
        return table_bytes(("image", "group", "split"), ((i, self.groups[i], self.assignment[i]) for i in images))

    @property
    def sha256(self) -> str:
        """SHA-256 of the CSV's bytes."""
        return hashlib.sha256(self.to_csv()).hexdigest()

    def write(self, path: Path) -> Path:
        """Write the CSV in one atomic step and return `path`."""
        write_bytes(path, self.to_csv())
        return path

    def restricted(self, images: Set[str]) -> Split:
        """Return the split for these images only."""
        kept = {image: part for image, part in self.assignment.items() if image in images}
        return replace(self, assignment=kept, groups={image: self.groups[image] for image in kept})

    def apply(self, dataset: Dataset) -> Dataset:
        """Return the dataset with these splits and no others.

        Names in the split may be ids, file names or stems. Images that it does not name get no split; these, and
        names without an image, become faults.

        Raises:
            DataError: a group of the dataset would be in two splits (the message names it), or no name fits.
        """
        places = ImageNames(dataset.images).find_all(list(self.assignment))
        splits: list[str | None] = [None] * len(dataset.images)
        gone = []
        for (name, split), index in zip(self.assignment.items(), places, strict=True):
            if index is None:
                gone.append(name)
            else:
                splits[index] = split
        if self.assignment and len(gone) == len(self.assignment):
            raise DataError(
                "the split names none of these images", where=dataset.source, expected=dataset.images[0].id, got=gone[0]
            )
        placed = {image.id: split for image, split in zip(dataset.images, splits, strict=True) if split}
        _refuse_crossing(placed, {image.id: image.key for image in dataset.images}, str(dataset.source))
        faults = list(dataset.faults)
        if gone:
            faults.append(Fault("split_image_gone", str(dataset.source), f"{len(gone)} images, such as {gone[0]}"))
        if loose := [image.id for image in dataset.images if image.id not in placed]:
            faults.append(Fault("split_unassigned", str(dataset.source), f"{len(loose)} images, such as {loose[0]}"))
        images = [replace(image, split=split) for image, split in zip(dataset.images, splits, strict=True)]
        return replace(dataset.with_images(images), faults=tuple(faults))


def read_split(path: Path) -> Split:
    """Read a CSV with columns image,split and, if known, group.

    Raises:
        DataError: not a CSV, an image in two splits, or a group in two splits (the message names it).
    """
    assignment: dict[str, str] = {}
    groups: dict[str, str] = {}
    for line, row in read_table(path, ("image", "split")):
        image, split = row["image"], row["split"]
        if not split:
            continue
        if assignment.setdefault(image, split) != split:
            raise DataError(
                "an image in two splits", where=f"{path}:{line}", got=f"{image}: {assignment[image]}, {split}"
            )
        groups[image] = row.get("group") or f"image:{image}"
    try:
        return Split(assignment, groups)
    except DataError as error:
        raise DataError(error.what, where=path, got=error.got, hint=error.hint) from None


class TooFewGroups(DataError):
    """A data set has fewer groups than a split has parts."""


def make_split(
    dataset: Dataset,
    ratios: Sequence[float] = (0.7, 0.15, 0.15),
    seed: int = 0,
    strata: Mapping[str, str] | None = None,
) -> Split:
    """Split a dataset by group into train, val and test; the same seed gives the same split.

    Args:
        dataset: the data to split.
        ratios: shares of train, val and test.
        seed: seed of the assignment.
        strata: image id → stratum (category, camera, …), whose groups are spread over the splits.

    Raises:
        DataError: invalid ratios.
        TooFewGroups: fewer groups than splits.
    """
    wanted = normalised_ratios(ratios)
    keys = dataset.groups
    names = sorted(set(keys))
    if len(names) < np.count_nonzero(wanted):
        raise TooFewGroups(
            "fewer groups than splits",
            where=dataset.source,
            expected=np.count_nonzero(wanted),
            got=len(names),
            hint="a finer rule for `groups` (`liftgate data duplicates DATA --groups-out groups.csv` proposes one by "
            "what looks alike), pictures of more videos or days (a verdict takes five groups at least), or a share of "
            "0 for a split: ratios: [0.8, 0.2, 0]",
        )
    place = {name: index for index, name in enumerate(names)}
    group_of = np.array([place[key] for key in keys], dtype=np.int64)
    chosen = assign_groups_to_splits(
        amounts_by_group(dataset, group_of, len(names), strata), wanted, np.random.default_rng(seed)
    )
    assignment = {image.id: SPLITS[chosen[group]] for image, group in zip(dataset.images, group_of, strict=True)}
    return Split(assignment, {image.id: image.key for image in dataset.images}, seed, tuple(wanted.tolist()))


def amounts_by_group(
    dataset: Dataset, group_of: NDArray[np.int64], count: int, strata: Mapping[str, str] | None = None
) -> NDArray[np.float64]:
    """Return (G, 2 + C + S): each group's share of images, groups, objects of each class and groups of each stratum.

    Images and groups weigh as much as all classes together, and as all strata, so that a rare one cannot outweigh the
    ratios.
    """
    n_classes = len(dataset.classes)
    objects = np.zeros((count, n_classes))
    np.add.at(objects, (group_of[dataset.labels.image], dataset.labels.cls), 1)
    columns = [np.bincount(group_of, minlength=count)[:, None].astype(np.float64), np.ones((count, 1))]
    present = objects[:, objects.sum(axis=0) > 0]
    # Strata are counted in groups; with strata, groups weigh double, so that strata do not work against images.
    weights = (1, 2 if strata else 1)
    shares = [weight * column / column.sum(axis=0) for weight, column in zip(weights, columns, strict=True)]
    if present.shape[1]:
        shares.append(present / present.sum(axis=0) / present.shape[1])
    if strata:
        shares.append(_stratum_shares(dataset, group_of, count, strata))
    return np.concatenate(shares, axis=1)


def _stratum_shares(
    dataset: Dataset, group_of: NDArray[np.int64], count: int, strata: Mapping[str, str]
) -> NDArray[np.float64]:
    """Return (G, S): share of each stratum's groups; a group in two strata counts for both, by its images."""
    place = {name: index for index, name in enumerate(sorted(set(strata.values())))}
    images = np.zeros((count, len(place)))
    for image, group in zip(dataset.images, group_of.tolist(), strict=True):
        if image.id in strata:
            images[group, place[strata[image.id]]] += 1
    groups = images / np.maximum(images.sum(axis=1, keepdims=True), 1)
    shares: NDArray[np.float64] = groups / np.maximum(groups.sum(axis=0), 1e-12) / len(place)
    return shares


def normalised_ratios(ratios: Sequence[float]) -> NDArray[np.float64]:
    """Return the ratios of train, val and test, scaled to sum to 1, shape (3,).

    Raises:
        DataError: not three numbers, a negative one, or nothing but zeros.
    """
    values = np.asarray(ratios, dtype=np.float64)
    if values.shape != (3,) or not np.isfinite(values).all() or (values < 0).any() or values.sum() <= 0:
        raise DataError("not ratios", expected="three numbers for train, val, test, not all 0", got=list(ratios))
    shares: NDArray[np.float64] = values / values.sum()
    return shares


def _refuse_crossing(assignment: Mapping[str, str], groups: Mapping[str, str], where: str) -> None:
    seen: dict[str, set[str]] = {}
    for image, split in assignment.items():
        seen.setdefault(groups[image], set()).add(split)
    crossing = sorted(group for group, splits in seen.items() if len(splits) > 1)
    if crossing:
        shown = "; ".join(f"{group} in {', '.join(sorted(seen[group]))}" for group in crossing[:5])
        raise DataError(
            f"{len(crossing)} groups cross splits",
            where=where,
            got=shown + ("; …" if len(crossing) > 5 else ""),
            hint="split again by group: what was trained on must not be tested on",
        )


def split_counts(split: Split) -> dict[str, Counter[str]]:
    """Return the number of images and groups in every split: {"images": {...}, "groups": {...}}."""
    groups = {(split.groups[image], name) for image, name in split.assignment.items()}
    return {"images": Counter(split.assignment.values()), "groups": Counter(name for _, name in groups)}
