"""Make folds, extend an existing split, and prove that held-out sets are disjoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.fingerprint import file_hashes
from liftgate.data.core.image_names import ImageNames
from liftgate.data.splits.balance import assign_groups_to_splits
from liftgate.data.splits.split import SPLITS, Split, amounts_by_group, normalised_ratios
from liftgate.errors import DataError
from liftgate.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class DisjointProof:
    """Proof that a held-out set shares nothing with a dataset."""

    n_images: int
    n_groups: int


def make_folds(
    dataset: Dataset, folds: int, seed: int = 0, strata: Mapping[str, str] | None = None
) -> tuple[Split, ...]:
    """Return `folds` splits into train and val: every group is in val exactly once, balanced as in `make_split`.

    An existing test split stays test in every fold.

    Raises:
        DataError: fewer than two folds, or fewer groups than folds.
    """
    tested = dict.fromkeys((image.id for image in dataset.images if image.split == "test"), "test")
    open_ = dataset.take(np.array([image.id not in tested for image in dataset.images], dtype=np.bool_))
    names = sorted(set(open_.groups))
    if not 2 <= folds <= len(names):
        raise DataError("folds do not fit", where=dataset.source, expected=f"2 to {len(names)} groups", got=folds)
    crossing = {image.key for image in dataset.images if image.id in tested} & set(names)
    if crossing:
        raise DataError("a group is in test and not", where=dataset.source, got=", ".join(sorted(crossing)[:5]))
    place = {name: index for index, name in enumerate(names)}
    group_of = np.array([place[key] for key in open_.groups], dtype=np.int64)
    amounts = amounts_by_group(open_, group_of, len(names), strata)
    fold = assign_groups_to_splits(amounts, np.full(folds, 1 / folds), np.random.default_rng(seed))
    keys = {image.id: image.key for image in dataset.images}
    splits = []
    for number in range(folds):
        parts = {
            image.id: "val" if fold[group] == number else "train"
            for image, group in zip(open_.images, group_of, strict=True)
        }
        splits.append(Split(parts | tested, keys, seed))
    return tuple(splits)


def extend_split(
    split: Split,
    dataset: Dataset,
    ratios: Sequence[float] = (0.7, 0.15, 0.15),
    seed: int = 0,
    strata: Mapping[str, str] | None = None,
) -> Split:
    """Return the split with the dataset's new images assigned; existing assignments do not change.

    A new image of a known group joins its group's split. New groups go to the splits furthest from the ratios, counted
    over old and new images. Old images that are missing now stay in the split.

    Raises:
        DataError: with the dataset's groups, the old split divides a group (the message names it).
    """
    wanted = normalised_ratios(ratios)
    applied = split.apply(dataset)
    home = {image.key: image.split for image in applied.images if image.split is not None}
    fresh = [image for image in applied.images if image.split is None]
    assignment = dict(split.assignment)
    groups = dict(split.groups)
    places = ImageNames(dataset.images).find_all(list(split.assignment))
    for name, index in zip(split.assignment, places, strict=True):  # the groups as the dataset knows them now
        if index is not None:
            groups[name] = dataset.images[index].key
    joining = sorted({image.key for image in fresh} - set(home))
    order = {key: number for number, key in enumerate([*home, *joining])}
    group_of = np.array([order[key] for key in applied.groups], dtype=np.int64)
    fixed = np.full(len(order), -1, dtype=np.int64)
    for key, part in home.items():
        # A held-out split of another name (night) is not balanced here.
        fixed[order[key]] = SPLITS.index(part) if part in SPLITS else len(SPLITS)
    amounts = amounts_by_group(dataset, group_of, len(order), strata)
    amounts[fixed == len(SPLITS)] = 0
    chosen = assign_groups_to_splits(amounts, np.append(wanted, 0.0), np.random.default_rng(seed), fixed=fixed)
    for image in fresh:
        known = home.get(image.key)
        assignment[image.id] = known if known is not None else SPLITS[chosen[order[image.key]]]
        groups[image.id] = image.key
    return Split(assignment, groups, seed, tuple(wanted.tolist()))


def prove_disjoint(dataset: Dataset, held_out: Dataset, *, progress: Progress = silent) -> DisjointProof:
    """Prove that no image (by its bytes) and no named group of `held_out` is in `dataset`.

    Only equal bytes are proof; `liftgate check` finds near-copies.

    Raises:
        DataError: they share images or groups (the message names them).
    """
    groups = {image.group for image in dataset.images if image.group} & {
        image.group for image in held_out.images if image.group
    }
    hashes = file_hashes([image.path for image in dataset.images], progress)
    held_out_hashes = file_hashes([image.path for image in held_out.images], progress)
    if missing := sum(hash_ is None for hash_ in (*hashes, *held_out_hashes)):
        raise DataError(
            "nothing can be proved of images that are not there", where=held_out.source, got=f"{missing} images"
        )
    known = {hash_: image.id for image, hash_ in zip(dataset.images, hashes, strict=True)}
    shared = [(image.id, known[h]) for image, h in zip(held_out.images, held_out_hashes, strict=True) if h in known]
    if groups or shared:
        shared_parts = [f"{len(groups)} groups ({', '.join(sorted(groups)[:5])})"] if groups else []
        shared_parts += [f"{len(shared)} images ({shared[0][0]} is {shared[0][1]})"] if shared else []
        raise DataError("the held-out set is not disjoint", where=held_out.source, got="; ".join(shared_parts))
    return DisjointProof(len(held_out.images), len(set(held_out.groups)))
