"""`liftgate data merge` and `mix`: from files to files. Returns what `--json` prints."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from liftgate.data.core.counts import describe
from liftgate.data.core.csv_tables import table_bytes
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.filters import keep_keypoints
from liftgate.data.formats import yolo
from liftgate.data.formats.read import read
from liftgate.data.formats.write import write_dataset
from liftgate.data.grouping.groups import assign_groups
from liftgate.data.merging.class_rules import MergeRules, read_merge_rules
from liftgate.data.merging.merge import MergePlan, merge, plan_merge
from liftgate.data.merging.mix import mix
from liftgate.data.provenance.card import Card, build_card
from liftgate.data.provenance.declared_terms import known_terms, with_terms
from liftgate.data.provenance.licences import Terms
from liftgate.files import write_bytes
from liftgate.progress import Progress, silent

MAPPING = "classes.csv"
"""Beside a merged data set: which class of which part became which; empty: dropped"""


def data_merge(
    parts: Sequence[str],
    out: Path | None,
    *,
    to: str = "yolo",
    rules: Path | None = None,
    keep: Sequence[str] = (),
    backgrounds: bool = False,
    accept: Collection[str] = (),
    progress: Progress = silent,
) -> dict[str, Any]:
    """Merge data sets (`NAME=path` or a path) and write the result; without `out` it shows classes and conflicts only.

    Raises:
        DataError: conflicts that are not accepted (`merge`), or `out` is not empty.
    """
    planned = _plan(parts, rules, keep, backgrounds, progress)
    plan = planned.plan
    record: dict[str, Any] = {
        "classes": plan.table(),
        "conflicts": [{"kind": conflict.kind, "message": conflict.message} for conflict in plan.conflicts],
        "emptied": planned.emptied(),
        "backgrounds": planned.backgrounds,
        "files": [],
        "losses": [],
    }
    if out is None:
        return record
    merged = merge(plan, accept=accept, backgrounds=planned.backgrounds)
    written = write_dataset(
        merged, to, out, planned.build_card(merged, f"liftgate data merge --to {to}"), progress=progress
    )
    _write_mapping(plan, out)
    losses = [{"what": loss.what, "count": loss.count, "example": loss.example} for loss in written.losses]
    terms = {"licence": merged.licence, "origin": merged.origin, "confidential": merged.confidential}
    files = [str(path) for path in written.files]
    return record | {"files": files, "mapping": str(out / MAPPING), "losses": losses, **terms}


def data_mix(
    parts: Sequence[str],
    out: Path,
    *,
    repeats: Mapping[str, int] | None = None,
    weights: Mapping[str, float] | None = None,
    seed: int = 0,
    held_out: str | None = None,
    rules: Path | None = None,
    keep: Sequence[str] = (),
    backgrounds: bool = False,
    accept: Collection[str] = (),
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write one training tree from several data sets; see `liftgate.data.merging.mix.mix`.

    Raises:
        DataError: as `mix` and `yolo.write`.
    """
    planned = _plan(parts, rules, keep, backgrounds, progress)
    mixed = mix(
        planned.plan,
        repeats=repeats,
        weights=weights,
        seed=seed,
        held_out=held_out,
        accept=accept,
        backgrounds=planned.backgrounds,
    )
    words = [f"--repeat {name}={times}" for name, times in (repeats or {}).items()]
    words += [f"--weight {name}={weight:g}" for name, weight in (weights or {}).items()]
    words += [f"--seed {seed}"] if weights else []
    words += [f"--held-out {held_out}"] if held_out else []
    made = planned.build_card(mixed.dataset, " ".join(["liftgate data mix", *words]))
    document = yolo.write(mixed.dataset, out, repeats=mixed.repeats, card=made, progress=progress)
    _write_mapping(planned.plan, out)
    seen = dict.fromkeys(planned.plan.names, 0)
    for image in mixed.dataset.images:
        if image.split == "train":
            seen[image.id.split("/", 1)[0]] += mixed.repeats.get(image.id, 1)
    return {
        "data_yaml": str(document),
        "mapping": str(out / MAPPING),
        "splits": describe(mixed.dataset)["splits"],
        "n_training_entries": sum(seen.values()),
        "training_entries": seen,
        "left_out": dict(mixed.left_out),
        "emptied": planned.emptied(),
        "backgrounds": planned.backgrounds,
    }


class _Planned(NamedTuple):
    """A plan, and what its card says beside it."""

    plan: MergePlan
    terms: tuple[tuple[str, Terms], ...]
    """Of each data set"""
    backgrounds: bool
    words: str
    """Of the command line"""
    hashes: Mapping[str, str]

    def emptied(self) -> dict[str, int]:
        """data set → its images that lose all their boxes; only where there are any."""
        masks = zip(self.plan.names, self.plan.emptied(), strict=True)
        return {name: count for name, mask in masks if (count := int(mask.sum()))}

    def build_card(self, dataset: Dataset, made_by: str) -> Card:
        return build_card(dataset, f"{made_by} {self.words}".strip(), parts=self.terms, hashes=self.hashes)


def _plan(
    parts: Sequence[str], path: Path | None, keep: Sequence[str], backgrounds: bool, progress: Progress
) -> _Planned:
    rules = read_merge_rules(path) if path else MergeRules()
    datasets = [_open(part, progress) for part in parts]
    for place, dataset in enumerate(datasets):
        if dataset.name in rules.keypoints:
            dataset = keep_keypoints(dataset, rules.keypoints[dataset.name])
        if path and dataset.name in rules.groups:
            dataset = assign_groups(dataset, rules.groups[dataset.name], base=path.parent)
        datasets[place] = dataset
    known = [known_terms(dataset, rules.said.get(dataset.name)) for dataset in datasets]
    keep, backgrounds = tuple(keep) or rules.keep, backgrounds or rules.backgrounds
    plan = plan_merge(
        [with_terms(dataset, terms) for dataset, terms in zip(datasets, known, strict=True)],
        rules.datasets,
        everywhere=rules.everywhere,
        keep=keep,
        order=rules.order,
        progress=progress,
    )
    words = [f"--rules {path.name}"] if path else []
    words += [f"--keep {' '.join(keep)}"] if keep else []
    words += ["--backgrounds"] if backgrounds else []
    hashes = {path.name: rules.sha256} if path and rules.sha256 else {}
    return _Planned(plan, tuple(zip(plan.names, known, strict=True)), backgrounds, " ".join(words), hashes)


def _write_mapping(plan: MergePlan, out: Path) -> None:
    table = plan.table()
    write_bytes(out / MAPPING, table_bytes(tuple(table[0]), (tuple(row.values()) for row in table)))


def _open(part: str, progress: Progress) -> Dataset:
    name, _, path = part.rpartition("=")
    if name and not Path(part).exists():  # a path may hold an equals sign
        return replace(read(Path(path), progress=progress), name=name)
    return read(Path(part), progress=progress)
