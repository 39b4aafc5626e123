from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from data.production_log.rows import HOUR, START, logged, write, write_many
from liftgate.data.production_log.compaction import HOURS, Retention, compact
from liftgate.data.production_log.live import LIVE, Flag, LogWriter, open_log
from liftgate.data.production_log.log_rows import LogFilter, is_production_log, read_log
from liftgate.data.production_log.records import Quality
from liftgate.errors import DataError, UsageError

pytest.importorskip("pyarrow")
KILLS = int(os.environ.get("LIFTGATE_KILLS", "4"))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    images = [logged(n, boxes=n % 3, camera="gate" if n % 2 else "") for n in range(50)]
    write(tmp_path / "log", images)
    assert is_production_log(tmp_path / "log")
    assert list(read_log(tmp_path / "log")) == images


def test_finished_hours_become_files_and_are_read_the_same(tmp_path: Path) -> None:
    images = [logged(n, time=START + n * 600, boxes=n % 4) for n in range(30)]  # five hours
    write(tmp_path, images)
    done = compact(tmp_path, now=START + 4.5 * HOUR)
    assert (done.files, done.rows) == (4, 24)
    assert sorted(path.name for path in (tmp_path / HOURS).iterdir())[0].endswith(".parquet")
    assert sorted(read_log(tmp_path), key=lambda one: one.time) == images
    assert compact(tmp_path, now=START + 4.5 * HOUR).files == 0, "nothing is left to do"
    chosen = LogFilter(images={images[3].image, images[29].image})
    assert list(read_log(tmp_path, chosen)) == [images[3], images[29]]
    assert list(read_log(tmp_path, LogFilter(since=START + HOUR, until=START + 2 * HOUR))) == images[6:12]
    assert list(read_log(tmp_path, LogFilter(camera="nowhere"))) == []


def test_rows_of_a_clock_that_was_set_back_are_kept(tmp_path: Path) -> None:
    write(tmp_path, [logged(1, time=START + 10)])
    compact(tmp_path, now=START + HOUR)
    late = [logged(2, time=START + 20), logged(3, time=START - 400 * 86400), logged(4, time=START + 90 * 86400)]
    write(tmp_path, late)
    assert compact(tmp_path, now=START + HOUR).files == 2, "that of the future stays where it is"
    assert {one.image[-10:-4] for one in read_log(tmp_path)} == {"000001", "000002", "000003", "000004"}


def test_old_rows_and_the_oldest_files_are_deleted(tmp_path: Path) -> None:
    images = [logged(n, time=START + n * HOUR) for n in range(48)]
    write(tmp_path, images)
    compact(tmp_path, now=START + 48 * HOUR)
    done = compact(tmp_path, Retention(days=1), now=START + 48.5 * HOUR)
    assert done.deleted_files == 25 and len(list((tmp_path / HOURS).iterdir())) == 23
    sizes = [path.stat().st_size for path in (tmp_path / HOURS).iterdir()]
    compact(tmp_path, Retention(n_bytes=sum(sizes) // 2), now=START + 48.5 * HOUR)
    kept = list(read_log(tmp_path))
    assert 0 < len(kept) < 23 and kept == images[-len(kept) :]


def test_a_file_that_the_log_does_not_name_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, [logged(1)])
    compact(tmp_path, now=START + HOUR)
    (path,) = (tmp_path / HOURS).iterdir()
    stranger = path.with_name("2001-01-01T00.parquet")  # as a compaction leaves it that is killed before its commit
    stranger.write_bytes(path.read_bytes())
    assert len(list(read_log(tmp_path))) == 1
    compact(tmp_path, now=START + HOUR)
    assert not stranger.exists() and path.exists()


def test_a_damaged_or_missing_file_is_one_error_with_its_place(tmp_path: Path) -> None:
    write(tmp_path, [logged(1)])
    compact(tmp_path, now=START + HOUR)
    (path,) = (tmp_path / HOURS).iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="damaged"):
        list(read_log(tmp_path))
    path.unlink()
    with pytest.raises(DataError, match="missing"):
        list(read_log(tmp_path))


