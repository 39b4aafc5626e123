"""The chain holds what was written, in order, and says which entry somebody touched."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liftgate.errors import LedgerError
from liftgate.ledger import Ledger

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


def test_entries_come_back_as_they_were_written_in_order_and_by_kind(ledger: Ledger) -> None:
    first = ledger.append("note", {"text": "a"})
    second = ledger.append("gate", {"nested": {"list": [1, 2.5, None, True]}})
    assert ledger.entries() == [first, second]
    assert ledger.entries("gate") == [second]
    assert (first.seq, second.seq, second.previous) == (1, 2, first.hash)
    assert ledger.head == second.hash
    assert ledger.verify() == 2


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    kept = ledger.entries()[-1].hash
    assert ledger.verify(head=kept[:12]) == 5
    touch(ledger, "DELETE FROM entries WHERE seq = 5")
    ledger.head_path.write_text(json.dumps({"seq": 4, "hash": ledger.entries()[-1].hash}))
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
