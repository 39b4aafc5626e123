"""Records beside a page, as JSON with their own hash: one that was edited is refused."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from liftgate.documents import LARGE, DocumentError, load_json
from liftgate.errors import DataError
from liftgate.files import write_json
from liftgate.hashing import content_hash, short
from liftgate.records import to_record

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Record = TypeVar("_Record")


def write_hashed(record: DataclassInstance, path: Path, key: str) -> None:
    """Write a record, with its hash under `key`."""
    write_json(path, {key: content_hash(record), **asdict(record)})


def read_hashed(path: Path, kind: type[_Record], key: str, *, name: str, hint: str) -> _Record:
    """Read a record that `write_hashed` wrote.

    Args:
        path: of the file.
        kind: of the record.
        key: that holds its hash.
        name: of the record, for messages.
        hint: what makes such a file.

    Raises:
        DataError: it cannot be read, or was edited.
    """
    try:
        document = load_json(path, LARGE)
        declared = document.pop(key) if isinstance(document, dict) else None
        record = to_record(document, kind)
    except (OSError, DocumentError, KeyError, msgspec.ValidationError) as error:
        raise DataError(f"cannot read {name}", where=path, got=str(error), hint=hint) from None
    if (found := content_hash(record)) != declared:
        raise DataError(f"{name} was edited", where=path, expected=short(str(declared)), got=short(found))
    return record
