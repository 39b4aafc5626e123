"""Head file of a ledger: sequence number and hash of its last entry, to detect entries removed at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from liftgate.documents import load_json
from liftgate.errors import LedgerError
from liftgate.files import write_json

RECOVERY_HINT = "restore the file from a copy; or move the ledger and its .head file away together, and begin a new one"
"""Hint for errors about a damaged ledger"""


class Head(NamedTuple):
    """Sequence number and hash of the newest entry."""

    seq: int
    hash: str


class HeadFile:
    """The head file. Read it before the entries: a writer may add some meanwhile, and the head must not be ahead."""

    def __init__(self, ledger: Path) -> None:
        self.ledger = ledger
        self.path = ledger.with_name(ledger.name + ".head")

    def read(self) -> Head | None:
        """Return the head; None: there is no file.

        Raises:
            LedgerError: the file cannot be read.
        """
        try:
            head = load_json(self.path)
            seq, hash_ = head["seq"], head["hash"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            raise LedgerError("the head file cannot be read", where=self.path, hint=RECOVERY_HINT) from None
        if not isinstance(seq, int) or isinstance(seq, bool) or seq < 1 or not isinstance(hash_, str):
            raise LedgerError("the head file cannot be read", where=self.path, hint=RECOVERY_HINT)
        return Head(seq, hash_)

    def write(self, hashes: Sequence[bytes]) -> None:
        """Write the number of entries and the last of their `hashes`.

        Call it after the commit: a crash between the two must not make an intact ledger look as if it lost an entry.
        """
        write_json(self.path, {"seq": len(hashes), "hash": hashes[-1].decode()})

    def check(self, head: Head | None, hashes: Sequence[bytes]) -> None:
        """Compare a head, read before the entries, with the hashes of all entries.

        Raises:
            LedgerError: entries were removed or rewritten, or the file is gone.
        """
        count = len(hashes)
        if head is None:
            if count <= 1:  # valid: a process killed in the first append wrote no head
                return
            head = self.read()  # it may have been written since the entries were read
            if head is None:
                hint = "was the ledger copied without it? Copy both"
                raise LedgerError("the head file is gone", where=self.path, hint=hint)
            if head.seq > count:
                return
        if head.seq > count:
            what = f"entries {count + 1} to {head.seq} were removed"
            raise LedgerError(what, where=self.ledger, expected=f"{head.seq} entries", got=count, hint=RECOVERY_HINT)
        if hashes[head.seq - 1] != head.hash.encode():
            what = f"entry {head.seq} is not the one that the head file names"
            raise LedgerError(what, where=self.path, hint=RECOVERY_HINT)
