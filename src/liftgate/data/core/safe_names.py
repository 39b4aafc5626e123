"""File names from strangers."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_PLAIN = re.compile(r"\w[\w-]*(\.\w[\w-]*)*")  # one part, nothing special in it: as nearly all are


def safe_path(name: str) -> str:
    """`name` as a POSIX path that stays below its folder: no drive, no root, no `..`, no NUL; may be empty.

    >>> safe_path("..\\\\a//b.jpg"), safe_path("/x/../y.jpg"), safe_path("C:/z.jpg")
    ('a/b.jpg', 'x/y.jpg', 'z.jpg')
    """
    if _PLAIN.fullmatch(name):
        return name
    parts = PurePosixPath(name.replace("\\", "/").replace("\0", "")).parts
    return "/".join(
        part for part in parts if part not in ("/", "//", "..", ".") and not re.fullmatch("[A-Za-z]:", part)
    )
