"""The head file beside a ledger: how far it went. Entries that were cut off at the end are missed by it alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from liftgate.errors import LedgerError
from liftgate.files import write_json

WAY_OUT = "restore the file from a copy; or move the ledger and its .head file away together, and begin a new one"
"""What a damaged ledger's owner can do"""


class Head(NamedTuple):
    """The newest entry when the file was written."""

    seq: int
    hash: str


class HeadFile:
    """The file, read before the entries are: a writer may add some meanwhile, and it must not be ahead of them."""

    def __init__(self, ledger: Path) -> None:
        self.ledger = ledger
        self.path = ledger.with_name(ledger.name + ".head")

    def read(self) -> Head | None:
        """Return the head; None: there is no file.

        Raises:
            LedgerError: the file cannot be read.
        """
        try:
            head = json.loads(self.path.read_bytes())
            seq, hash_ = head["seq"], head["hash"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            raise LedgerError("the head file cannot be read", where=self.path, hint=WAY_OUT) from None
        if not isinstance(seq, int) or isinstance(seq, bool) or seq < 1 or not isinstance(hash_, str):
            raise LedgerError("the head file cannot be read", where=self.path, hint=WAY_OUT)
        return Head(seq, hash_)

    def write(self, hashes: Sequence[bytes]) -> None:
        """Name the last of all entries' hashes.

        After the commit, or a crash between the two would accuse an honest ledger of having lost an entry.
        """
        write_json(self.path, {"seq": len(hashes), "hash": hashes[-1].decode()})

    def check(self, head: Head | None, hashes: Sequence[bytes]) -> None:
        """Compare what the file said before the entries were read with the hashes of all of them.

        Raises:
            LedgerError: entries were removed or rewritten, or the file is gone.
        """
        count = len(hashes)
        if head is None:
            if count <= 1:  # one entry may have no head yet: killed between the two writes of the very first append
                return
            head = self.read()  # the first writer may have written it since the entries were read
            if head is None:
                hint = "was the ledger copied without it? Copy both"
                raise LedgerError("the head file is gone", where=self.path, hint=hint)
            if head.seq > count:
                return
        if head.seq > count:
            what = f"entries {count + 1} to {head.seq} were removed"
            raise LedgerError(what, where=self.ledger, expected=f"{head.seq} entries", got=count, hint=WAY_OUT)
        if hashes[head.seq - 1] != head.hash.encode():
            what = f"entry {head.seq} is not the one that the head file names"
            raise LedgerError(what, where=self.path, hint=WAY_OUT)
