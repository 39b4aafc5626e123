"""Class names of two lists that mean the same spelled otherwise, and the `rename:` that makes them one."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence

from liftgate.study.records import DatasetSpec

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_ -]*")
_YAML_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def matches_exactly(name: str, others: Sequence[str]) -> bool:
    """Return whether a name is in a list as predictions are matched to classes: without case and outer spaces."""
    return name.strip().casefold() in {one.strip().casefold() for one in others}


def spelled_alike(names: Sequence[str], others: Sequence[str]) -> dict[str, str]:
    """Return name → the one other name that differs only in case, accents, separators or a plural.

    Names that are in both lists are left out, and so are names with several candidates.

    >>> spelled_alike(["Blue Cone", "cars", "dog"], ["blue_cone", "car", "cat"])
    {'Blue Cone': 'blue_cone', 'cars': 'car'}
    """
    free = [one for one in others if one not in names]
    found = {name: [one for one in free if _stems(name) & _stems(one)] for name in names if name not in others}
    pairs = {name: some[0] for name, some in found.items() if len(some) == 1}
    taken = list(pairs.values())
    return {name: other for name, other in pairs.items() if taken.count(other) == 1}


def rename_hint(spec: DatasetSpec | None, dataset: str, names: Mapping[str, str]) -> str:
    """Return the entry of study.yaml that renames classes of a data set, to be pasted.

    Args:
        spec: the data set in the study, whose own `rename` is kept; None: it is in no study.
        dataset: its name.
        names: present name → new name.

    >>> rename_hint(None, "big", {"Blue Cone": "blue_cone", "é": "e"})
    'datasets: {big: {rename: {Blue Cone: blue_cone, "é": e}}}'
    """
    before = {} if spec is None else dict(spec.rename)
    sources = {name: [old for old, new in before.items() if new == name] or [name] for name in names}
    merged = before | {old: names[name] for name, olds in sources.items() for old in olds}
    return f"datasets: {{{dataset}: {{rename: {{{_pairs(merged)}}}}}}}"


def _pairs(names: Mapping[str, str]) -> str:
    return ", ".join(f"{_quoted(old)}: {_quoted(new)}" for old, new in names.items())


def _quoted(name: str) -> str:
    if _BARE.fullmatch(name) and name == name.strip() and name.casefold() not in _YAML_WORDS:
        return name
    return json.dumps(name, ensure_ascii=not name.isprintable() or unicodedata.normalize("NFC", name) != name)


def _stems(name: str) -> set[str]:
    """Return a name without case, accents and separators, with and without endings that may be a plural."""
    decomposed = unicodedata.normalize("NFKD", name).casefold()
    plain = "".join(letter for letter in decomposed if letter.isalnum())
    stems = {plain}
    for ending, instead in (("s", ""), ("es", ""), ("ies", "y")):
        if len(plain) > len(ending) + 1 and plain.endswith(ending):
            stems.add(plain.removesuffix(ending) + instead)
    return stems - {""}
