"""The chain holds what was written, in order, and says which entry somebody touched."""

from __future__ import annotations

import errno
import functools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liftgate.errors import LedgerError
from liftgate.ledger import Ledger, head_file
from liftgate.ledger.records import NoteEntry

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "runs" / "ledger.sqlite")


def filled(path: Path, count: int = 5) -> Ledger:
    ledger = Ledger(path)
    for number in range(count):
        ledger.append("note", {"number": number, "text": "wörd"})
    return ledger


def touch(ledger: Ledger, *statements: str) -> None:
    """Do what a person with sqlite3 and an intention would do."""
    db = sqlite3.connect(ledger.path)
    for trigger in ("no_update", "no_delete", "only_next"):
        db.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def test_asking_for_a_ledger_writes_nothing(ledger: Ledger) -> None:
    assert (ledger.entries(), ledger.head, ledger.verify()) == ([], "", 0)
    assert not ledger.path.parent.exists()


def test_an_empty_file_is_a_ledger_that_somebody_is_about_to_write(ledger: Ledger) -> None:
    ledger.path.parent.mkdir()
    ledger.path.touch()  # as SQLite leaves it between opening a new file and the first commit
    assert not ledger.is_foreign() and ledger.entries() == []
    ledger.path.write_bytes(b"notes of somebody\n")
    assert ledger.is_foreign()


def test_entries_come_back_as_they_were_written_in_order_and_by_kind(ledger: Ledger) -> None:
    first = ledger.append("note", {"text": "a"})
    second = ledger.append("gate", {"nested": {"list": [1, 2.5, None, True]}})
    assert ledger.entries() == [first, second]
    assert ledger.entries("gate") == [second]
    assert (first.seq, second.seq, second.previous) == (1, 2, first.hash)
    assert ledger.head == second.hash
    assert ledger.verify() == 2


def test_entries_after_a_number_and_one_by_its_number_are_what_a_full_read_has(ledger: Ledger) -> None:
    for number in range(6):
        ledger.append("gate" if number % 3 == 2 else "note", {"text": str(number)})
    for reader in (ledger, Ledger(ledger.path)):
        for after in range(8):
            for kind in (None, "note", "gate"):
                assert reader.entries(kind, after=after) == [e for e in ledger.entries(kind) if e.seq > after]
        assert [reader.entry(number) for number in range(1, 7)] == ledger.entries()
        with pytest.raises(LedgerError, match="no entry 7"):
            reader.entry(7)
    touch(ledger, "UPDATE entries SET body = replace(body, '3', '8') WHERE seq = 4")
    with pytest.raises(LedgerError, match="entry 4 was changed"):
        ledger.entry(4)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(body=st.dictionaries(st.text(), JSON, max_size=4))
def test_any_plain_json_body_survives(body: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "ledger.sqlite")
        ledger.append("note", body)
        assert ledger.entries()[0].body == body
        assert ledger.verify() == 1


@pytest.mark.parametrize("body", [{"a": float("nan")}, {"a": float("inf")}, {1: "a"}, {"a": Path("x")}, {"a": {2: 1}}])
def test_what_is_not_plain_json_is_refused_and_nothing_is_written(ledger: Ledger, body: dict[Any, Any]) -> None:
    with pytest.raises(LedgerError, match="not plain JSON"):
        ledger.append("note", body)
    assert ledger.entries() == []
    assert ledger.append("note", {}).seq == 1


