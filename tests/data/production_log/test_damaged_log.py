"""A production log of which a bit flipped, or rows are gone, is refused; one of an older version is read."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

from data.production_log.rows import HOUR, START, logged, write_many
from liftgate.data.production_log.compaction import HOURS, Retention, compact
from liftgate.data.production_log.live import LIVE, Flag, LogWriter
from liftgate.data.production_log.log_rows import LogFilter, read_log
from liftgate.errors import DataError

FLIPS = int(os.environ.get("LIFTGATE_FLIPS", "150"))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of two finished hours and one that goes on"""
    folder = tmp_path / "log"
    write_many(folder, [logged(n, time=START + n * HOUR / 20, boxes=n % 4) for n in range(60)])
    compact(folder, now=START + 2 * HOUR + 1)
    assert len(list((folder / HOURS).iterdir())) == 2
    return folder


def shown(log: Path) -> str:
    some = {f"gate/{n:06d}.jpg" for n in range(0, 60, 7)}
    return repr((list(read_log(log)), list(read_log(log, LogFilter(images=some, since=START + HOUR / 2)))))


def test_a_flipped_bit_is_noticed_or_without_effect(log: Path, tmp_path: Path) -> None:
    before, dice, noticed = shown(log), random.Random(4), 0
    files = [LIVE, *(f"{HOURS}/{one.name}" for one in sorted((log / HOURS).iterdir()))]
    for number in range(FLIPS):
        copy = tmp_path / "copy"
        shutil.copytree(log, copy)
        path = copy / files[number % len(files)]
        damaged = bytearray(path.read_bytes())
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged)
        compacted = tmp_path / "compacted"
        shutil.copytree(copy, compacted)
        try:
            assert shown(copy) == before, path
        except DataError:
            noticed += 1
        sound = parquet_of(log) & parquet_of(copy)
        with suppress(DataError):
            compact(compacted, KEPT, now=START + 9 * HOUR)
        assert parquet_of(compacted) >= sound, path
        shutil.rmtree(copy)
        shutil.rmtree(compacted)
    assert noticed > FLIPS * 0.6


KEPT = Retention(days=1, n_bytes=10**6)
"""All of the log, where it is sound"""


def parquet_of(log: Path) -> set[tuple[str, bytes]]:
    return {(one.name, one.read_bytes()) for one in (log / HOURS).iterdir()}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE files SET name = replace(name, '-', '_') WHERE rowid = 1",
        "UPDATE files SET n_bytes = n_bytes + 1048576 WHERE rowid = 1",
        "UPDATE files SET last = last - 1e6 WHERE rowid = 1",
        "DELETE FROM files WHERE rowid = 1",
    ],
    ids=["name", "n_bytes", "last", "gone"],
)
def test_nothing_is_removed_by_a_damaged_list_of_files(log: Path, change: str) -> None:
    before = parquet_of(log)
    with closing(sqlite3.connect(log / LIVE)) as db:
        db.execute("DROP TRIGGER files_removed")
        assert db.execute(change).rowcount == 1
        db.commit()
    with pytest.raises(DataError, match="the production log is damaged"):
        compact(log, KEPT, now=START + 9 * HOUR)
    assert parquet_of(log) == before, "nothing is removed, and nothing added"


@pytest.mark.parametrize("change", [
    "brightness = 3", "image = CAST(x'ff' AS TEXT)", "time = -1e300", f"time = {START - 90 * 86400}",
], ids=["brightness", "no text", "no time", "another time"])  # fmt: skip
def test_a_damaged_row_keeps_its_own_hour_alone_from_being_compacted(tmp_path: Path, change: str) -> None:
    write_many(tmp_path, [logged(n, time=START + n * HOUR / 4) for n in range(20)])  # five hours
    compact(tmp_path, now=START + HOUR)
    with closing(sqlite3.connect(tmp_path / LIVE)) as db:
        db.execute(f"UPDATE images SET {change} WHERE id = 6")
        db.commit()
    for _ in range(2):
        with pytest.raises(DataError, match="the production log is damaged"):
            compact(tmp_path, now=START + 5 * HOUR)
    with pytest.raises(DataError, match="the production log is damaged"):
        compact(tmp_path, Retention(days=2.5 / 24), now=START + 5 * HOUR)
    with closing(sqlite3.connect(tmp_path / LIVE)) as db:
        assert db.execute("SELECT id FROM images").fetchall() == [(6,)], "sound rows that are old go, damaged ones stay"
        named = {one[0] for one in db.execute("SELECT name FROM files")}
    assert {name for name, _ in parquet_of(tmp_path)} == named and len(named) == 3


