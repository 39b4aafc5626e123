"""CSV side files: splits, groups, manifests. Names with commas, quotes, line breaks or broken UTF-8 survive."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from liftgate.errors import DataError

_LARGEST = 1 << 30
"""Bytes: a row for each of ten million images; all rows are held at once"""


def read_table(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Read a CSV with at least `columns`, as (line, row).

    Raises:
        DataError: not there, not a CSV, or without one of the columns.
    """
    if path.exists() and not path.is_file():  # opening a named pipe would wait for ever
        raise DataError("a CSV is a file", where=path, got="a folder, a device or a pipe")
    try:
        if (size := path.stat().st_size) > _LARGEST:
            expected = f"at most {_LARGEST:,} bytes"
            raise DataError("too large for a CSV", where=path, expected=expected, got=f"{size:,}")
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(
                    "a column is missing",
                    where=f"{path}:1",
                    expected=",".join(columns),
                    got=",".join(reader.fieldnames or ()) or "nothing",
                )
            return [(reader.line_num, {key: row[key] or "" for key in row if key is not None}) for row in reader]
    except OSError as error:
        raise DataError("cannot read the CSV", where=path, got=error.strerror) from None
    except csv.Error as error:
        raise DataError("not a CSV", where=path, got=str(error)) from None


def table_bytes(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    r"""Return a CSV as bytes, the same on every machine: UTF-8, \n line ends.

    >>> table_bytes(("image", "split"), [("a,b.jpg", "val")])
    b'image,split\n"a,b.jpg",val\n'
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue().encode("utf-8", "surrogateescape")
