"""Prepare the standard streams: open closed ones, and escape what a terminal cannot show."""

from __future__ import annotations

import codecs
import os
import sys
from io import TextIOWrapper

from liftgate.visible import visible_text

_SIGNS = {"…": "...", "→": "->", "×": "x", "≥": ">=", "≤": "<=", "−": "-", "–": "-", "≈": "~", "√": "sqrt", "±": "+-"}
_TO_ASCII = str.maketrans(_SIGNS)


def open_closed_streams() -> None:
    """Open the standard streams that the parent process has closed, as a daemon may.

    Otherwise messages would be written to stdout, or into the first file that is opened.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            # No-op if `open` returned `number` itself, the lowest free descriptor.
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def escape_unencodable() -> None:
    """Escape what a stream cannot encode, such as `→` with LC_ALL=C, or file names that are not UTF-8."""
    codecs.register_error("liftgate.escape", _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # pytest replaces them with others
            stream.reconfigure(errors="liftgate.escape")


def escape_control_characters() -> None:
    """Print control characters on stdout as escapes, so that names in untrusted files cannot control the terminal."""
    stream = sys.stdout
    if isinstance(stream, TextIOWrapper) and not hasattr(stream, "write_as_given"):
        write = stream.write
        stream.write_as_given = write  # type: ignore[attr-defined]
        stream.write = lambda text: write(visible_text(text))  # type: ignore[method-assign]


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_TO_ASCII)
    # `\udce9` for a byte that is not text, as in JSON.
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


_emitted: list[bool] = []
"""Whether this command has printed its JSON value"""


def expect_json() -> None:
    """Forget the JSON value of an earlier command of this process."""
    _emitted.clear()


def note_json() -> None:
    """Note that the command prints its JSON value."""
    _emitted.append(True)


def has_emitted_json() -> bool:
    """Return whether the command has printed a JSON value: a second one would make stdout unreadable."""
    return bool(_emitted)
