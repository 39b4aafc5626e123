"""Report the progress of long work. The command line shows it; Python callers may pass a function."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Callback with the name of the work, the number of items done, and their total."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Report that `done` of `total` items of the work `what` are done."""


def silent(what: str, done: int, total: int) -> None:
    """Ignore progress."""


_EVERY = 64


def report_progress(items: Sequence[T], what: str, progress: Progress) -> Iterator[T]:
    """Yield the items, and report progress every 64 of them.

    >>> list(report_progress("abc", "letters", lambda what, done, total: print(what, done, total)))
    letters 0 3
    letters 3 3
    ['a', 'b', 'c']
    """
    for done, item in enumerate(items):
        if done % _EVERY == 0:
            progress(what, done, len(items))
        yield item
    progress(what, len(items), len(items))


def duration(seconds: float) -> str:
    """Return a duration as text.

    >>> duration(8.4), duration(95), duration(7384)
    ('8 s', '1 min 35 s', '2 h 03 min')
    """
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{whole} s"


def dollars(usd: float) -> str:
    """Return US dollars and cents; a small amount is not written as nothing.

    >>> dollars(1234.5), dollars(0.002), dollars(0.0)
    ('$1,234.50', 'under $0.01', '$0.00')
    """
    return "under $0.01" if 0 < usd < 0.005 else f"${usd:,.2f}"
