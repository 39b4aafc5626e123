"""Data card: a README.md with the origin, licence and contents of a data set, and how it was made.

It begins with YAML, which the next command reads (`read_card`); the rest is for people. The same data give the same
bytes: no times, no absolute paths.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from liftgate.data.core.dataset import Dataset, Origin
from liftgate.data.core.faults import fault_counts
from liftgate.data.provenance.licences import Terms, merge_terms, obligations, sharing_obstacle, strictest, terms_of
from liftgate.documents import parse_yaml
from liftgate.errors import DataError, Refused
from liftgate.files import write_text

CARD = "README.md"
_MARK = "liftgate-card"
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Card:
    """Contents of a data card."""

    name: str
    made_by: str
    """The command or step that made it, without paths of this machine"""
    terms: Terms
    classes: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    """split → images, groups, objects"""
    objects: Mapping[str, int]
    """class → objects"""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Hashes that identify the data, such as `labels`: 64 hex digits each"""
    parts: tuple[tuple[str, Terms], ...] = ()
    """(name, terms) of the data sets that it was made from"""
    faults: Mapping[str, int] = field(default_factory=dict)
    """kind of fault → how often it occurs in the source; a copy no longer has these faults"""


def build_card(
    dataset: Dataset,
    made_by: str,
    *,
    consent: str | None = None,
    parts: Sequence[tuple[str, Terms]] = (),
    hashes: Mapping[str, str] | None = None,
) -> Card:
    """Return the card of a data set that is about to be written.

    With `parts`, its terms are the strictest of theirs and its own.
    """
    own = terms_of(dataset, consent)
    if parts:
        strict = merge_terms([part for _, part in parts])
        known = dataset.licence is not None
        own = Terms(
            strictest(strict.licence, own.licence) if known else strict.licence,
            strict.origin,
            strict.confidential or own.confidential,
            consent or strict.consent,
        )
    objects = dict.fromkeys(dataset.classes, 0)
    for name, count in zip(
        dataset.classes, np.bincount(dataset.labels.cls, minlength=len(dataset.classes)), strict=True
    ):
        objects[name] += int(count)  # two classes may have one name
    return Card(
        name=dataset.name,
        made_by=made_by,
        terms=own,
        classes=dataset.classes,
        counts=_counts(dataset),
        objects=objects,
        hashes={"labels": dataset.truth_hash(), **(hashes or {})},
        parts=tuple(parts),
        faults=fault_counts(dataset.faults),
    )


def write_card(card: Card, folder: Path) -> Path:
    """Write `card` as README.md of `folder` and return its path.

    Raises:
        Refused: there is a README.md that is not a card of Liftgate's.
    """
    path = require_card_place(folder)
    write_text(path, card_text(card))
    return path


def require_card_place(folder: Path) -> Path:
    """Return the path of the card of `folder`.

    Raises:
        Refused: there is a README.md that is not a card of Liftgate's.
    """
    path = folder / CARD
    if path.exists() and not _is_ours(path):
        raise Refused("a README.md is there that Liftgate did not write", where=path, hint="write to another folder")
    return path


