"""Read the rules file of `liftgate data merge` and `mix`: mappings of classes and keypoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from liftgate.data.core.csv_tables import read_table
from liftgate.data.merging.merge import ClassRules
from liftgate.data.provenance.declared_terms import DeclaredTerms, parse_declared_terms
from liftgate.documents import DocumentError, load_yaml
from liftgate.errors import DataError
from liftgate.hashing import file_hash


@dataclass(frozen=True, slots=True)
class MergeRules:
    """Contents of a rules file."""

    datasets: Mapping[str, ClassRules] = field(default_factory=dict)
    everywhere: ClassRules = field(default_factory=ClassRules)
    order: tuple[str, ...] = ()
    declared: Mapping[str, DeclaredTerms] = field(default_factory=dict)
    """data set → its declared licence, origin, consent and confidentiality"""
    keep: tuple[str, ...] = ()
    backgrounds: bool = False
    keypoints: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """data set → the keypoints that are kept, in order: old name → new name"""
    groups: Mapping[str, str] = field(default_factory=dict)
    """data set → rule for its groups"""
    sha256: str | None = None
    """Of the file"""


def read_merge_rules(path: Path) -> MergeRules:
    """Read merge rules for single data sets and for all, and the order of classes.

        rename: {Mobile phone: phone, cell phone: phone}
        drop: ["0", "123"]
        keep: [phone, knife]          # of what is left, by its new name; backgrounds: true keeps images that lose all
        order: [phone, knife]
        datasets:
          xray: {rename: {tel: phone}, drop: [box], licence: CC-BY-4.0, origin: real, confidential: true}
          pose: {keypoints: [nose, left eye, right eye]}      # only these, in this order; flip_idx and sigmas follow
          drawn: {keypoints: {n: nose, le: left eye, re: right eye}, groups: '^(?P<group>[^_]+)_'}      # and renamed

    Or read a CSV with the columns dataset, class and becomes (empty: dropped), as a merge writes it with its result;
    classes that it does not name stay unchanged.

    Raises:
        DataError: not YAML, or unknown keys or invalid values; a CSV that maps a class to two.
    """
    if path.suffix.lower() == ".csv":
        return _mapped(path)
    try:
        document = load_yaml(path)
    except OSError as error:
        raise DataError("cannot read the rules", where=path, got=error.strerror) from None
    except DocumentError as error:
        raise DataError("cannot read the rules", where=error.place(path), got=error.problem) from None
    _known_keys(path, document, _RULES | {"keep", "backgrounds", "order", "datasets"})
    datasets = document.get("datasets") or {}
    backgrounds = document.get("backgrounds", False)
    if not isinstance(datasets, dict) or not isinstance(backgrounds, bool):
        raise DataError("not merge rules", where=path, expected="datasets: a mapping, backgrounds: true or false")
    for rules in datasets.values():
        _known_keys(path, rules, _RULES | _DECLARED | {"keypoints", "groups"})
    return MergeRules(
        datasets={str(name): _class_rules(path, rules) for name, rules in datasets.items()},
        everywhere=_class_rules(path, document),
        order=_names(path, document, "order"),
        declared={str(name): parse_declared_terms(rules, path) for name, rules in datasets.items()},
        keep=_names(path, document, "keep"),
        backgrounds=backgrounds,
        keypoints={str(n): _keypoints(path, r["keypoints"]) for n, r in datasets.items() if "keypoints" in r},
        groups={str(name): str(rules["groups"]) for name, rules in datasets.items() if "groups" in rules},
        sha256=file_hash(path),
    )


def _mapped(path: Path) -> MergeRules:
    becomes: dict[str, dict[str, str]] = {}
    for line, row in read_table(path, ("dataset", "class", "becomes")):
        known = becomes.setdefault(row["dataset"], {})
        if known.setdefault(row["class"], row["becomes"]) != row["becomes"]:
            got = f"{known[row['class']]!r} and {row['becomes']!r}"
            raise DataError("a class becomes two", where=f"{path}:{line}", got=got)
    return MergeRules(
        datasets={
            name: ClassRules(
                rename={old: new for old, new in classes.items() if new},
                drop=frozenset(old for old, new in classes.items() if not new),
            )
            for name, classes in becomes.items()
        },
        sha256=file_hash(path),
    )


_RULES = {"rename", "drop"}
_DECLARED = {"licence", "origin", "confidential", "consent"}


def _known_keys(path: Path, document: object, keys: set[str]) -> None:
    if not isinstance(document, dict) or not set(document) <= keys:
        got = ", ".join(map(str, document)) if isinstance(document, dict) else type(document).__name__
        raise DataError("not merge rules", where=path, expected=", ".join(sorted(keys)), got=got)


def _class_rules(path: Path, document: Mapping[str, object]) -> ClassRules:
    rename = document.get("rename") or {}
    if not isinstance(rename, dict):
        raise DataError("not merge rules", where=path, expected="rename: {old: new}", got=type(rename).__name__)
    return ClassRules({str(old): str(new) for old, new in rename.items()}, frozenset(_names(path, document, "drop")))


def _names(path: Path, document: Mapping[str, object], key: str) -> tuple[str, ...]:
    names = document.get(key) or []
    if not isinstance(names, list):
        raise DataError("not merge rules", where=path, expected=f"{key}: [names]", got=type(names).__name__)
    return tuple(map(str, names))


def _keypoints(path: Path, names: object) -> dict[str, str]:
    if isinstance(names, list) and len(set(map(str, names))) == len(names):
        return {str(name): str(name) for name in names}
    if isinstance(names, dict):
        return {str(old): str(new) for old, new in names.items()}
    raise DataError("not merge rules", where=path, expected="keypoints: [names, each once] or {old: new}", got=names)