def test_an_unknown_kind_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="no kind of entry `notes`"):
        ledger.append("notes", {})


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET body = '{}' WHERE seq = 2",
        "DELETE FROM entries WHERE seq = 5",
        "INSERT OR REPLACE INTO entries VALUES (2, '', '', '', '', '')",
        "INSERT INTO entries VALUES (9, '', '', '', '', '')",
    ],
)
def test_the_database_itself_refuses_changes(tmp_path: Path, statement: str) -> None:
    ledger = filled(tmp_path / "ledger.sqlite")
    db = sqlite3.connect(ledger.path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(statement)
    db.close()
    assert ledger.verify() == 5


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE entries SET body = '{}' WHERE seq = 3", "entry 3 was changed"),
        ("UPDATE entries SET time = '2020-01-01' WHERE seq = 1", "entry 1 was changed"),
        ("UPDATE entries SET kind = 'gate' WHERE seq = 5", "entry 5 was changed"),
        ("UPDATE entries SET body = CAST(body AS BLOB) WHERE seq = 2", "entry 2 was changed"),
        ("UPDATE entries SET previous = hash WHERE seq = 2", "entry 2 does not follow entry 1"),
        ("DELETE FROM entries WHERE seq = 1", "entry 1 was removed"),
        ("DELETE FROM entries WHERE seq = 3", "entry 3 was removed"),
        ("DELETE FROM entries WHERE seq > 3", "entries 4 to 5 were removed"),
        ("DELETE FROM entries", "entries 1 to 5 were removed"),
        (
            "DELETE FROM entries WHERE seq = 3; UPDATE entries SET seq = seq - 1 WHERE seq > 3",
            "entry 3 does not follow",
        ),
        (
            "UPDATE entries SET seq = 99 WHERE seq = 2; UPDATE entries SET seq = 2 WHERE seq = 3; "
            "UPDATE entries SET seq = 3 WHERE seq = 99",
            "entry 2 does not follow entry 1",
        ),
    ],
)
def test_verify_names_the_first_entry_that_was_touched(tmp_path: Path, statement: str, said: str) -> None:
    ledger = filled(tmp_path / "ledger.sqlite")
    touch(ledger, *statement.split("; "))
    with pytest.raises(LedgerError, match=said):
        ledger.verify()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return filled(tmp_path_factory.mktemp("ledger") / "ledger.sqlite", 4)


def copied(ledger: Ledger, folder: Path) -> Ledger:
    for path in (ledger.path, ledger.head_path):
        shutil.copy(path, folder)
    return Ledger(folder / ledger.path.name)