def read_card(folder: Path) -> Card | None:
    """Return the card in `folder`, or None: there is no README.md by Liftgate.

    Raises:
        DataError: its YAML is damaged.
    """
    path = folder / CARD
    if not path.is_file() or not _is_ours(path):
        return None
    if path.stat().st_size > _LARGEST:
        raise DataError("the card is too large to be one", where=path, expected="at most 1 MiB")
    try:
        head = parse_yaml(path.read_text(encoding="utf-8").split("\n---\n")[0])
        record = head[_MARK]
        return Card(
            name=str(record["name"]),
            made_by=str(record["made_by"]),
            terms=_terms_of(record["terms"]),
            classes=tuple(str(name) for name in record["objects"]),
            counts={str(split): dict(row) for split, row in record["counts"].items()},
            objects={str(name): int(count) for name, count in record["objects"].items()},
            hashes={str(name): str(value) for name, value in record["hashes"].items()},
            parts=tuple((str(part["name"]), _terms_of(part["terms"])) for part in record["parts"]),
            faults={str(kind): int(count) for kind, count in record.get("faults", {}).items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError, UnicodeDecodeError) as error:
        raise DataError("the card's head cannot be read", where=path, got=str(error).split("\n")[0]) from error


def card_text(card: Card) -> str:
    """Return the text of the README.md: YAML, then a description for people."""
    import yaml

    record: dict[str, object] = {
        "name": card.name,
        "made_by": card.made_by,
        "terms": asdict(card.terms),
        "counts": {split: dict(row) for split, row in card.counts.items()},
        "objects": dict(card.objects),
        "hashes": dict(card.hashes),
        "parts": [{"name": name, "terms": asdict(part)} for name, part in card.parts],
    }
    if card.faults:
        record["faults"] = dict(card.faults)
    # Unlimited width: otherwise line breaks depend on the length of names.
    head = yaml.safe_dump({_MARK: record}, sort_keys=False, allow_unicode=False, width=10**9)
    return f"---\n{head}---\n{_body(card)}"


def _body(card: Card) -> str:
    required = obligations(card.terms.licence)
    hindrance = sharing_obstacle(card.terms.licence)
    lines = [
        f"# {_plain(card.name)}",
        "",
        f"Made by `{card.made_by.replace('`', '')}`.",
        "",
        "| | |",
        "|---|---|",
        f"| licence | {_plain(card.terms.licence or 'unknown: ask before you use it')} |",
        f"| obliges to | {'unknown' if required is None else ', '.join(required) or 'nothing'} |",
        f"| may be passed on | {'no: ' + hindrance if hindrance else 'yes, under the licence'} |",
        f"| origin | {card.terms.origin} |",
        f"| consent of the people shown | {_plain(card.terms.consent or 'not stated')} |",
        f"| confidential | {'yes: nothing of it may leave this machine' if card.terms.confidential else 'no'} |",
        "",
        "| split | images | groups | objects |",
        "|---|---:|---:|---:|",
        *(f"| {_plain(s)} | {r['images']:,} | {r['groups']:,} | {r['objects']:,} |" for s, r in card.counts.items()),
    ]
    if card.objects:
        lines += ["", "| class | objects |", "|---|---:|"]
        lines += [f"| {_plain(name)} | {count:,} |" for name, count in card.objects.items()]
    if card.parts:
        lines += ["", "| made from | licence | origin | confidential | consent |", "|---|---|---|---|---|"]
        lines += [
            f"| {_plain(name)} | {_plain(part.licence or 'unknown')} | {part.origin} | "
            f"{'yes' if part.confidential else 'no'} | {_plain(part.consent or 'not stated')} |"
            for name, part in card.parts
        ]
    if card.faults:
        lines += ["", "The source was read with faults. Rows that could not be read are not in this data set:", ""]
        lines += [f"- `{kind}`: {count:,}" for kind, count in card.faults.items()]
    lines += ["", *(f"- {_plain(name)}: `{value}`" for name, value in card.hashes.items())]
    return "\n".join(lines) + "\n"


def _counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    names = [image.split or "unsplit" for image in dataset.images]
    objects = np.bincount(dataset.labels.image, minlength=len(names))
    order = [*dataset.splits, *(["unsplit"] if "unsplit" in names else [])]
    return {
        split: {
            "images": names.count(split),
            "groups": len({image.key for image, name in zip(dataset.images, names, strict=True) if name == split}),
            "objects": int(objects[np.array([name == split for name in names], dtype=np.bool_)].sum()),
        }
        for split in dict.fromkeys(order)
    }


def _terms_of(record: Mapping[str, object]) -> Terms:
    origin: Origin = "synthetic" if record["origin"] == "synthetic" else "real"
    licence, consent = (None if record[key] is None else str(record[key]) for key in ("licence", "consent"))
    return Terms(licence, origin, bool(record["confidential"]), consent)


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MARK) + 5).startswith(f"---\n{_MARK}:".encode())


def _plain(text: str) -> str:
    """Return untrusted text for a Markdown table: one line, without active Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>|#!])", r"\\\1", " ".join(text.split()))
