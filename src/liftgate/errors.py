"""The errors that Liftgate raises on purpose.

    LiftgateError                 exit 1   something failed while running
    ├── UsageError                exit 2   invalid arguments or input files
    │   ├── StudyError                     study.yaml: a typo, a contradiction, a missing key
    │   └── DataError                      a data set or predictions file that cannot be read at all
    ├── FindingsError             exit 3   `check` found something of severity error
    ├── TrainingError             exit 1   a stage did not finish
    │   └── OutOfMemory
    ├── LedgerError               exit 1   the ledger is damaged or was changed
    ├── Refused                   exit 2   not allowed: a remote for confidential data, a spent lockbox
    └── Stopped                   exit 12  a decision point, the budget or a person stopped it

An error states what is wrong, where (file:line, or arm and seed), what was expected and what was found, and a hint on
what to do. An invalid *row* of a data set is not an error but a finding: the rest is read.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

EXIT_CODES = {"PASS": 0, "FAIL": 10, "MARGINAL": 11}
"""Exit code of a verdict; those of errors are their classes' `exit_code`."""


_OS_HINT = "the same command goes on once that is seen to; LIFTGATE_TRACEBACK=1 shows where it happened"
_NO_LOCKS = (
    "this file system has no locks that work (a network file system without its lock service, or mounted without): "
    "have it mounted with locks, or put the study on another one"
)
_OS_HINTS = {
    errno.ENOSPC: "make room on the disk: the same command goes on",
    errno.EDQUOT: "your quota is used up: make room, then the same command goes on",
    errno.EACCES: "this user may not use it: change its permissions, or run as its owner",
    errno.EPERM: "this user may not use it: change its permissions, or run as its owner",
    errno.ENOTDIR: "this is a file, and a folder is needed: name another",
    errno.EROFS: "nothing can be written there: name another folder, or copy the study to one",
    errno.ENAMETOOLONG: "a shorter path",
    errno.ENOLCK: _NO_LOCKS,
}


def os_error_hint(error: OSError) -> str:
    """Return what to do about an error of the operating system."""
    return _OS_HINTS.get(error.errno or 0, _OS_HINT)


def os_error_place(error: OSError) -> str | None:
    """Return the path that an error of the operating system is about: where a copy fills a disk, its target.

    >>> os_error_place(OSError(errno.ENOSPC, "No space left on device", "source/a", None, "target/a"))
    'target/a'
    """
    full = error.errno in (errno.ENOSPC, errno.EDQUOT) and error.filename2 is not None
    place = error.filename2 if full else error.filename
    return None if place is None else str(place)


_SQLITE_FULL = (13, 778)
"""SQLITE_FULL, and SQLITE_IOERR_WRITE, which a full disk may be too"""


def full_disk_hint(error: BaseException) -> str | None:
    """Return what to do where an error of the system or of SQLite means a full disk or quota; None: another one.

    >>> full_disk_hint(OSError(errno.ENOSPC, "No space left on device"))
    'make room on the disk: the same command goes on'
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return os_error_hint(error)
    full = getattr(error, "sqlite_errorcode", None) in _SQLITE_FULL
    return _OS_HINTS[errno.ENOSPC] if full else None


def with_full_disk_hint(error: BaseException) -> str:
    """Return an error in one line, with what to do where a disk is full; for problems that end nothing."""
    hint = full_disk_hint(error)
    return f"{error}; {hint}" if hint else str(error)


_LONGEST_PART = 2000
"""Characters of one part of a message: a stranger's file may hold a name of a megabyte"""


class LiftgateError(Exception):
    """Base of every error that Liftgate raises on purpose.

    >>> print(LiftgateError("no such class", where="data.yaml:3", expected="cat", got="cta", hint="did you mean cat?"))
    no such class (data.yaml:3): expected cat, got cta
    hint: did you mean cat?
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        got: object = None,
        hint: str | None = None,
        further: Sequence[str] = (),
    ) -> None:
        self.what = what
        self.further = tuple(further)
        """Lines after the first one, where one error is a list"""
        self.where = None if where is None else str(where)
        self.expected = None if expected is None else str(expected)
        self.got = None if got is None else str(got)
        self.hint = hint
        super().__init__(what)

    def __str__(self) -> str:
        text = "".join([_one_line(self.what), *(f"\n{_one_line(line)}" for line in self.further)])
        if self.where:
            text += f" ({_one_line(self.where)})"
        contrast = [f"{word} {value}" for word, value in (("expected", self.expected), ("got", self.got)) if value]
        if contrast:
            text += _one_line(": " + ", ".join(contrast))
        if self.hint:
            text += f"\nhint: {_one_line(self.hint)}"
        return text


def _one_line(text: str) -> str:
    """Return text in which a line break, as in a file's name, is an escape: it must not look like another message.

    What is longer than any name is cut in its middle.
    """
    if len(text) > _LONGEST_PART:
        text = f"{text[: _LONGEST_PART // 2]} … {text[-_LONGEST_PART // 2 :]}"
    return text.replace("\n", "\\u000a")


class UsageError(LiftgateError):
    """Invalid arguments or input files: nothing was started."""

    exit_code = 2


class StudyError(UsageError):
    """study.yaml is invalid; `where` is file:line."""


class DataError(UsageError):
    """A data set, label file or predictions file cannot be read at all."""


class Refused(UsageError):
    """The study or the lockbox does not allow the operation."""


class FindingsError(LiftgateError):
    """`check` found at least one finding of severity error; nothing was trained."""

    exit_code = 3


class TrainingError(LiftgateError):
    """A stage did not finish; its run folder holds the log."""


class OutOfMemory(TrainingError):
    """The device ran out of memory."""


class LedgerError(LiftgateError):
    """The ledger is damaged, or was changed after it was written."""


class Stopped(LiftgateError):
    """Stopped on purpose: a decision point, the budget, or a person. Everything so far is saved."""

    exit_code = 12


class Decided(Stopped):
    """A decision point stopped an arm, and no step of the flow depends on it: running again gives the same result."""
