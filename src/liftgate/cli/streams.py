"""Standard streams: closed ones are opened, and what a terminal cannot show is spelled."""

from __future__ import annotations

import codecs
import os
import sys
from io import TextIOWrapper

from liftgate.visible import visible_text

_SIGNS = {"…": "...", "→": "->", "×": "x", "≥": ">=", "≤": "<=", "−": "-", "–": "-", "≈": "~", "√": "sqrt", "±": "+-"}
_SPELLED = str.maketrans(_SIGNS)


def open_closed_streams() -> None:
    """Open the standard streams that the parent process has closed, as a daemon may.

    Otherwise messages would be written to stdout, or into the first file that is opened.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)  # the lowest free number may be the very one: then a no-op
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def escape_unencodable() -> None:
    """Spell what a stream cannot encode: LC_ALL=C has no `→`, and UTF-8 no file name that is not text."""
    codecs.register_error("liftgate.spelled", _spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # pytest's own are none
            stream.reconfigure(errors="liftgate.spelled")


def escape_control_characters() -> None:
    """Let no name in a stranger's file steer the terminal: stdout gets control characters as escapes."""
    stream = sys.stdout
    if isinstance(stream, TextIOWrapper) and not hasattr(stream, "write_as_given"):
        write = stream.write
        stream.write_as_given = write  # type: ignore[attr-defined]
        stream.write = lambda text: write(visible_text(text))  # type: ignore[method-assign]


def _spelled(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_SPELLED)
    # `\udce9` for a byte that is no text: what JSON writes as well.
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end
