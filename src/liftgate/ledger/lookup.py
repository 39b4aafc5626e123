"""Lookup: find the entries that a hash in a report refers to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from liftgate.errors import UsageError
from liftgate.hashing import content_hash
from liftgate.ledger.entry import Entry

MIN_DIGITS = 6
"""The fewest digits of a hash that can be searched; fewer match too much"""


def find(entries: Iterable[Entry], prefix: str) -> list[tuple[Entry, list[str]]]:
    """Return the entries whose own hash, or a hash within them, begins with `prefix`, with the paths to the latter.

    A report names files and data by hashes that entries contain, and parts of entries (a recipe, a comparison) by the
    hash of their content, which is computed here. For an entry's own hash the list of paths is empty.

    Args:
        entries: to search.
        prefix: first digits of a hash.

    Raises:
        UsageError: `prefix` is not the prefix of a hash.
    """
    prefix = prefix.strip().lower()
    if not MIN_DIGITS <= len(prefix) <= 64 or set(prefix) - set("0123456789abcdef"):
        raise UsageError("not a hash", got=prefix, expected=f"at least {MIN_DIGITS} of the digits that a report shows")
    found = ((entry, list(_paths(entry.body, prefix, ""))) for entry in entries)
    return [(entry, paths) for entry, paths in found if paths or entry.hash.startswith(prefix)]


def _paths(value: Any, prefix: str, path: str) -> Iterator[str]:
    if isinstance(value, str):
        if len(value) == 64 and value.startswith(prefix):
            yield path
        return
    if isinstance(value, Mapping) and path and content_hash(value).startswith(prefix):
        yield path
    parts = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from _paths(part, prefix, f"{path}.{key}" if path else str(key))
