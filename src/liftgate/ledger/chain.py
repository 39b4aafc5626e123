"""Hash chain: an append-only SQLite table in which every entry contains the hash of the previous one.

Every read checks the entries that this object has not checked before, and every append checks them before it writes;
`verify` checks all again. docs/decisions/0004-what-the-ledger-proves.md says what that proves: an entry that was
changed, removed or moved is named. Entries removed at the end are detected by the head file next to the ledger. If both
files are rewritten, only a head hash kept elsewhere, such as in a report, detects it (`verify(head=…)`).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from liftgate.errors import LedgerError, full_disk_hint
from liftgate.hashing import short
from liftgate.ledger import model_records, production_records, records
from liftgate.ledger.entry import HASHED, Entry, R, Row, canonical_body
from liftgate.ledger.head_file import RECOVERY_HINT, Head, HeadFile
from liftgate.ledger.mistake_records import MistakesEntry
from liftgate.ledger.records import Body, LedgerRecord
from liftgate.ledger.results import RunEntry
from liftgate.ledger.worth_records import WorthEntry
from liftgate.locks import waiting_lock

RECORDS: tuple[type[LedgerRecord], ...] = (
    records.StudyEntry,
    records.DataEntry,
    records.GateEntry,
    records.CheckEntry,
    records.FlowEntry,
    records.StepEntry,
    RunEntry,
    records.EvaluationEntry,
    records.VerdictEntry,
    records.DecisionEntry,
    records.IgnoreEntry,
    records.LockboxEntry,
    records.NoteEntry,
    records.SampleEntry,
    model_records.VersionEntry,
    model_records.ModelExportEntry,
    model_records.PromotionEntry,
    production_records.DriftEntry,
    MistakesEntry,
    WorthEntry,
)
KINDS = tuple(record.KIND for record in RECORDS)
ORIGIN = "0" * 64
"""The previous hash of the first entry"""

_TIMEOUT = 60.0  # seconds that SQLite waits for another process, which locks the file for milliseconds
_SQLITE = b"SQLite format 3\0"
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


# Cells are read as bytes, which can be hashed without decoding; the last column says whether all were text.
_COLUMNS = (
    "seq, time, kind, body, previous, hash, typeof(time) = 'text' AND typeof(kind) = 'text' AND "
    "typeof(body) = 'text' AND typeof(previous) = 'text' AND typeof(hash) = 'text'"
)


class Ledger:
    """A ledger file. It is created by the first `append`; every call opens and closes the file."""

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.path = path
        self._head_file = HeadFile(path)
        self._clock = clock
        self._checked: list[bytes] = []  # hashes of the entries that were checked, in order
        self._kinds: list[bytes] = []  # and what kind each is

    @property
    def head_path(self) -> Path:
        """File next to the ledger with the sequence number and hash of the last entry."""
        return self._head_file.path

    def append(self, kind: str, body: Body) -> Entry:
        """Append one entry and return it; safe with several processes at once.

        What this object has checked before is not checked again, but for the last entry.

        Raises:
            LedgerError: the body is not plain JSON (NaN, a path, a key that is no string), or as `append_if`.

        >>> import tempfile
        >>> ledger = Ledger(Path(tempfile.mkdtemp()) / "ledger.sqlite")
        >>> ledger.append("note", {"text": "hello"}).seq
        1
        """
        entry = self._append_one(kind, "", lambda _: body)
        assert entry is not None
        return entry

    def append_if(self, kind: str, decide: Callable[[Sequence[Entry]], Body | None]) -> Entry | None:
        """Append the body that `decide` returns for the entries of this kind so far; None: nothing is appended.

        Reading and writing are one transaction, so that entries can be counted and gates versioned safely. Other
        writers wait.

        Raises:
            LedgerError: the file is damaged or the disk is full. Nothing was written.
        """
        return self._append_one(kind, kind, decide)

    def _append_one(self, kind: str, shown: str, decide: Callable[[Sequence[Entry]], Body | None]) -> Entry | None:
        """Append what `decide` returns for the entries of the kind `shown`; "": it is shown none."""
        if kind not in KINDS:
            raise LedgerError(f"no kind of entry `{kind}`", hint="known: " + ", ".join(KINDS))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with waiting_lock(self.path.with_name(self.path.name + ".lock")):
            row = self._append(kind, shown, decide)
            if row is None:
                return None
            self._checked.append(row.hash)
            self._kinds.append(row.kind)
            # The entry is written, and a head file that is one entry behind is valid: do not raise for it.
            with contextlib.suppress(OSError):
                self._head_file.write(self._checked)
        return row.entry()

    def add(self, record: LedgerRecord) -> Entry:
        """Append a typed record; see `append`."""
        return self.append(record.KIND, record.to_body())

    def entries(self, kind: str | None = None, *, after: int = 0) -> list[Entry]:
        """Return the entries in order, all or of one kind, whose number is above `after`; none while there is no file.

        Raises:
            LedgerError: the file is no ledger or cannot be read, or an entry was changed, removed or moved.
        """
        return [row.entry() for row in self._read(kind, after)]

    def entry(self, number: int) -> Entry:
        """Return one entry by its number.

        Raises:
            LedgerError: as `entries`; or there is none.
        """
        found = self._read(None, number - 1, number)
        if not found:
            raise LedgerError(f"there is no entry {number}", where=self.path)
        return found[0].entry()

    def require_known_kinds(self) -> None:
        """Refuse a ledger with entries of a kind that this version does not know, before anything is appended.

        Raises:
            LedgerError: a newer version wrote it.
        """
        for row in self._read(None):
            if (kind := row.kind.decode()) not in KINDS:
                raise LedgerError(
                    f"entry {row.seq} is of a kind that this version does not know: `{kind}`",
                    where=self.path,
                    hint="a newer version of Liftgate wrote it: go on with that one",
                )

    def records(self, record: type[R]) -> list[R]:
        """Return the entries of one kind, in order, as typed records.

        Raises:
            LedgerError: as `entries`; or one of them cannot be read as such a record.
        """
        return [entry.parse(record) for entry in self.entries(record.KIND)]

    def is_foreign(self) -> bool:
        """Return whether the file is something else under this name: it has no head file, and no table of entries.

        A file for which this is unknown, such as one without read permission, counts as a ledger; so does an empty one,
        file or database, which another process may be about to write its first entry to.
        """
        if self.head_path.exists() or not self.path.is_file():
            return not self.head_path.exists()
        try:
            with self.path.open("rb") as file:
                begin = file.read(len(_SQLITE))
            if begin != _SQLITE:  # with a journal, a process was killed in its first commit: SQLite undoes it
                return begin != b"" and not self.path.with_name(f"{self.path.name}-journal").exists()
            with self._connection("rw") as db:  # not "ro", which cannot undo what a killed process had begun
                if not db.execute("SELECT 1 FROM sqlite_master").fetchone():
                    return False  # after a first append that was killed
                columns = {row[1] for row in db.execute("PRAGMA table_info(entries)")}
        except OSError:
            return False
        except LedgerError as error:
            return getattr(error.__cause__, "sqlite_errorname", "") == "SQLITE_NOTADB"
        return not {b"seq", b"kind", b"body", b"previous", b"hash"} <= columns

    @property
    def head(self) -> str:
        """Hash of the newest entry, which covers all entries; empty while there is none."""
        self._read("")
        return self._checked[-1].decode() if self._checked else ""

    def verify(self, head: str | None = None) -> int:
        """Check the whole chain again and return how many entries it has.

        Args:
            head: hash of an entry that must exist, such as one in a report; at least 12 digits.

        Raises:
            LedgerError: names the first entry that was changed, removed or moved.
        """
        if self.path.exists() and not self.path.is_file():
            raise LedgerError("this is no ledger", where=self.path, expected="ledger.sqlite")
        self._checked, self._kinds = [], []
        self._read("")
        if head is not None and not any(known.startswith(head.encode()) for known in self._checked):
            raise LedgerError(f"no entry has the hash {short(head)}: it was cut off or rewritten", where=self.path)
        return len(self._checked)

    def copy_to(self, path: Path) -> None:
        """Write a copy of the ledger, with its head file; entries that are appended meanwhile may be in it.

        Raises:
            LedgerError: the ledger is damaged, or the copy cannot be written.
        """
        entries = self.verify()
        if not entries:
            raise LedgerError("there is nothing to copy: the ledger is empty", where=self.path)
        copy = Ledger(path)
        with self._connection("rw") as db, copy._connection("rwc") as target:
            db.backup(target)
        copy._head_file.write(self._checked[:entries])

    def _read(self, kind: str | None, after: int = 0, last: int | None = None) -> list[Row]:
        # Read the head before the rows: a writer may add rows meanwhile, and the head must not be ahead of them.
        head = self._head_file.read()
        if not self.path.exists() or self.path.stat().st_size == 0:  # empty after a first append that failed
            self._head_file.check(head, self._checked)
            return []
        with self._connection("rw") as db:
            db.execute("BEGIN")  # one snapshot of the file for all statements
            return self._checked_rows(db, kind, head, after, last)

    def _append(self, kind: str, shown: str, decide: Callable[[Sequence[Entry]], Body | None]) -> Row | None:
        head = self._head_file.read()
        with self._connection("rwc") as db:
            # A rollback journal, not WAL: WAL loses pages on a reset before SQLite 3.51.3, and fails on network file
            # systems. EXTRA is FULL plus a sync of the folder, so that a commit survives a power cut.
            db.execute("PRAGMA journal_mode = DELETE")
            db.execute("PRAGMA synchronous = EXTRA")
            db.execute("BEGIN IMMEDIATE")
            for statement in _statements(_SCHEMA):
                db.execute(statement)
            rows = self._checked_rows(db, shown, head)
            if (0 if head is None else head.seq) < len(self._checked):
                # A process was killed before it wrote the head, which is at most one entry behind.
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
                if not _is_written(db, row):
                    raise
            return row

    def _checked_rows(
        self, db: sqlite3.Connection, kind: str | None, head: Head | None, after: int = 0, last: int | None = None
    ) -> list[Row]:
        """Return the rows of a kind (None: all) above `after`, up to `last`, after checking all entries that are new.

        Of entries checked before, those that are returned are compared with their known hash, and their number with
        that of their kind, so that none is left out that was given another kind.
        """
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchone():
            # A process that was killed in the first append leaves a file without a table.
            self._head_file.check(head, self._checked)
            return []
        found: list[Row] = []
        known = len(self._checked)
        if db.execute("SELECT COUNT(*) FROM entries WHERE seq <= ?", (known,)).fetchone() != (known,):
            self._checked, self._kinds, known = [], [], 0  # check all again, to find the missing one
        if known:
            # Of kind "" none is returned: the last one is compared, as what is appended names its hash.
            some = (known - 1, known) if kind == "" else (after, known if last is None else min(known, last))
            condition, values = (" AND kind = ?", [*some, kind]) if kind else ("", [*some])
            query = f"SELECT {_COLUMNS} FROM entries WHERE seq > ? AND seq <= ?{condition} ORDER BY seq"
            for cells in db.execute(query, values):
                row = Row(*cells)
                if not row.is_text or not row.content_hash() == row.hash == self._checked[row.seq - 1]:
                    raise self._changed_entry(row.seq)
                found.append(row)
            if kind and len(found) != self._kinds[some[0] : some[1]].count(kind.encode()):
                self._checked, self._kinds, found = [], [], []  # check all again, to find the one of another kind
        self._check_rest(db, None if kind is None else kind.encode(), found)
        self._head_file.check(head, self._checked)
        return [row for row in found if kind != "" and row.seq > after and (last is None or row.seq <= last)]

    def _check_rest(self, db: sqlite3.Connection, kind: bytes | None, found: list[Row]) -> None:
        """Check the entries that were not checked before; add those of a kind (None: all) to `found`."""
        last = self._checked[-1] if self._checked else ORIGIN.encode()
        expected = len(self._checked)
        kinds: dict[bytes, bytes] = {}  # each name is kept once
        # For speed (10,000 entries in under 50 ms): no call and no object per entry that is not returned.
        for cells in db.execute(f"SELECT {_COLUMNS} FROM entries WHERE seq > ? ORDER BY seq", (expected,)):
            seq, time, row_kind, body, previous, hash_, is_text = cells
            expected += 1
            if not is_text or seq != expected or previous != last:
                raise self._broken_link(Row(*cells), expected, last)
            parts = (len(str(seq)), seq, len(time), time, len(row_kind), row_kind, len(body), body, previous)
            if sha256(HASHED % parts).hexdigest().encode() != hash_:
                raise self._changed_entry(seq)
            self._checked.append(hash_)
            self._kinds.append(kinds.setdefault(row_kind, row_kind))
            last = hash_
            if kind is None or row_kind == kind:
                found.append(Row(*cells))

    def _broken_link(self, row: Row, expected: int, last: bytes) -> LedgerError:
        """Return the error for a row that should be entry `expected` and follow one whose hash is `last`."""
        if row.seq != expected:
            got = f"entry {row.seq} in its place"
            return LedgerError(f"entry {expected} was removed", where=self.path, got=got, hint=RECOVERY_HINT)
        if not row.is_text:
            return self._changed_entry(row.seq)
        return LedgerError(
            f"entry {expected} does not follow entry {expected - 1}: one was changed, moved or put in",
            where=self.path,
            expected=f"previous hash {short(last.decode())}",
            got=short(row.previous.decode(errors="replace")),
            hint=RECOVERY_HINT,
        )

    def _changed_entry(self, seq: int) -> LedgerError:
        what = f"entry {seq} was changed: its hash is not that of its content"
        return LedgerError(what, where=self.path, hint=RECOVERY_HINT)

    def _next_row(self, kind: str, body: Body) -> Row:
        time = self._clock().astimezone(UTC).isoformat(timespec="microseconds")
        previous = self._checked[-1] if self._checked else ORIGIN.encode()
        text = canonical_body(kind, body)
        row = Row(len(self._checked) + 1, time.encode(), kind.encode(), text.encode(), previous, b"", 1)
        return row._replace(hash=row.content_hash())

    @contextlib.contextmanager
    def _connection(self, mode: str) -> Iterator[sqlite3.Connection]:
        try:
            uri = f"file:{quote(os.fsencode(self.path.absolute()))}?mode={mode}"
            db = sqlite3.connect(uri, uri=True, timeout=_TIMEOUT, isolation_level=None)
            try:
                db.text_factory = bytes
                yield db
            finally:
                db.close()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # UnicodeDecodeError: SQLite's message quotes damaged text
            what = f"cannot be read or written: {error}"
            damaged = getattr(error, "sqlite_errorname", "").startswith("SQLITE_CORRUPT")
            hint = RECOVERY_HINT if damaged else full_disk_hint(error)
            raise LedgerError(what, where=self.path, hint=hint) from error


def _is_written(db: sqlite3.Connection, row: Row) -> bool:
    """Return whether an entry is in the ledger after all; what raises here is not what went wrong first."""
    with contextlib.suppress(sqlite3.Error):  # no table: this would have been the first entry
        return bool(db.execute("SELECT hash FROM entries WHERE seq = ?", (row.seq,)).fetchone() == (row.hash,))
    return False


def _statements(script: str) -> list[str]:
    # Not executescript(), which commits first; not split(";"), as triggers contain semicolons.
    statements: list[str] = []
    part = ""
    for line in script.strip().splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            statements.append(part)
            part = ""
    return statements
