"""The `licenses` of a COCO JSON, and the one that binds all of its images."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from liftgate.data.formats.coco.document import UNDECODABLE, Id
from liftgate.data.provenance.licences import canonical_licence, strictest

_COMMONS = re.compile(r"creativecommons\.org/(?:licenses/([a-z-]+)|publicdomain/(zero))/(\d\.\d)", re.IGNORECASE)


class _Licence(msgspec.Struct):
    id: Id
    name: str | None = None
    url: str | None = None


def licence_of(raw: msgspec.Raw, used: Sequence[Id | None]) -> str | None:
    """Return the strictest licence of those that images use; None where an image names none that is known.

    The address comes before the name, which leaves out the version.

    >>> table = msgspec.Raw(b'[{"id": 4, "url": "http://creativecommons.org/licenses/by/2.0/", "name": "Attribution"}]')
    >>> licence_of(table, [4, 4]), licence_of(table, [4, None])
    ('CC-BY-2.0', None)
    """
    try:
        rows = msgspec.json.decode(raw, type=list[_Licence], strict=False)
    except UNDECODABLE:
        return None
    named = {str(row.id): _spdx(row) for row in rows}
    return strictest(*dict.fromkeys(named.get(str(id_)) for id_ in used)) if used else None


def _spdx(row: _Licence) -> str | None:
    if match := _COMMONS.search(row.url or ""):
        kind, zero, version = match.groups()
        return "CC0-1.0" if zero else f"CC-{kind.upper()}-{version}"
    return canonical_licence(row.name)