def test_what_is_no_log_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no production log"):
        list(read_log(tmp_path))
    (tmp_path / LIVE).write_bytes(b"nothing of the kind, and longer than a header of a database would be" * 20)
    with pytest.raises(DataError, match="cannot be opened"):
        list(read_log(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a folder"):
        LogWriter(tmp_path / "file", print)


def test_a_row_that_cannot_be_written_is_not_acknowledged(tmp_path: Path) -> None:
    problems: list[str] = []
    writer = LogWriter(tmp_path, problems.append)
    other = sqlite3.connect(tmp_path / LIVE, isolation_level=None)
    other.execute("DROP TABLE images")
    answers: list[bool] = []
    writer.add(logged(1), answers.append)
    writer.close()
    assert answers == [False] and "no such table" in problems[0]
    other.close()


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from data.production_log.rows import START, logged
from liftgate.data.production_log.compaction import compact
from liftgate.data.production_log.live import LogWriter
folder, first = Path(sys.argv[1]), int(sys.argv[2])
writer = LogWriter(folder, print)
import os
def acknowledge(number):
    return lambda committed: os.write(1, b"%d\\n" % number) if committed else None
for number in range(first, first + 1_000_000):
    time = START + number * 60.0
    writer.add(logged(number, time=time), acknowledge(number))
    if number % 97 == 96:
        compact(folder, now=time)
"""


def test_a_process_that_is_killed_at_any_time_loses_no_acknowledged_row_and_doubles_none(tmp_path: Path) -> None:
    tests, chance = str(Path(__file__).parents[2]), random.Random(0)
    acknowledged: set[int] = set()
    for kill in range(KILLS):
        first = kill * 1_000_000
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path), str(first), tests], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(chance.uniform(0, 0.4))
        child.send_signal(signal.SIGKILL)
        text = child.stdout.read()
        child.wait()
        child.stdout.close()
        acknowledged |= {first} | {int(line) for line in text.split(b"\n")[:-1]}
    numbers = [int(Path(one.image).stem) for one in read_log(tmp_path)]
    assert len(acknowledged) > KILLS
    assert acknowledged <= set(numbers), "no acknowledged row is lost"
    assert len(numbers) == len(set(numbers)), "no row is there twice"
    compact(tmp_path, now=START + 1e12)
    assert sorted(int(Path(one.image).stem) for one in read_log(tmp_path)) == sorted(numbers)


def test_servers_that_begin_at_once_make_one_log(tmp_path: Path) -> None:
    for number in range(20):
        with ThreadPoolExecutor(6) as pool:
            opened = list(pool.map(lambda _, n=number: open_log(tmp_path / str(n), create=True), range(6)))
        for db in opened:
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            db.close()


def test_two_servers_write_one_log(tmp_path: Path) -> None:
    tests = str(Path(__file__).parents[2])
    children = [
        subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path), str(first), tests], stdout=subprocess.PIPE)
        for first in (0, 1_000_000)
    ]
    acknowledged: set[int] = set()
    for child in children:
        assert child.stdout is not None
        acknowledged |= {int(child.stdout.readline()) for _ in range(200)}
    for child in children:
        child.kill()
        assert child.stdout is not None
        acknowledged |= {int(line) for line in child.stdout.read().split(b"\n")[:-1]}
        child.wait()
        child.stdout.close()
    numbers = [int(Path(one.image).stem) for one in read_log(tmp_path)]
    assert acknowledged <= set(numbers) and len(numbers) == len(set(numbers))


def test_a_few_images_are_found_among_many_without_reading_all(tmp_path: Path) -> None:
    for hour in range(6):
        write_many(tmp_path, [logged(hour * 20_000 + n, time=START + hour * HOUR + n * 0.1) for n in range(20_000)])
        compact(tmp_path, now=START + (hour + 1) * HOUR)
    begun = time.process_time()
    found = list(read_log(tmp_path, LogFilter(images={f"gate/{n:06d}.jpg" for n in range(0, 120_000, 1000)})))
    assert len(found) == 120
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    ("before", "flag", "after"),
    [
        (("green", ()), "yellow", ("yellow", ("disagreement",))),
        (("yellow", ("flicker",)), "yellow", ("yellow", ("flicker", "disagreement"))),
        (("yellow", ("flicker",)), "red", ("red", ("disagreement",))),
        (("red", ("too_dark",)), "yellow", ("red", ("too_dark",))),
    ],
)
def test_a_row_gets_its_colour_after_it_was_written(
    tmp_path: Path, before: tuple[Quality, tuple[str, ...]], flag: Quality, after: tuple[Quality, tuple[str, ...]]
) -> None:
    rows = [replace(logged(number), quality=before[0], reasons=before[1]) for number in range(3)]
    write(tmp_path, rows)
    writer = LogWriter(tmp_path, pytest.fail)
    writer.flag(Flag(rows[1].time, rows[1].camera, rows[1].image, flag, "disagreement"))
    writer.flag(Flag(rows[1].time, rows[1].camera, "no such image", flag, "disagreement"))
    writer.close()
    found = [(one.quality, one.reasons) for one in sorted(read_log(tmp_path), key=lambda one: one.image)]
    assert found == [before, after, before]
