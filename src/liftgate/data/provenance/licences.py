"""Compare licences, and find the terms of a data set merged from several.

Licences are compared by their obligations: one is stricter than another if it has all obligations of the other and
more. If neither of two is stricter (share-alike and non-commercial), both apply, written as in SPDX: `A AND B`. An
unknown licence permits nothing for certain, so it is the strictest. This is bookkeeping, not legal advice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from liftgate.data.core.dataset import Dataset, Origin

_NOTICE = frozenset({"keep the notice"})
_BY = _NOTICE | {"name the authors"}
_SA = _BY | {"share alike"}
_NC = _BY | {"no commercial use"}
_ND = _BY | {"pass on unchanged only"}
_COPYLEFT = _NOTICE | {"share alike"}
_RESEARCH = _NC | {"research only"}
_PRIVATE = _RESEARCH | _SA | _ND | {"pass on to nobody"}

OBLIGATIONS: dict[str, frozenset[str]] = {
    **dict.fromkeys(("CC0-1.0", "PDDL-1.0", "Unlicense", "public-domain"), frozenset()),
    **dict.fromkeys(("MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC"), _NOTICE),
    **dict.fromkeys(("CC-BY", "CC-BY-2.0", "CC-BY-2.5", "CC-BY-3.0", "CC-BY-4.0", "ODC-By-1.0"), _BY),
    **dict.fromkeys(("GPL-2.0", "GPL-3.0", "AGPL-3.0", "LGPL-3.0"), _COPYLEFT),
    **dict.fromkeys(("CC-BY-SA", "CC-BY-SA-2.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "ODbL-1.0"), _SA),
    **dict.fromkeys(("CC-BY-NC", "CC-BY-NC-2.0", "CC-BY-NC-3.0", "CC-BY-NC-4.0"), _NC),
    **dict.fromkeys(("CC-BY-NC-SA-2.0", "CC-BY-NC-SA-3.0", "CC-BY-NC-SA-4.0"), _NC | _SA),
    **dict.fromkeys(("CC-BY-ND-2.0", "CC-BY-ND-3.0", "CC-BY-ND-4.0"), _ND),
    **dict.fromkeys(("CC-BY-NC-ND-2.0", "CC-BY-NC-ND-3.0", "CC-BY-NC-ND-4.0"), _NC | _ND),
    "research-only": _RESEARCH,
    "proprietary": _PRIVATE,
}
"""SPDX name of a licence → its obligations. `public-domain`, `research-only`, `proprietary` are Liftgate's own."""

