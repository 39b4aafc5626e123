"""The chain: an append-only table in SQLite in which every entry holds the hash of the one before.

What it proves, and what not (docs/decisions/0004-what-the-ledger-proves.md): an entry that was changed, removed or
moved is named by `verify`. Entries cut off at the end are noticed by the head file beside the ledger; who rewrites
both, or everything, is only caught by a head hash kept elsewhere, such as the one in a report (`verify(head=…)`).
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from liftgate.errors import LedgerError
from liftgate.files import write_json
from liftgate.hashing import content_hash, short
from liftgate.ledger.records import (
    Body,
    CheckEntry,
    DataEntry,
    DecisionEntry,
    EvaluationEntry,
    FlowEntry,
    GateEntry,
    IgnoreEntry,
    LedgerRecord,
    LockboxEntry,
    NoteEntry,
    StepEntry,
    StudyEntry,
    VerdictEntry,
)
from liftgate.ledger.results import RunEntry

RECORDS: tuple[type[LedgerRecord], ...] = (
    StudyEntry,
    DataEntry,
    GateEntry,
    CheckEntry,
    FlowEntry,
    StepEntry,
    RunEntry,
    EvaluationEntry,
    VerdictEntry,
    DecisionEntry,
    IgnoreEntry,
    LockboxEntry,
    NoteEntry,
)
KINDS = tuple(record.KIND for record in RECORDS)
R = TypeVar("R", bound=LedgerRecord)
ORIGIN = "0" * 64
"""What stands for the previous hash in the first entry."""

_PATIENCE = 60.0  # seconds that an append waits for another process
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY, time TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
    previous TEXT NOT NULL, hash TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS only_next BEFORE INSERT ON entries
    WHEN NEW.seq IS NOT (SELECT COALESCE(MAX(seq), 0) + 1 FROM entries)
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened."""

    seq: int
    """1, 2, 3 …: the order of the ledger"""
    time: str
    """UTC, ISO 8601, as this machine's clock had it; a clock may be wrong, `seq` is not"""
    kind: str
    body: Body
    """Plain JSON values."""
    previous: str
    hash: str

    def parse(self, record: type[R]) -> R:
        """Return the body as a typed record.

        Raises:
            LedgerError: it lacks a value or has one of another type; the message names the entry.
        """
        try:
            return record.from_body(self.body)
        except LedgerError as error:
            raise LedgerError(f"entry {self.seq} cannot be read: {error.what}", hint=error.hint) from None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


