"""A full disk has its hint where another error is made of it, and takes nothing away silently.

Every other place raises the system's own error, which the command line explains: benchmarks/faulty_disk.py tries them.
"""

from __future__ import annotations

import errno
import shutil
import sqlite3
import zipfile
from pathlib import Path
from typing import NoReturn

import pytest

from data.production_log.rows import logged
from liftgate.cli import main
from liftgate.data.core.archive import unpack
from liftgate.data.production_log import live
from liftgate.errors import LiftgateError
from liftgate.ledger import locked_images

HINT = "make room on the disk"


def full(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, "No space left on device")


def full_database(*_: object, **__: object) -> NoReturn:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise error


def test_an_unpacked_zip_has_its_hint_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(LiftgateError) as refused:
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert HINT in str(refused.value) and not (tmp_path / "out").exists()


def test_a_log_that_cannot_be_opened_has_its_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "prepare", full_database)
    with pytest.raises(LiftgateError) as refused:
        live.open_log(tmp_path / "log", create=True)
    assert HINT in str(refused.value)


class _Full:
    """A connection to a database on a full disk"""

    in_transaction = False
    execute = staticmethod(full_database)

    def close(self) -> None:
        pass


def test_rows_that_are_not_written_are_told_with_the_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problems: list[str] = []
    committed: list[bool] = []
    monkeypatch.setattr(live, "open_log", lambda *_, **__: _Full())
    writer = live.LogWriter(tmp_path / "log", problems.append)
    writer.add(logged(1), committed.append)
    writer.close()
    assert committed == [False]
    assert "1 rows of the log were not written" in problems[0] and HINT in problems[0]


def test_locks_are_not_dropped_because_the_disk_of_the_index_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locked_images, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        locked_images.register_ledger(tmp_path / "ledger.sqlite")


@pytest.mark.parametrize("error", [full, full_database])
def test_any_other_place_is_told_by_the_command_line(
    error: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("liftgate.cli.explain.run", error)
    assert main(["explain"]) == 1
    said = capsys.readouterr().err
    assert HINT in said and "fault in liftgate" not in said
