"""Make paths absolute without following links, and ask for files by names that strangers chose."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


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


def relative_within(value: T, folder: Path) -> T:
    """Return JSON values in whose texts paths below `folder` are relative to it, so that a record names no machine.

    >>> relative_within({"data": "/a/s/data.yaml", "where": ["see /a/s/runs/x", "/b/a/s/y"]}, Path("/a/s"))
    {'data': 'data.yaml', 'where': ['see runs/x', '/b/a/s/y']}
    """
    prefix = re.compile(rf"(?<![\w.~/-]){re.escape(f'{lexical(folder)}/')}(?=[^/\s])")
    return _replaced(value, prefix)


def _replaced(value: T, prefix: re.Pattern[str]) -> T:
    found: object = value
    if isinstance(value, str):
        found = prefix.sub("", value)
    elif isinstance(value, dict):
        found = {key: _replaced(item, prefix) for key, item in value.items()}
    elif isinstance(value, list | tuple):
        found = type(value)(_replaced(item, prefix) for item in value)
    return found  # type: ignore[return-value]