class Ledger:
    """A ledger file. Nothing is written before the first `append`; each call opens the file for itself."""

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.path = path
        self._clock = clock

    @property
    def head_path(self) -> Path:
        """File beside the ledger that says how far it went: sequence number and hash of the last entry."""
        return self.path.with_name(self.path.name + ".head")

    def append(self, kind: str, body: Body) -> Entry:
        """Write one entry for good and return it; safe from several processes at once.

        Raises:
            LedgerError: the body is no plain JSON (NaN, a path, a key that is no string), or the file is damaged.

        >>> import tempfile
        >>> ledger = Ledger(Path(tempfile.mkdtemp()) / "ledger.sqlite")
        >>> ledger.append("note", {"text": "hello"}).seq
        1
        """
        entry = self.append_if(kind, lambda _: body)
        assert entry is not None
        return entry

    def append_if(self, kind: str, decide: Callable[[Sequence[Entry]], Body | None]) -> Entry | None:
        """Append what `decide` makes of the entries of this kind so far; None: nothing is written.

        No other process can write between the look and the entry: counting and gate versions rest on it.
        """
        if kind not in KINDS:
            raise LedgerError(f"no kind of entry `{kind}`", hint="known: " + ", ".join(KINDS))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._connection("rwc") as db:
            db.execute("BEGIN IMMEDIATE")  # the write lock at once: one taken later could deadlock with another reader
            for statement in _statements(_SCHEMA):
                db.execute(statement)
            last = self._checked_end(db)
            body = decide([_entry(row) for row in _rows(db, kind)])
            if body is None:
                db.execute("ROLLBACK")
                return None
            row = _next(last, kind, body, self._clock())
            db.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", row)
            db.execute("COMMIT")
            self._write_head(db)
        return _entry(row)

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Return the entries in order, all or of one kind; none while there is no file.

        Raises:
            LedgerError: the file is no ledger or cannot be read. (`verify` says whether it is untouched.)
        """
        if not self._begun:
            return []
        with self._connection("rw") as db:
            return [_entry(row) for row in _rows(db, kind)]

    def add(self, record: LedgerRecord) -> Entry:
        """Append a typed record; see `append`."""
        return self.append(record.KIND, record.to_body())

    def records(self, record: type[R]) -> list[R]:
        """Return the entries of one kind, in order, as typed records.

        Raises:
            LedgerError: as `entries`; or one of them cannot be read as such a record.
        """
        return [entry.parse(record) for entry in self.entries(record.KIND)]

    @property
    def head(self) -> str:
        """Hash of the newest entry, which vouches for all before it; empty while there is none."""
        if not self._begun:
            return ""
        with self._connection("rw") as db:
            row = db.execute("SELECT hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        return str(row[0]) if row else ""

    def verify(self, head: str | None = None) -> int:
        """Read the whole chain and return how many entries it has.

        Args:
            head: hash of an entry that is known to have been there (from a report, say), 12 digits or more.

        Raises:
            LedgerError: names the first entry that was changed, removed or moved.
        """
        hashes = []
        if self.path.exists() and not self.path.is_file():
            raise LedgerError("this is no ledger", where=self.path, expected="ledger.sqlite")
        if self._begun:
            with self._connection("rw") as db:
                previous = ORIGIN
                for expected, row in enumerate(_rows(db, None), start=1):
                    self._check(row, expected, previous)
                    previous = row[5]
                    hashes.append(previous)
        self._check_head(hashes)
        if head is not None and not any(known.startswith(head) for known in hashes):
            raise LedgerError(f"no entry has the hash {short(head)}: it was cut off or rewritten", where=self.path)
        return len(hashes)

    @property
    def _begun(self) -> bool:
        # A first append that failed leaves an empty file.
        return self.path.exists() and self.path.stat().st_size > 0

    def _check(self, row: Sequence[Any], expected: int, previous: str) -> None:
        if row[0] != expected:
            raise LedgerError(f"entry {expected} was removed", where=self.path, got=f"entry {row[0]} in its place")
        if row[4] != previous:
            raise LedgerError(
                f"entry {expected} does not follow entry {expected - 1}: one was changed, moved or put in",
                where=self.path,
                expected=f"previous hash {short(previous)}",
                got=short(str(row[4])),
            )
        if row[5] != _hash(row):
            raise LedgerError(f"entry {expected} was changed", where=self.path, hint="its hash is not its content's")

    def _check_head(self, hashes: Sequence[str]) -> None:
        head = self._read_head()
        if head is None:
            # One entry may have no head yet: killed between the two writes of the very first append.
            if len(hashes) > 1:
                raise LedgerError(
                    "the head file is gone", where=self.head_path, hint="was the ledger copied without it?"
                )
            return
        seq, hash_ = head
        if seq > len(hashes):
            raise LedgerError(
                f"entries {len(hashes) + 1} to {seq} were removed",
                where=self.path,
                expected=f"{seq} entries",
                got=len(hashes),
            )
        if hashes[seq - 1] != hash_:
            raise LedgerError(f"entry {seq} is another than the one the head file names", where=self.head_path)

    def _checked_end(self, db: sqlite3.Connection) -> Entry | None:
        """Return the last entry, or refuse to write over signs of damage."""
        row = db.execute("SELECT * FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        head = self._read_head()
        seq = row[0] if row else 0
        if head is not None and head[0] > seq:
            raise LedgerError(
                f"entries {seq + 1} to {head[0]} were removed: nothing more is written to it",
                where=self.path,
                hint="restore the file; or move the ledger and its .head file away together, and begin a new one",
            )
        if row is None:
            return None
        if row[5] != _hash(row):
            raise LedgerError(f"entry {seq} was changed: nothing more is written to it", where=self.path)
        return _entry(row)

    def _read_head(self) -> tuple[int, str] | None:
        try:
            head = json.loads(self.head_path.read_bytes())
            seq, hash_ = head["seq"], head["hash"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            raise LedgerError("the head file cannot be read", where=self.head_path) from None
        if not isinstance(seq, int) or isinstance(seq, bool) or seq < 1 or not isinstance(hash_, str):
            raise LedgerError("the head file cannot be read", where=self.head_path)
        return seq, hash_

    def _write_head(self, db: sqlite3.Connection) -> None:
        # After the commit, or a crash between the two would accuse an honest ledger of having lost an entry; under a
        # lock of its own, or a slower process could put an older head over a newer one.
        db.execute("BEGIN IMMEDIATE")
        seq, hash_ = db.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        write_json(self.head_path, {"seq": seq, "hash": hash_})
        db.execute("ROLLBACK")

    @contextlib.contextmanager
    def _connection(self, mode: str) -> Iterator[sqlite3.Connection]:
        try:
            uri = f"file:{quote(str(self.path.absolute()))}?mode={mode}"
            db = sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None)
            try:
                # Bytes that are no UTF-8 are kept, so that `verify` can say in which entry they stand.
                db.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
                # A rollback journal, not WAL: WAL loses pages on a reset before SQLite 3.51.3, and fails on network
                # file systems. EXTRA is FULL plus a sync of the folder, so that a commit survives a power cut.
                db.execute("PRAGMA journal_mode = DELETE")
                db.execute("PRAGMA synchronous = EXTRA")
                yield db
            finally:
                db.close()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter: SQLite quotes the damage it found
            raise LedgerError(f"cannot be read or written: {error}", where=self.path) from error


def _rows(db: sqlite3.Connection, kind: str | None) -> list[tuple[Any, ...]]:
    if kind is None:
        return db.execute("SELECT * FROM entries ORDER BY seq").fetchall()
    return db.execute("SELECT * FROM entries WHERE kind = ? ORDER BY seq", (kind,)).fetchall()


def _statements(script: str) -> list[str]:
    # Not executescript(): it would commit first. Not split(";"): a trigger holds one of its own.
    statements: list[str] = []
    part = ""
    for line in script.strip().splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            statements.append(part)
            part = ""
    return statements


def _next(last: Entry | None, kind: str, body: Body, now: datetime) -> tuple[int, str, str, str, str, str]:
    seq, previous = (last.seq + 1, last.hash) if last else (1, ORIGIN)
    time = now.astimezone(UTC).isoformat(timespec="microseconds")
    text = _canonical(kind, body)
    return (seq, time, kind, text, previous, _hash((seq, time, kind, text, previous)))


def _hash(row: Sequence[Any]) -> str:
    return content_hash(list(row[:5]))


def _canonical(kind: str, body: Body) -> str:
    """Return the body as JSON that is the same for the same value."""
    try:
        _refuse_keys(body)
        return json.dumps(body, sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise LedgerError(f"the body of a `{kind}` entry is not plain JSON: {error}") from None


def _refuse_keys(value: Any) -> None:
    # json.dumps writes the key 1 as "1": what is read back would not be what was written.
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is not a string")
            _refuse_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_keys(item)


def _entry(row: Sequence[Any]) -> Entry:
    try:
        return Entry(row[0], row[1], row[2], json.loads(row[3]), row[4], row[5])
    except (TypeError, ValueError):
        raise LedgerError(f"entry {row[0]} was changed: its body cannot be read") from None
