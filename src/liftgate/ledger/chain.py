"""Chain: an append-only table in SQLite in which every entry holds the hash of the one before.

Every read checks the chain up to its end, as far as this object has not checked it before, and every append checks it
before it writes; `verify` checks all of it again. What that proves, and what not, is in
docs/decisions/0004-what-the-ledger-proves.md: an entry that was changed, removed or moved is named. Entries cut off at
the end are noticed by the head file beside the ledger; if both are rewritten, or everything, that is noticed only by a
head hash kept elsewhere, such as the one in a report (`verify(head=…)`).
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from liftgate.errors import LedgerError
from liftgate.hashing import short
from liftgate.ledger.head_file import WAY_OUT, Head, HeadFile
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
from liftgate.locks import waiting_lock

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
"""The previous hash of the first entry"""

_PATIENCE = 60.0  # seconds that SQLite waits for another process, which holds the file for milliseconds
_SQLITE = b"SQLite format 3\0"
_FULL = "make room on the disk: the same command goes on"
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


# Cells come as bytes, which need no decoding to be hashed; whether one was text is read beside them.
_COLUMNS = (
    "seq, time, kind, body, previous, hash, typeof(time) = 'text' AND typeof(kind) = 'text' AND "
    "typeof(body) = 'text' AND typeof(previous) = 'text' AND typeof(hash) = 'text'"
)


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


# What `content_hash` of seq, time, kind, body and previous hashes, for values of these types.
_HASHED = b"l1:5i%d:%ds%d:%bs%d:%bs%d:%bs64:%b"


class _Row(NamedTuple):
    """A row as SQLite has it, not decoded."""

    seq: int
    time: bytes
    kind: bytes
    body: bytes
    previous: bytes
    hash: bytes
    is_text: int

    def content_hash(self) -> bytes:
        """Return the hash of the list of seq, time, kind, body and previous, as `hashing.content_hash` defines it."""
        parts = (len(self.time), self.time, len(self.kind), self.kind, len(self.body), self.body, self.previous)
        return sha256(_HASHED % (len(str(self.seq)), self.seq, *parts)).hexdigest().encode()

    def entry(self) -> Entry:
        """Decode a row whose hash was checked."""
        return Entry(
            self.seq,
            self.time.decode(),
            self.kind.decode(),
            json.loads(self.body),
            self.previous.decode(),
            self.hash.decode(),
        )


class Ledger:
    """A ledger file. Nothing is written before the first `append`; each call opens the file for itself."""

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.path = path
        self._head_file = HeadFile(path)
        self._clock = clock
        self._checked: list[bytes] = []  # hashes of the entries that were checked, in order

    @property
    def head_path(self) -> Path:
        """File beside the ledger that says how far it went: sequence number and hash of the last entry."""
        return self._head_file.path

    def append(self, kind: str, body: Body) -> Entry:
        """Write one entry for good and return it; safe from several processes at once.

        Raises:
            LedgerError: the body is no plain JSON (NaN, a path, a key that is no string), or as `append_if`.

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

        Nothing is written between the reading and the entry: counting and gate versions rest on it. Writers wait in
        one line.

        Raises:
            LedgerError: the file is damaged or the disk is full. Nothing was written.
        """
        if kind not in KINDS:
            raise LedgerError(f"no kind of entry `{kind}`", hint="known: " + ", ".join(KINDS))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with waiting_lock(self.path.with_name(self.path.name + ".lock")):
            row = self._append(kind, decide)
            if row is None:
                return None
            self._checked.append(row.hash)
            # The entry is written: a head that is one behind is no damage, and an error here would deny the entry.
            with contextlib.suppress(OSError):
                self._head_file.write(self._checked)
        return row.entry()

    def add(self, record: LedgerRecord) -> Entry:
        """Append a typed record; see `append`."""
        return self.append(record.KIND, record.to_body())

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Return the entries in order, all or of one kind; none while there is no file.

        Raises:
            LedgerError: the file is no ledger or cannot be read, or an entry was changed, removed or moved.
        """
        return [row.entry() for row in self._read(kind)]

    def records(self, record: type[R]) -> list[R]:
        """Return the entries of one kind, in order, as typed records.

        Raises:
            LedgerError: as `entries`; or one of them cannot be read as such a record.
        """
        return [entry.parse(record) for entry in self.entries(record.KIND)]

    def is_foreign(self) -> bool:
        """Return whether the file is something else under this name: it has no head file, and no table of entries.

        A file of which this cannot be told, such as one that may not be read, counts as a ledger.
        """
        if self.head_path.exists() or not self.path.is_file():
            return not self.head_path.exists()
        try:
            with self.path.open("rb") as file:
                if file.read(len(_SQLITE)) != _SQLITE:
                    return True
            with self._connection("ro") as db:
                columns = {row[1] for row in db.execute("PRAGMA table_info(entries)")}
        except (OSError, LedgerError):
            return False
        return not {b"seq", b"kind", b"body", b"previous", b"hash"} <= columns

    @property
    def head(self) -> str:
        """Hash of the newest entry, which vouches for all before it; empty while there is none."""
        self._read("")
        return self._checked[-1].decode() if self._checked else ""

    def verify(self, head: str | None = None) -> int:
        """Check the whole chain again and return how many entries it has.

        Args:
            head: hash of an entry that is known to have been there (from a report, say), 12 digits or more.

        Raises:
            LedgerError: names the first entry that was changed, removed or moved.
        """
        if self.path.exists() and not self.path.is_file():
            raise LedgerError("this is no ledger", where=self.path, expected="ledger.sqlite")
        self._checked = []
        self._read("")
        if head is not None and not any(known.startswith(head.encode()) for known in self._checked):
            raise LedgerError(f"no entry has the hash {short(head)}: it was cut off or rewritten", where=self.path)
        return len(self._checked)

    def _read(self, kind: str | None) -> list[_Row]:
        # The head before the rows: a writer may add some meanwhile, and the head must not be ahead of what is read.
        head = self._head_file.read()
        if not self.path.exists() or self.path.stat().st_size == 0:  # empty: a first append that failed
            self._head_file.check(head, self._checked)
            return []
        with self._connection("rw") as db:
            db.execute("BEGIN")  # one state of the file for all statements
            return self._checked_rows(db, kind, head)

    def _append(self, kind: str, decide: Callable[[Sequence[Entry]], Body | None]) -> _Row | None:
        head = self._head_file.read()
        with self._connection("rwc") as db:
            # A rollback journal, not WAL: WAL loses pages on a reset before SQLite 3.51.3, and fails on network file
            # systems. EXTRA is FULL plus a sync of the folder, so that a commit survives a power cut.
            db.execute("PRAGMA journal_mode = DELETE")
            db.execute("PRAGMA synchronous = EXTRA")
            db.execute("BEGIN IMMEDIATE")
            for statement in _statements(_SCHEMA):
                db.execute(statement)
            rows = self._checked_rows(db, kind, head)
            if (0 if head is None else head.seq) < len(self._checked):
                # A kill came before it was written: it is never more than one entry behind.
                self._head_file.write(self._checked)
            body = decide([row.entry() for row in rows])
            if body is None:
                db.execute("ROLLBACK")
                return None
            row = self._next_row(kind, body)
            db.execute(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", (row.seq, *(cell.decode() for cell in row[1:6]))
            )
            try:
                db.execute("COMMIT")
            except sqlite3.Error:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                if db.execute("SELECT hash FROM entries WHERE seq = ?", (row.seq,)).fetchone() != (row.hash,):
                    raise
            return row

    def _checked_rows(self, db: sqlite3.Connection, kind: str | None, head: Head | None) -> list[_Row]:
        """Return the rows of a kind (None: all) after checking every entry that was not checked before.

        Of those that were, the ones that are returned are compared with the hash that they had.
        """
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchone():
            self._head_file.check(head, self._checked)  # a kill in the very first append leaves a file without a table
            return []
        found: list[_Row] = []
        known = len(self._checked)
        if db.execute("SELECT COUNT(*) FROM entries WHERE seq <= ?", (known,)).fetchone() != (known,):
            self._checked, known = [], 0  # checking all of them again says which is gone
        if known and kind != "":
            condition, values = ("", (known,)) if kind is None else (" AND kind = ?", (known, kind))
            for cells in db.execute(f"SELECT {_COLUMNS} FROM entries WHERE seq <= ?{condition} ORDER BY seq", values):
                row = _Row(*cells)
                if not row.is_text or not row.content_hash() == row.hash == self._checked[row.seq - 1]:
                    raise self._changed(row.seq)
                found.append(row)
        self._check_rest(db, None if kind is None else kind.encode(), found)
        self._head_file.check(head, self._checked)
        return found

    def _check_rest(self, db: sqlite3.Connection, kind: bytes | None, found: list[_Row]) -> None:
        """Check the entries that were not checked before; add those of a kind (None: all) to `found`."""
        last = self._checked[-1] if self._checked else ORIGIN.encode()
        expected = len(self._checked)
        # Ten thousand entries in less than 50 ms: no call and no object for an entry that is not returned.
        for cells in db.execute(f"SELECT {_COLUMNS} FROM entries WHERE seq > ? ORDER BY seq", (expected,)):
            seq, time, row_kind, body, previous, hash_, is_text = cells
            expected += 1
            if not is_text or seq != expected or previous != last:
                raise self._damage(_Row(*cells), expected, last)
            parts = (len(str(seq)), seq, len(time), time, len(row_kind), row_kind, len(body), body, previous)
            if sha256(_HASHED % parts).hexdigest().encode() != hash_:
                raise self._changed(seq)
            self._checked.append(hash_)
            last = hash_
            if kind is None or row_kind == kind:
                found.append(_Row(*cells))

    def _damage(self, row: _Row, expected: int, last: bytes) -> LedgerError:
        """Return what is wrong with a row that should be entry `expected`, after one whose hash is `last`."""
        if row.seq != expected:
            got = f"entry {row.seq} in its place"
            return LedgerError(f"entry {expected} was removed", where=self.path, got=got, hint=WAY_OUT)
        if not row.is_text:
            return self._changed(row.seq)
        return LedgerError(
            f"entry {expected} does not follow entry {expected - 1}: one was changed, moved or put in",
            where=self.path,
            expected=f"previous hash {short(last.decode())}",
            got=short(row.previous.decode(errors="replace")),
            hint=WAY_OUT,
        )

    def _changed(self, seq: int) -> LedgerError:
        what = f"entry {seq} was changed: its hash is not that of its content"
        return LedgerError(what, where=self.path, hint=WAY_OUT)

    def _next_row(self, kind: str, body: Body) -> _Row:
        time = self._clock().astimezone(UTC).isoformat(timespec="microseconds")
        previous = self._checked[-1] if self._checked else ORIGIN.encode()
        text = _canonical(kind, body)
        row = _Row(len(self._checked) + 1, time.encode(), kind.encode(), text.encode(), previous, b"", 1)
        return row._replace(hash=row.content_hash())

    @contextlib.contextmanager
    def _connection(self, mode: str) -> Iterator[sqlite3.Connection]:
        try:
            uri = f"file:{quote(str(self.path.absolute()))}?mode={mode}"
            db = sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None)
            try:
                db.text_factory = bytes
                yield db
            finally:
                db.close()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter: SQLite quotes the damage it found
            full = getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)
            hint = _FULL if full else None
            raise LedgerError(f"cannot be read or written: {error}", where=self.path, hint=hint) from error


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


def _canonical(kind: str, body: Body) -> str:
    """Return the body as JSON that is the same for the same value."""
    try:
        _refuse_keys(body)
        return json.dumps(body, sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise LedgerError(f"the body of a `{kind}` entry is not plain JSON: {error}") from None


def _refuse_keys(value: object) -> None:
    # json.dumps writes the key 1 as "1": what is read back would not be what was written.
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is not a string")
            _refuse_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_keys(item)
