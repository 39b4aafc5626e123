"""Tables as CSV: every name comes back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftgate.checks.duplicates import groups_csv
from liftgate.data.core.csv_tables import read_table, table_bytes

NAMES = (
    "a\rb", "a\nb", "a\r\nb", "\r", "a\r", "a\x85b", "a\u2028b", "\ufeffa", "a\x1cb", " a ", '"', "a,b", "a\\", "=1+1",
    "a\x00b", "a\x1b[2J", "\u202egpj.exe", "k\udcfcche", "-x",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    (tmp_path / "t.csv").write_bytes(table_bytes(("image", "split"), [(name, "val"), ("b", name)]))
    rows = [row for _, row in read_table(tmp_path / "t.csv", ("image", "split"))]
    assert rows == [{"image": name, "split": "val"}, {"image": "b", "split": name}]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_comes_back_from_a_table_of_groups(tmp_path: Path, name: str) -> None:
    (tmp_path / "g.csv").write_bytes(groups_csv({name: "one"}).encode("utf-8", "surrogateescape"))
    assert [row for _, row in read_table(tmp_path / "g.csv", ("image",))] == [{"image": name, "group": "one"}]