def test_a_lost_row_is_said_and_the_rest_is_compacted(log: Path) -> None:
    with closing(sqlite3.connect(log / LIVE)) as db:
        db.execute("DELETE FROM images WHERE id = 50")
        db.execute("UPDATE totals SET n_rows = n_rows + 1 WHERE name = 'images'")
        db.commit()
    with pytest.raises(DataError, match="19 rows of images, and 20 were added"):
        compact(log, KEPT, now=START + 9 * HOUR)
    assert len(parquet_of(log)) == 3
    with pytest.raises(DataError, match="rows of images"):
        shown(log)


CHANGES = {
    "a colour": "UPDATE images SET quality = 'red' WHERE id = 50",
    "a box": "UPDATE images SET detections = replace(detections, '0.5', '0.7') WHERE id = 50",
    "a time": "UPDATE images SET time = time + 1 WHERE id = 50",
    "a row gone": "DELETE FROM images WHERE id = 50",
    "the span of a file": "UPDATE files SET last = last - 3600 WHERE name LIKE '%.parquet'",
    "a file gone": "DELETE FROM files WHERE first < 1e10",
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_not_as_it_was_written_is_refused(log: Path, what: str) -> None:
    with closing(sqlite3.connect(log / LIVE)) as db:
        for name in ("images_removed", "files_removed"):  # a page of SQLite that is damaged calls no trigger
            db.execute(f"DROP TRIGGER {name}")
        assert db.execute(CHANGES[what]).rowcount > 0
        db.commit()
    with pytest.raises(DataError, match="damaged"):
        shown(log)


def test_a_damaged_row_gets_no_new_checksum(log: Path) -> None:
    with closing(sqlite3.connect(log / LIVE)) as db:
        db.execute("UPDATE images SET brightness = 3 WHERE id = 50")
        db.commit()
        time, image = db.execute("SELECT time, image FROM images WHERE id = 50").fetchone()
    problems: list[str] = []
    writer = LogWriter(log, problems.append)
    writer.flag(Flag(time, "gate", image, "red", "disagreement"))
    writer.close()
    with pytest.raises(DataError, match="damaged"):
        shown(log)
    with pytest.raises(DataError, match="damaged"):
        compact(log, now=START + 9 * HOUR)


def test_a_flag_of_a_row_that_cannot_be_read_costs_no_new_row(tmp_path: Path) -> None:
    write_many(tmp_path, [logged(1), logged(2)])
    problems, answers = list[str](), list[bool]()
    writer = LogWriter(tmp_path, problems.append)
    with closing(sqlite3.connect(tmp_path / LIVE, isolation_level=None)) as db:
        db.execute("UPDATE images SET reasons = CAST(x'ff' AS TEXT) WHERE id = 1")
        db.execute("BEGIN IMMEDIATE")  # what is added meanwhile becomes one group
        writer.add(logged(3), answers.append)
        for number in (1, 2):
            writer.flag(Flag(START, "gate", f"gate/{number:06d}.jpg", "yellow", "disagreement"))
        writer.add(logged(4), answers.append)
        db.execute("COMMIT")
        writer.close()
        assert answers == [True, True] and len(problems) == 1 and "a flag was left out" in problems[0]
        assert db.execute("SELECT id FROM images").fetchall() == [(1,), (2,), (3,), (4,)]
        assert db.execute("SELECT quality FROM images WHERE id = 2").fetchone() == ("yellow",)


def test_a_flag_keeps_a_row_sound(log: Path) -> None:
    problems: list[str] = []
    writer = LogWriter(log, problems.append)
    writer.flag(Flag(START + 50 * HOUR / 20, "gate", "gate/000050.jpg", "yellow", "disagreement"))
    writer.close()
    (row,) = [one for one in read_log(log) if one.image == "gate/000050.jpg"]
    assert (row.quality, row.reasons, problems) == ("yellow", ("disagreement",), [])


def test_a_log_of_an_older_version_is_read_and_goes_on(log: Path) -> None:
    before = list(read_log(log))
    with closing(sqlite3.connect(log / LIVE)) as db:
        for table in ("images", "files"):
            for trigger in ("added", "removed"):
                db.execute(f"DROP TRIGGER {table}_{trigger}")
            db.execute(f"ALTER TABLE {table} DROP COLUMN checksum")
        db.execute("ALTER TABLE files DROP COLUMN sha256")
        db.execute("DROP TABLE totals")
        db.commit()
    assert list(read_log(log)) == before
    write_many(log, [logged(99, time=START + 2 * HOUR + 3590)])
    assert len(list(read_log(log))) == 61
    compact(log, now=START + 9 * HOUR)
    assert len(list(read_log(log))) == 61
