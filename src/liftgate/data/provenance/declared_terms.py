"""Licence, origin, consent and confidentiality of a data set: by its user, else its card, else its source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from liftgate.data.core.dataset import Dataset, Origin
from liftgate.data.provenance.card import read_card
from liftgate.data.provenance.licences import Terms, canonical_licence, merge_terms
from liftgate.errors import DataError

_ABOVE = 3
"""Folders above a file's own where its card may be: frames/line-2/cam-1/x.jpg"""

_README = 1 << 16


@dataclass(frozen=True, slots=True)
class DeclaredTerms:
    """Terms of a data set as its user declares them; None: not declared."""

    licence: str | None = None
    origin: Origin | None = None
    confidential: bool = False
    """True: confidential; False does not override a card that says confidential"""
    consent: str | None = None


def parse_declared_terms(words: Mapping[str, object], where: object) -> DeclaredTerms:
    """Read `licence`, `origin`, `confidential` and `consent` from a YAML mapping; other keys are ignored.

    Raises:
        DataError: a value is invalid.
    """
    origin, confidential = words.get("origin"), words.get("confidential")
    if confidential not in (None, True, False):
        raise DataError("confidential is yes or no", where=where, got=confidential)
    licence, consent = (_text(words, key, where) for key in ("licence", "consent"))
    if origin in (None, "real"):
        return DeclaredTerms(licence, "real" if origin else None, bool(confidential), consent)
    if origin == "synthetic":
        return DeclaredTerms(licence, "synthetic", bool(confidential), consent)
    raise DataError("unknown origin", where=where, expected="real or synthetic", got=origin)


def _text(words: Mapping[str, object], key: str, where: object) -> str | None:
    value = words.get(key)
    if value is not None and not isinstance(value, str):
        raise DataError(f"{key} is text", where=where, got=value)
    return value


def known_terms(dataset: Dataset, declared: DeclaredTerms | None = None) -> Terms:
    """Return the terms of a data set: as declared, else as on the card next to it, else as its source has them.

    It is confidential if any of these says so.

    Raises:
        DataError: the card is damaged.
    """
    declared = declared or DeclaredTerms()
    if dataset.format == "frames":  # a list of frames may be in another folder than the frames
        return terms_of_files([image.path for image in dataset.images], declared)
    card = next((found for folder in _folders(dataset) if (found := read_card(folder))), None)
    noted = Terms(_own_licence(dataset), dataset.origin, dataset.confidential) if card is None else card.terms
    return Terms(
        licence=canonical_licence(declared.licence) or noted.licence,
        origin=declared.origin or noted.origin,
        confidential=declared.confidential or noted.confidential or dataset.confidential,
        consent=declared.consent or noted.consent,
    )


def terms_of_files(
    files: Iterable[Path], declared: DeclaredTerms | None = None, *, otherwise: Terms | None = None
) -> Terms:
    """Return the terms of single files.

    They are those in `declared`, else the strictest of the cards in their folders (or the nearest folder above that has
    one), else `otherwise`. They are confidential if any of the three says so.

    Raises:
        DataError: a card is damaged.
    """
    declared = declared or DeclaredTerms()
    cards = [_card_above(folder) for folder in sorted({path.parent.absolute() for path in files})]
    known = [Terms() if card is None else card for card in cards]
    noted = merge_terms(known) if any(cards) else otherwise or Terms()
    return Terms(
        licence=canonical_licence(declared.licence) or noted.licence,
        origin=declared.origin or noted.origin,
        confidential=declared.confidential or noted.confidential or bool(otherwise and otherwise.confidential),
        consent=declared.consent or noted.consent,
    )


def _card_above(folder: Path) -> Terms | None:
    for place in (folder, *list(folder.parents)[:_ABOVE]):
        if (found := read_card(place)) is not None:
            return found.terms
    return None


def with_terms(dataset: Dataset, terms: Terms) -> Dataset:
    """Return the data set with these terms, except consent, which `Dataset` has no field for."""
    return replace(dataset, licence=terms.licence, origin=terms.origin, confidential=terms.confidential)


def _folders(dataset: Dataset) -> list[Path]:
    """Return the folders in which Liftgate's writers put the card of `dataset.source`."""
    source = dataset.source
    return [source] if source.is_dir() else [source.parent, *([source.parent.parent] if _nested(source) else [])]


def _nested(source: Path) -> bool:
    return source.parent.name == "annotations"  # COCO


def _own_licence(dataset: Dataset) -> str | None:
    roboflow = dataset.raw.get("roboflow")
    named = roboflow.get("license") if isinstance(roboflow, dict) else None
    return canonical_licence(dataset.licence or (named if isinstance(named, str) else None)) or _readme_licence(dataset)


def _readme_licence(dataset: Dataset) -> str | None:
    """Return the licence in the README that Roboflow adds to every export; None: no such file or licence."""
    for folder in _folders(dataset):
        try:
            with (folder / "README.dataset.txt").open(encoding="utf-8", errors="replace") as file:
                found = re.search(r"^License: (.+)$", file.read(_README), re.MULTILINE)
        except OSError:
            continue
        return canonical_licence(found[1]) if found else None
    return None
