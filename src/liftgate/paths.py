"""Make paths absolute without following links."""

from __future__ import annotations

import os
from pathlib import Path


def lexical(path: Path | str) -> Path:
    """Return the absolute path without `.` and `..`; links are not followed.

    Not Path.resolve(): the label of a linked image is next to the link, not next to its target.

    >>> lexical("/a/b/../c").as_posix()
    '/a/c'
    """
    return Path(os.path.normpath(Path(path).absolute()))
