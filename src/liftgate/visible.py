"""Make names from untrusted files safe to print: control characters and bidirectional marks become visible escapes.

A class or file may be called `\\x1b[2J` (it clears the terminal), hold a line break (it forges a line of output) or a
mark that lets `gpj.exe` read as `exe.jpg`. Everything that prints or writes a report goes through here.
"""

from __future__ import annotations

import re

_HIDDEN = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
_IN_TEXT = re.compile(f"[{_HIDDEN}]")
_IN_LINE = re.compile(f"[{_HIDDEN}\t\n]")


def visible_text(text: str) -> str:
    r"""Return multi-line text with its other control characters and bidirectional marks as escapes.

    >>> print(visible_text("a\x1b[2J\u202eb\n"), end="")
    a\u001b[2J\u202eb
    """
    return _IN_TEXT.sub(_escape, text)


def visible_line(text: str) -> str:
    r"""Return text for one line, such as a name or a table cell: line breaks and tabs become escapes too.

    >>> print(visible_line("a\nerror: b"))
    a\u000aerror: b
    """
    return _IN_LINE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"  # which JSON reads as the character itself