@settings(max_examples=40, deadline=None)
@given(
    seq=st.integers(1, 4),
    column=st.sampled_from(["time", "kind", "body", "previous", "hash"]),
    position=st.integers(0, 200),
    flip=st.integers(1, 255),
)
def test_any_byte_changed_in_any_cell_is_found(whole: Ledger, seq: int, column: str, position: int, flip: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = copied(whole, Path(folder))
        db = sqlite3.connect(ledger.path)
        db.text_factory = bytes
        db.execute("DROP TRIGGER no_update")
        (cell,) = db.execute(f"SELECT {column} FROM entries WHERE seq = ?", (seq,)).fetchone()
        position %= len(cell)
        changed = cell[:position] + bytes([cell[position] ^ flip]) + cell[position + 1 :]
        db.execute(f"UPDATE entries SET {column} = CAST(? AS TEXT) WHERE seq = ?", (changed, seq))
        db.commit()
        db.close()
        with pytest.raises(LedgerError, match=f"entry {seq} "):
            ledger.verify()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_byte_changed_in_the_file_is_found_or_changes_no_entry(whole: Ledger, data: st.DataObject) -> None:
    content = bytearray(whole.path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(whole, Path(folder))
        copy.path.write_bytes(content)
        try:
            count = copy.verify()
        except LedgerError:
            return
        assert count == 4
        assert copy.entries() == whole.entries()


def test_a_ledger_that_was_cut_off_takes_no_further_entry(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "ledger.sqlite")
    touch(ledger, "DELETE FROM entries WHERE seq = 5")
    with pytest.raises(LedgerError, match="entries 5 to 5 were removed"):
        ledger.append("note", {})
    ledger.path.unlink()
    with pytest.raises(LedgerError, match="entries 1 to 5 were removed"):
        ledger.append("note", {})


def test_a_cut_with_a_forged_head_file_is_caught_by_a_hash_kept_elsewhere(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "ledger.sqlite")
    entries = ledger.entries()
    kept = entries[-1].hash
    assert ledger.verify(head=kept[:12]) == 5
    touch(ledger, "DELETE FROM entries WHERE seq = 5")
    ledger.head_path.write_text(json.dumps({"seq": 4, "hash": entries[-2].hash}))
    assert ledger.verify() == 4  # nothing on this machine tells
    with pytest.raises(LedgerError, match="no entry has the hash"):
        ledger.verify(head=kept)


@pytest.mark.parametrize("content", ["", "[]", '{"seq": "x", "hash": 1}', '{"seq": 0, "hash": "a"}', "\xff"])
def test_a_damaged_head_file_is_an_error_with_words(tmp_path: Path, content: str) -> None:
    ledger = filled(tmp_path / "ledger.sqlite")
    ledger.head_path.write_text(content, encoding="latin-1")
    with pytest.raises(LedgerError, match="head file cannot be read"):
        ledger.verify()


def test_a_missing_head_file_is_noticed(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "ledger.sqlite")
    ledger.head_path.unlink()
    with pytest.raises(LedgerError, match="head file is gone"):
        ledger.verify()


def test_a_ledger_that_was_cut_off_is_an_error_with_the_way_out(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.add(NoteEntry("one"))
    os.truncate(ledger.path, ledger.path.stat().st_size // 2)
    with pytest.raises(LedgerError, match="malformed") as refused:
        Ledger(ledger.path).entries()
    assert refused.value.hint == head_file.RECOVERY_HINT


def test_a_crash_between_an_entry_and_its_head_is_no_damage(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "ledger.sqlite", 3)
    old_head = ledger.head_path.read_bytes()
    ledger.append("note", {"number": 4})
    ledger.head_path.write_bytes(old_head)
    assert ledger.verify() == 4
    ledger.append("note", {"number": 5})
    assert ledger.verify() == 5


def test_a_clock_set_back_a_day_does_not_break_the_order(tmp_path: Path) -> None:
    now = datetime(2026, 11, 5, 12, tzinfo=UTC)
    times = iter([now, now - timedelta(days=1), now + timedelta(hours=1)])
    ledger = Ledger(tmp_path / "ledger.sqlite", clock=lambda: next(times))
    for number in range(3):
        ledger.append("note", {"number": number})
    assert [entry.body["number"] for entry in ledger.entries()] == [0, 1, 2]
    assert ledger.entries()[1].time < ledger.entries()[0].time
    assert ledger.verify() == 3


def test_two_processes_append_at_once_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    script = (
        "import sys; from pathlib import Path; from liftgate.ledger import Ledger\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "for number in range(20): ledger.append('note', {'who': sys.argv[2], 'number': number})"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, str(path), who]) for who in ("a", "b", "c")]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    ledger = Ledger(path)
    assert ledger.verify() == 60
    for who in "abc":
        assert [e.body["number"] for e in ledger.entries() if e.body["who"] == who] == list(range(20))
    assert json.loads(ledger.head_path.read_text())["seq"] == 60


def test_an_exception_while_deciding_leaves_the_ledger_as_it_was_and_unlocked(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "ledger.sqlite", 2)

    def decide(_: object) -> None:
        raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError):
        ledger.append_if("note", decide)
    assert ledger.append("note", {}).seq == 3


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to look like one" * 30, b"SQLite format 3\0"]
)
def test_a_file_that_is_no_ledger_gives_one_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(content)
    for act in (Ledger(path).verify, Ledger(path).entries, lambda: Ledger(path).append("note", {})):
        with pytest.raises(LedgerError, match="cannot be read or written"):
            act()


# every use checks the chain


USES: dict[str, Callable[[Ledger], object]] = {
    "all entries": lambda ledger: ledger.entries(),
    "entries of another kind": lambda ledger: ledger.entries("gate"),
    "records": lambda ledger: ledger.records(NoteEntry),
    "head": lambda ledger: ledger.head,
    "append": lambda ledger: ledger.append("note", {"text": "more"}),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("fresh", [True, False], ids=["another process", "the same object"])
def test_one_changed_digit_is_noticed_by_every_use_that_returns_it(
    tmp_path: Path, use: Callable[[Ledger], object], fresh: bool
) -> None:
    ledger = filled(tmp_path / "ledger.sqlite")
    assert len(ledger.entries()) == 5
    ledger.append("gate", {})
    touch(ledger, "UPDATE entries SET body = replace(body, '3', '8') WHERE seq = 4")
    if not fresh and use in (USES["entries of another kind"], USES["head"], USES["append"]):
        assert use(ledger), "entry 4 is not returned, and was checked by this object when it was sound"
        with pytest.raises(LedgerError, match="entry 4 was changed"):
            ledger.verify()
        return
    with pytest.raises(LedgerError, match="entry 4 was changed"):
        use(Ledger(ledger.path) if fresh else ledger)


@pytest.mark.parametrize("after", [0, 2])
def test_an_entry_that_was_given_another_kind_is_not_left_out_by_the_object_that_knew_it(
    tmp_path: Path, after: int
) -> None:
    """A verdict that is called a note would leave the one before it as the newest."""
    ledger = filled(tmp_path / "ledger.sqlite")
    ledger.append("gate", {})
    assert [len(ledger.entries(kind, after=after)) for kind in ("note", "gate")] == [5 - after, 1]
    touch(ledger, "UPDATE entries SET kind = 'check' WHERE seq = 4")
    assert len(ledger.entries("gate")) == 1
    with pytest.raises(LedgerError, match="entry 4 was changed"):
        ledger.entries("note", after=after)


@pytest.mark.parametrize("use", ["head", "append"])
def test_nothing_is_built_on_a_last_entry_that_was_changed(tmp_path: Path, use: str) -> None:
    ledger = filled(tmp_path / "ledger.sqlite")
    touch(ledger, "UPDATE entries SET body = replace(body, '4', '8') WHERE seq = 5")
    with pytest.raises(LedgerError, match="entry 5 was changed"):
        USES[use](ledger)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_removed_entry_is_noticed_by_every_use_also_by_the_object_that_knew_it(
    tmp_path: Path, use: Callable[[Ledger], object]
) -> None:
    ledger = filled(tmp_path / "ledger.sqlite")
    assert ledger.head
    touch(ledger, "DELETE FROM entries WHERE seq = 2")
    with pytest.raises(LedgerError, match="entry 2 was removed") as refused:
        use(ledger)
    assert refused.value.hint


def test_a_read_beside_a_writer_never_accuses_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    script = (
        "import sys; from pathlib import Path; from liftgate.ledger import Ledger\n"
        "for number in range(60): Ledger(Path(sys.argv[1])).append('note', {'text': str(number)})"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(path)]) as writer:
        counts = []
        while writer.poll() is None:
            counts.append(Ledger(path).verify())
    assert writer.returncode == 0 and counts == sorted(counts)
    assert Ledger(path).verify() == 60


# writers


def test_an_entry_that_was_written_is_never_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = filled(tmp_path / "ledger.sqlite", 2)

    def full(path: Path, value: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(head_file, "write_json", full)  # the head cannot be written
        assert ledger.append("note", {"text": "a"}).seq == 3
    assert Ledger(ledger.path).verify() == 3
    assert ledger.append("note", {"text": "b"}).seq == 4
    assert json.loads(ledger.head_path.read_text())["seq"] == 4


@pytest.mark.parametrize("moment", ["decide", "head"])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_kill_in_an_append_leaves_no_error_behind(tmp_path: Path, moment: str, before: int) -> None:
    path = tmp_path / "ledger.sqlite"
    if before:
        filled(path, before)
    script = (
        "import os, sys; from pathlib import Path; from liftgate.ledger import head_file, Ledger\n"
        "def die(*_): os.kill(os.getpid(), 9)\n"
        "if sys.argv[2] == 'head': head_file.write_json = die\n"
        "decide = die if sys.argv[2] == 'decide' else lambda _: {'text': 'x'}\n"
        "Ledger(Path(sys.argv[1])).append_if('note', decide)"
    )
    for _ in range(2):  # two in a row: the head is never more than one entry behind
        assert subprocess.run([sys.executable, "-c", script, str(path), moment], check=False).returncode == -9
        count = len(Ledger(path).entries())
        assert Ledger(path).verify() == count
    assert Ledger(path).append("note", {"text": "y"}).seq == count + 1
    assert Ledger(path).verify() == count + 1


def test_a_full_disk_has_its_hint(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "ledger.sqlite", 1)

    def full(_: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with pytest.raises(LedgerError, match="disk is full") as refused:
        ledger.append_if("note", full)
    assert refused.value.hint is not None and "make room" in refused.value.hint
    assert ledger.verify() == 1


@pytest.mark.parametrize("entries", [0, 1])
def test_a_disk_that_is_full_at_the_commit_has_its_hint(
    entries: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = filled(tmp_path / "ledger.sqlite", entries)

    class FullAtCommit(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql == "COMMIT":
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
            return super().execute(sql, *values)

    with monkeypatch.context() as full:
        full.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=FullAtCommit))
        with pytest.raises(LedgerError, match="disk is full") as refused:
            ledger.append("note", {"text": "a"})
    assert refused.value.hint is not None and "make room" in refused.value.hint
    assert ledger.append("note", {"text": "a"}).seq == entries + 1 == Ledger(ledger.path).verify()


def test_writers_wait_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    script = (
        "import sys, time; from pathlib import Path; from liftgate.ledger import Ledger\n"
        "worst = 0.0\n"
        "for number in range(15):\n"
        "    begun = time.monotonic(); Ledger(Path(sys.argv[1])).append('note', {'text': str(number)})\n"
        "    worst = max(worst, time.monotonic() - begun)\n"
        "print(worst)"
    )
    command = [sys.executable, "-c", script, str(path)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    waits = [float(writer.communicate()[0]) for writer in writers]
    assert all(writer.returncode == 0 for writer in writers)
    assert Ledger(path).verify() == 8 * 15
    assert max(waits) < 20.0, "5 s on a quiet machine: benchmarks/record.py measures it"


def test_a_kill_in_the_middle_of_the_first_commit_leaves_no_error_behind(tmp_path: Path) -> None:
    begun = tmp_path / "begun" / "ledger.sqlite"
    begun.parent.mkdir()
    db = sqlite3.connect(begun, isolation_level=None)
    db.execute("PRAGMA cache_size = 1")  # pages go to the file before the commit
    db.execute("BEGIN IMMEDIATE")
    db.execute("CREATE TABLE entries (seq INTEGER PRIMARY KEY, body TEXT)")
    db.executemany("INSERT INTO entries (body) VALUES (?)", [("x" * 3000,)] * 40)
    killed = Ledger(tmp_path / "killed" / "ledger.sqlite")
    shutil.copytree(begun.parent, killed.path.parent)  # as the disk is at this moment: a file, and its journal
    db.close()
    assert killed.path.stat().st_size and list(killed.path.parent.glob("*-journal"))
    assert not killed.is_foreign()
    assert killed.entries() == []
    assert killed.append("note", {"text": "a"}).seq == 1 and Ledger(killed.path).verify() == 1


def test_a_ledger_lies_in_a_folder_of_any_name(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / os.fsdecode(b"k\xfcche 50%20?#") / "ledger.sqlite")
    ledger.append("note", {"text": "a"})
    assert Ledger(ledger.path).verify() == 1 and not ledger.is_foreign()
