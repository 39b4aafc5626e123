"""Make file names from untrusted files safe to use below a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from liftgate.errors import DataError
from liftgate.paths import is_file

_PLAIN = re.compile(r"\w[\w-]*(\.\w[\w-]*)*")  # one part, nothing special in it: as nearly all are


def safe_path(name: str, folder: Path | None = None, *, keep_backslash: bool = False) -> str:
    r"""Return `name` as a POSIX path that stays below its folder: no drive, no root, no `..`, no NUL; may be empty.

    A backslash separates folders, as on Windows, unless a file in `folder` has it in its name.

    >>> safe_path("..\\a//b.jpg"), safe_path("/x/../y.jpg"), safe_path("C:/z.jpg")
    ('a/b.jpg', 'x/y.jpg', 'z.jpg')

    Args:
        name: a file name from a label file or an archive.
        folder: where the file should be; None: unknown.
        keep_backslash: True leaves backslashes for a later call that knows the folder.
    """
    if _PLAIN.fullmatch(name):
        return name
    if keep_backslash:
        return _below(name)
    if "\\" in name and folder is not None and os.sep == "/":
        literal = _below(name)
        if literal and is_file(folder / literal):
            return literal
    return _below(name.replace("\\", "/"))


def require_utf8_names(names: Iterable[str], where: Path) -> None:
    """Refuse names with bytes that are not UTF-8, before a JSON or XML is written: neither can hold them.

    Raises:
        DataError: the first such name.
    """
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            hint = "rename the file: a YOLO copy of the set (`liftgate data convert --to yolo`) has other names"
            raise DataError("a name that is not UTF-8", where=where, got=name, hint=hint) from None


def _below(name: str) -> str:
    parts = PurePosixPath(name.replace("\0", "")).parts
    return "/".join(
        part for part in parts if part not in ("/", "//", "..", ".") and not re.fullmatch("[A-Za-z]:", part)
    )