_SPELLINGS = {
    "cc0": "CC0-1.0",
    "gpl-3.0-only": "GPL-3.0",
    "gpl-3.0-or-later": "GPL-3.0",
    "agpl-3.0-only": "AGPL-3.0",
    "agpl-3.0-or-later": "AGPL-3.0",
    "apache": "Apache-2.0",
    "odbl": "ODbL-1.0",
    "all-rights-reserved": "proprietary",
    "private": "proprietary",
    "internal": "proprietary",
}
_KNOWN = {name.casefold(): name for name in OBLIGATIONS} | _SPELLINGS
_NOTHING_SAID = frozenset({"", "unknown", "none", "n-a", "noassertion", "other"})


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms of use of data: licence, origin, confidentiality and consent."""

    licence: str | None = None
    """SPDX name, or `A AND B`; None: unknown, which is the strictest"""
    origin: Origin = "real"
    confidential: bool = False
    consent: str | None = None
    """How the people in the images gave consent; None: unknown"""


def canonical_licence(text: str | None) -> str | None:
    """Return a licence under its SPDX name; None if empty or unknown, other names unchanged.

    >>> [canonical_licence(text) for text in ("CC BY 4.0", "MIT License", "BY-NC-SA 4.0", "Unknown", "Acme-1")]
    ['CC-BY-4.0', 'MIT', 'CC-BY-NC-SA-4.0', None, 'Acme-1']
    """
    if text is None:
        return None
    plain = re.sub(r"[\s_/]+", "-", text.strip().casefold())
    plain = re.sub(r"-v(?=\d)", "-", re.sub(r"-licen[cs]e$", "", plain))  # "ODbL v1.0", "MIT License"
    if plain in _NOTHING_SAID:
        return None
    return _KNOWN.get(plain) or _KNOWN.get(f"cc-{plain}") or text.strip()  # Roboflow writes "BY-NC-SA 4.0"


def strictest(*licences: str | None) -> str | None:
    """Return the licence of data merged from parts under `licences`: it applies to all of it.

    A part with no or an unknown licence makes the whole unknown (None). A licence that is not in `OBLIGATIONS` may have
    any obligation and always applies. Equally strict licences are both kept, because both notices have to be kept.

    >>> strictest("MIT", "CC BY 4.0", "CC0-1.0"), strictest("CC-BY-SA-4.0", "CC-BY-NC-4.0"), strictest("MIT", None)
    ('CC-BY-4.0', 'CC-BY-NC-4.0 AND CC-BY-SA-4.0', None)
    """
    names: set[str] = set()
    for licence in licences:
        for part in licence.split(" AND ") if licence else [licence]:
            name = canonical_licence(part)
            if name is None:
                return None
            names.add(name)
    binding = {name for name in names if not any(_stricter(other, name) for other in names)}
    return " AND ".join(sorted(binding)) if binding else None


def obligations(licence: str | None) -> tuple[str, ...] | None:
    """Return the obligations of a licence, or of `A AND B`, sorted; None: unknown."""
    found: set[str] = set()
    for part in licence.split(" AND ") if licence else [None]:
        name = canonical_licence(part)
        if name is None or name not in OBLIGATIONS:
            return None
        found |= OBLIGATIONS[name]
    return tuple(sorted(found))


def merge_terms(parts: Sequence[Terms]) -> Terms:
    """Return the terms of data merged from `parts`: the strictest of each.

    Confidential if any part is; real if any part is; consent is known only if it is known for every real part.

    >>> merge_terms([Terms("MIT", "synthetic"), Terms("CC-BY-4.0", "real", confidential=True, consent="signed")])
    Terms(licence='CC-BY-4.0', origin='real', confidential=True, consent='signed')

    Raises:
        ValueError: no parts.
    """
    if not parts:
        raise ValueError("expected at least one part, got none")
    needed = [part.consent for part in parts if part.origin == "real"]  # rendered images need no consent
    known = dict.fromkeys(consent for consent in needed if consent)
    return Terms(
        licence=strictest(*(part.licence for part in parts)),
        origin="real" if any(part.origin == "real" for part in parts) else "synthetic",
        confidential=any(part.confidential for part in parts),
        consent="; ".join(known) if known and all(needed) else None,
    )


def sharing_obstacle(licence: str | None) -> str | None:
    """Return why data under `licence` cannot be passed on to others, or None: they can."""
    required = obligations(licence)
    if required is None:
        return "the licence is unknown"
    if "pass on to nobody" in required:
        return "it is proprietary"
    if licence and " AND " in licence and "share alike" in required:
        others = {"no commercial use", "pass on unchanged only", "research only"} & set(required)
        if others and not any(_stricter_or_same(part, set(required)) for part in licence.split(" AND ")):
            return f"one part asks to share alike, another for {' and '.join(sorted(others))}: both cannot be met"
    if "pass on unchanged only" in required:
        return "a part may be passed on unchanged only"
    return None


def terms_of(dataset: Dataset, consent: str | None = None) -> Terms:
    """Return the terms in the record of a data set, with `consent`."""
    return Terms(canonical_licence(dataset.licence), dataset.origin, dataset.confidential, consent)


def _stricter(one: str, other: str) -> bool:
    """Return whether `one` has all obligations of `other` and more."""
    if one not in OBLIGATIONS or other not in OBLIGATIONS:
        return False  # unknown: both bind
    return OBLIGATIONS[one] > OBLIGATIONS[other]


def _stricter_or_same(licence: str, required: set[str]) -> bool:
    return OBLIGATIONS.get(licence, frozenset()) >= required
