"""Lookup: from a hash in a report to the entries that it is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from liftgate.errors import UsageError
from liftgate.hashing import content_hash
from liftgate.ledger.chain import Entry

MIN_DIGITS = 6
"""Fewer digits of a hash match too much"""


def find(entries: Iterable[Entry], beginning: str) -> list[tuple[Entry, list[str]]]:
    """Return the entries that a hash belongs to or that contain it, each with the places where it is found.

    A report names files and data by their hashes, which the entries contain, and parts of entries (a recipe, a
    comparison) by the hash of their content, which is computed again here. An entry's own hash has no place in it.

    Raises:
        UsageError: it is not the beginning of a hash.
    """
    beginning = beginning.strip().lower()
    if not MIN_DIGITS <= len(beginning) <= 64 or set(beginning) - set("0123456789abcdef"):
        raise UsageError(
            "not a hash", got=beginning, expected=f"at least {MIN_DIGITS} of the digits that a report shows"
        )
    found = ((entry, list(_places(entry.body, beginning, ""))) for entry in entries)
    return [(entry, places) for entry, places in found if places or entry.hash.startswith(beginning)]


def _places(value: Any, beginning: str, path: str) -> Iterator[str]:
    if isinstance(value, str):
        if len(value) == 64 and value.startswith(beginning):
            yield path
        return
    if isinstance(value, Mapping) and path and content_hash(value).startswith(beginning):
        yield path
    parts = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from _places(part, beginning, f"{path}.{key}" if path else str(key))
