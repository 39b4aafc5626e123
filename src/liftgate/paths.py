"""Paths: absolute, but never resolved."""

from __future__ import annotations

import os
from pathlib import Path


def lexical(path: Path | str) -> Path:
    """Return the absolute path without `.` and `..`; links are not followed.

    Not Path.resolve(): a linked image has its label beside the link, not beside what it points to.

    >>> lexical("/a/b/../c").as_posix()
    '/a/c'
    """
    return Path(os.path.normpath(Path(path).absolute()))
