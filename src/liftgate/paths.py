"""Paths of data: absolute, but never resolved; and folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from liftgate.errors import DataError


def lexical(path: Path | str) -> Path:
    """Return the absolute path without `.` and `..`; links are not followed.

    Not Path.resolve(): a linked image has its label beside the link, not beside what it points to.

    >>> lexical("/a/b/../c").as_posix()
    '/a/c'
    """
    return Path(os.path.normpath(Path(path).absolute()))


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` when the block ends well, and vanishes when it does not.

    Whether something of somebody's is in `folder` is for the caller to ask first.
    """
    folder = lexical(folder)
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def refuse_filled(folder: Path) -> None:
    """Stop where `folder` is there and is not an empty folder.

    Raises:
        DataError: it is.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError("the folder is not empty", where=folder, hint="name a new folder: nothing of yours is replaced")
