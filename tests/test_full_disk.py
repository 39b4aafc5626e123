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
from liftgate.data.production_log.compaction import Retention
from liftgate.data.production_log.quality import QualityRules
from liftgate.data.production_log.records import LoggedBox
from liftgate.deploy.serving import log_keeper
from liftgate.deploy.serving.log_keeper import LogSettings
from liftgate.deploy.shadow.frames import frame_name
from liftgate.deploy.shadow.pairs import Pair, PairStore, match
from liftgate.deploy.shadow.request import ShadowRequest, create_test
from liftgate.errors import LiftgateError
from liftgate.ledger import locked_images
from liftgate.services.shadow import shadow_report
from liftgate.testing.data import picture, yolo_folder

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


def test_a_log_that_is_not_compacted_is_told_with_the_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (full, full_database):
        problems: list[str] = []
        monkeypatch.setattr(log_keeper, "compact", error)
        log_keeper.LogKeeper(LogSettings(tmp_path / "log", Retention(), QualityRules()), problems.append).close()
        assert "the log was not compacted" in problems[0] and HINT in problems[0]


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


def test_the_report_of_a_shadow_test_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log").mkdir()
    live.open_log(tmp_path / "log", create=True).close()
    test = create_test(tmp_path / "log", ShadowRequest("v0", str(tmp_path / "models"), 1.79e9))
    (test.folder / "frames").mkdir()
    content = picture(tmp_path / "0.png", (64, 48)).read_bytes()
    (test.folder / "frames" / frame_name(content)).write_bytes(content)
    store = PairStore(test.folder)
    box = LoggedBox("red", 0.9, (1.0, 2.0, 30.0, 40.0))
    store.add(Pair(0.0, 1.79e9, "gate", "0", "v0.1", match([box], []), 100.0, 64, 48, frame_name(content), (box,), ()))
    store.close()
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", full)
        with pytest.raises(OSError, match="No space left"):
            shadow_report(tmp_path / "log", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    shadow_report(tmp_path / "log", tmp_path / "out")
    found = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert found == ["challenger.json", "challenger.settings.json", "champion.json", "champion.settings.json", "frames",
                     "report.html"]  # fmt: skip
    assert (tmp_path / "out").stat().st_mode & 0o077 == 0, "it holds production frames"


@pytest.mark.parametrize("verb", [["merge"], ["mix", "--held-out", "a"]])
def test_a_merged_set_without_its_table_of_classes_is_none(
    tmp_path: Path, verb: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        yolo_folder(tmp_path / name, {f"train/{name}.png": "0 .5 .5 .5 .5\n", f"val/v{name}.png": "0 .5 .5 .5 .5\n"})
    sets = [str(tmp_path / name / "data.yaml") for name in ("a", "b")]
    words = ["data", *verb, *sets, "--accept", "same_image", "--out", str(tmp_path / "out")]
    with monkeypatch.context() as patched:
        patched.setattr("liftgate.services.merge.write_bytes", full)
        assert main(words) == 1
    assert HINT in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert main(words) == 0
    assert (tmp_path / "out" / "classes.csv").is_file() and not list(tmp_path.glob(".*.part"))
