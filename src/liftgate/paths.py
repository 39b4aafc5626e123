"""Make paths absolute without following links, and ask for files by names that strangers chose."""

from __future__ import annotations

import os
from pathlib import Path


def lexical(path: Path | str) -> Path:
    """Return the absolute path without `.` and `..`; links are not followed.

    Not Path.resolve(): the label of a linked image is next to the link, not next to its target.

    >>> lexical("/a/b/../c").as_posix(), lexical("//a").as_posix()
    ('/a/c', '/a')
    """
    found = os.path.normpath(Path(path).absolute())
    # POSIX leaves open what two slashes at the start mean, and Python keeps them: no folder would hold such a path.
    return Path(found[1:] if os.sep == "/" and found.startswith("//") else found)


def is_file(path: Path) -> bool:
    """Return whether a path is a regular file; False too where the system takes no such name.

    `Path.is_file` raises an error for a name that is too long: one row of a stranger's list would end the reading.
    """
    return os.path.isfile(path)  # noqa: PTH113


def exists(path: Path) -> bool:
    """Return whether something has this path; False too where the system takes no such name."""
    return os.path.exists(path)  # noqa: PTH110
