"""Entries of the ledger: what one holds, and how the row that stores it is hashed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

from liftgate.errors import LedgerError
from liftgate.ledger.records import Body, LedgerRecord

R = TypeVar("R", bound=LedgerRecord)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the ledger."""

    seq: int
    """Sequence number: 1, 2, 3 …"""
    time: str
    """UTC, ISO 8601, by this machine's clock, which may be wrong; `seq` gives the order"""
    kind: str
    body: Body
    """Plain JSON values."""
    previous: str
    """Hash of the previous entry"""
    hash: str
    """Hash of all the other fields"""

    def parse(self, record: type[R]) -> R:
        """Return the body as a typed record.

        Raises:
            LedgerError: it lacks a value or has one of another type; the message names the entry.
        """
        try:
            return record.from_body(self.body)
        except LedgerError as error:
            raise LedgerError(f"entry {self.seq} cannot be read: {error.what}", hint=error.hint) from None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


# The bytes that `hashing.content_hash` hashes for a list of seq, time, kind, body and previous.
HASHED = b"l1:5i%d:%ds%d:%bs%d:%bs%d:%bs64:%b"


class Row(NamedTuple):
    """A row of the table, not decoded."""

    seq: int
    time: bytes
    kind: bytes
    body: bytes
    previous: bytes
    hash: bytes
    is_text: int

    def content_hash(self) -> bytes:
        """Return the hash of the list of seq, time, kind, body and previous, as `hashing.content_hash` defines it."""
        parts = (len(self.time), self.time, len(self.kind), self.kind, len(self.body), self.body, self.previous)
        return sha256(HASHED % (len(str(self.seq)), self.seq, *parts)).hexdigest().encode()

    def entry(self) -> Entry:
        """Decode a row whose hash was checked."""
        return Entry(
            self.seq,
            self.time.decode(),
            self.kind.decode(),
            json.loads(self.body),
            self.previous.decode(),
            self.hash.decode(),
        )


def canonical_body(kind: str, body: Body) -> str:
    """Return the body as canonical JSON: equal values give equal text."""
    try:
        _require_string_keys(body)
        return json.dumps(body, sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise LedgerError(f"the body of a `{kind}` entry is not plain JSON: {error}") from None


def _require_string_keys(value: object) -> None:
    # json.dumps writes the key 1 as "1", so the value read back would differ.
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is not a string")
            _require_string_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _require_string_keys(item)
