"""CSV side files: splits, groups, manifests. Names with commas, quotes, line breaks or broken UTF-8 survive."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from liftgate.errors import DataError

if TYPE_CHECKING:
    from _csv import Writer

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
    writer = csv_writer(out)
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue().encode("utf-8", "surrogateescape")


def csv_writer(out: IO[str]) -> Writer:
    r"""Return a writer of rows that end with \n.

    Python before 3.13 quotes a carriage return only where it is part of the line ends; unquoted it would read as one.

    >>> out = io.StringIO(newline="")
    >>> _ = csv_writer(out).writerow(("a\rb", "val"))
    >>> out.getvalue()
    '"a\rb",val\n'
    """
    return csv.writer(_WithLineFeeds(out), lineterminator="\r\n")


class _WithLineFeeds:
    """Takes one row at a time, as `csv.writer` gives them, and ends it with a line feed alone."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def write(self, row: str) -> int:
        return self._out.write(row.removesuffix("\r\n") + "\n")
