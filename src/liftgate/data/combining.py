"""`liftgate data merge` and `mix`: from files to files. Returns what `--json` prints."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from liftgate.data.card import card
from liftgate.data.dataset import Dataset
from liftgate.data.formats import yolo
from liftgate.data.formats.writing import write_dataset
from liftgate.data.merge import ClassRules, MergePlan, merge, mix, plan_merge
from liftgate.data.provenance import Said, known_terms, read_said, under
from liftgate.data.reading import read
from liftgate.data.select import keep_keypoints
from liftgate.data.stats import describe
from liftgate.data.tables import table_bytes
from liftgate.data.terms import Terms
from liftgate.errors import DataError
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
    accept: Collection[str] = (),
    progress: Progress = silent,
) -> dict[str, Any]:
    """Merge data sets (`NAME=path` or a path) and write the result; without `out` it shows classes and conflicts only.

    Raises:
        DataError: conflicts that are not accepted (`merge`), or `out` is not empty.
    """
    plan, known = _plan(parts, rules, progress)
    record: dict[str, Any] = {
        "classes": plan.table(),
        "conflicts": [{"kind": conflict.kind, "message": conflict.message} for conflict in plan.conflicts],
        "files": [],
        "losses": [],
    }
    if out is None:
        return record
    merged = merge(plan, accept=accept)
    written = write_dataset(merged, to, out, card(merged, f"liftgate data merge --to {to}", parts=known))
    write_bytes(out / MAPPING, table_bytes(tuple(plan.table()[0]), (tuple(row.values()) for row in plan.table())))
    losses = [{"what": loss.what, "count": loss.count, "example": loss.example} for loss in written.losses]
    terms = {"licence": merged.licence, "origin": merged.origin, "confidential": merged.confidential}
    files = [str(path) for path in written.files]
    return record | {"files": files, "mapping": str(out / MAPPING), "losses": losses, **terms}


def data_mix(
    parts: Sequence[str],
    out: Path,
    *,
    repeats: Mapping[str, int],
    held_out: str | None = None,
    rules: Path | None = None,
    accept: Collection[str] = (),
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write one training tree from several data sets; see `liftgate.data.merge.mix`.

    Raises:
        DataError: as `mix` and `yolo.write`.
    """
    plan, known = _plan(parts, rules, progress)
    mixed = mix(plan, repeats=repeats, held_out=held_out, accept=accept)
    words = " ".join([f"--repeat {name}={times}" for name, times in repeats.items()])
    made = card(mixed.dataset, f"liftgate data mix {words}".strip(), parts=known)
    document = yolo.write(mixed.dataset, out, repeats=mixed.repeats, card=made)
    train = [image.id for image in mixed.dataset.images if image.split == "train"]
    return {
        "data_yaml": str(document),
        "splits": describe(mixed.dataset)["splits"],
        "n_training_entries": sum(mixed.repeats.get(image, 1) for image in train),
        "left_out": dict(mixed.left_out),
    }


@dataclass(frozen=True, slots=True)
class Rules:
    """What a rules file says."""

    datasets: Mapping[str, ClassRules] = field(default_factory=dict)
    everywhere: ClassRules = field(default_factory=ClassRules)
    order: tuple[str, ...] = ()
    said: Mapping[str, Said] = field(default_factory=dict)
    """data set → what is known of where it comes from"""
    keypoints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """data set → which of its keypoints are kept, in order"""


def read_rules(path: Path) -> Rules:
    """Read merge rules: by data set, for all, and the order of classes.

        rename: {Mobile phone: phone, cell phone: phone}
        drop: ["0", "123"]
        order: [phone, knife]
        datasets:
          xray: {rename: {tel: phone}, drop: [box], licence: CC-BY-4.0, origin: real, confidential: true}
          pose: {keypoints: [nose, left eye, right eye]}      # only these, in this order; flip_idx and sigmas follow

    Raises:
        DataError: not YAML, or keys and values of another kind.
    """
    try:
        document = yaml.safe_load(path.read_text("utf-8-sig"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise DataError("cannot read the rules", where=path, got=str(error).splitlines()[0]) from None
    _known_keys(path, document, _RULES | {"order", "datasets"})
    datasets, order = document.get("datasets") or {}, document.get("order") or []
    if not isinstance(datasets, dict) or not isinstance(order, list):
        raise DataError("not merge rules", where=path, expected="datasets: a mapping, order: a list")
    for rules in datasets.values():
        _known_keys(path, rules, _RULES | _SAID | {"keypoints"})
        if not isinstance(rules.get("keypoints", []), list):
            raise DataError("not merge rules", where=path, expected="keypoints: [names]", got=rules["keypoints"])
    return Rules(
        datasets={str(name): _class_rules(path, rules) for name, rules in datasets.items()},
        everywhere=_class_rules(path, document),
        order=tuple(map(str, order)),
        said={str(name): read_said(rules, path) for name, rules in datasets.items()},
        keypoints={str(n): tuple(map(str, r["keypoints"])) for n, r in datasets.items() if "keypoints" in r},
    )


_RULES = {"rename", "drop"}
_SAID = {"licence", "origin", "confidential", "consent"}


def _known_keys(path: Path, document: object, keys: set[str]) -> None:
    if not isinstance(document, dict) or not set(document) <= keys:
        got = ", ".join(map(str, document)) if isinstance(document, dict) else type(document).__name__
        raise DataError("not merge rules", where=path, expected=", ".join(sorted(keys)), got=got)


def _class_rules(path: Path, document: Mapping[str, Any]) -> ClassRules:
    rename, drop = document.get("rename") or {}, document.get("drop") or []
    if not isinstance(rename, dict) or not isinstance(drop, list):
        raise DataError("not merge rules", where=path, expected="rename: {old: new}, drop: [names]")
    return ClassRules({str(old): str(new) for old, new in rename.items()}, frozenset(map(str, drop)))


def _plan(
    parts: Sequence[str], rules: Path | None, progress: Progress
) -> tuple[MergePlan, tuple[tuple[str, Terms], ...]]:
    """The plan, and the terms of each data set in it."""
    given = read_rules(rules) if rules else Rules()
    datasets = [_open(part, progress) for part in parts]
    datasets = [
        keep_keypoints(dataset, given.keypoints[dataset.name]) if dataset.name in given.keypoints else dataset
        for dataset in datasets
    ]
    known = [known_terms(dataset, given.said.get(dataset.name)) for dataset in datasets]
    bound = [under(dataset, terms) for dataset, terms in zip(datasets, known, strict=True)]
    plan = plan_merge(bound, given.datasets, everywhere=given.everywhere, order=given.order, progress=progress)
    return plan, tuple(zip(plan.names, known, strict=True))


def _open(part: str, progress: Progress) -> Dataset:
    name, _, path = part.rpartition("=")
    if name and not Path(part).exists():  # a path may hold an equals sign
        return replace(read(Path(path), progress=progress), name=name)
    return read(Path(part), progress=progress)
