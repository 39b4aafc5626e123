"""Link images into a written dataset, under file names that are safe everywhere."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from liftgate.data.core.dataset import Image
from liftgate.data.core.image_headers import SUFFIXES
from liftgate.errors import DataError
from liftgate.hashing import content_hash
from liftgate.paths import is_file
from liftgate.progress import Progress, report_progress, silent

_SAFE = re.compile(r"[\w .()+=@-]{1,80}", re.ASCII)


def link_image(source: Path, link: Path) -> None:
    """Create `link` as a symbolic link to `source`, or a copy where the file system has no links.

    Never a hard link: a tool that repairs an image in place would write into the original.

    Raises:
        DataError: something is at `link` already.
    """
    try:
        link.symlink_to(_resolved(source))
    except FileNotFoundError:  # most often the folder exists, so it is not checked before
        link.parent.mkdir(parents=True, exist_ok=True)
        link_image(source, link)
    except FileExistsError:  # a copy would follow an existing link and overwrite an original
        raise DataError("two images would have one name", where=link, got=source) from None
    except OSError:
        shutil.copyfile(source, link)


def link_images(images: Sequence[Image], folder: Path, progress: Progress = silent) -> None:
    """Link every image that exists into `folder`, under its id.

    Raises:
        DataError: as `link_image`.
    """
    for image in report_progress(images, "linking images", progress):
        if is_file(image.path):
            link_image(image.path, folder / image.id)


def _resolved(path: Path) -> str:
    """Return `path` without links.

    Each folder is resolved once: reading every part of every path from the disk took a third of a conversion's time.
    """
    if path.is_symlink():
        return os.path.realpath(path)
    return f"{_resolved_folder(str(path.parent))}{os.sep}{path.name}"


@lru_cache(maxsize=1024)
def _resolved_folder(folder: str) -> str:
    return os.path.realpath(folder)


def safe_names(images: Iterable[Image]) -> list[str]:
    """Return a file name for each image, all different, also without regard to case or suffix.

    It is the image's own name if that is ASCII, unused and short; else one with the hash of its id. Ids may have `..`,
    line breaks, bytes that are no text, or /images/, which would lead a reader of list files or of label folders
    astray.

    >>> safe_names([Image(name, Path("/d") / name, 9, 9) for name in ("a/x.jpg", "b/X.JPG", "c/y.jfif")])
    ['x.jpg', 'X-de42f06a66c3.JPG', 'y.jpg']
    """
    taken: set[str] = set()
    names = []
    for image in images:
        stem = Path(image.id).stem
        if not _SAFE.fullmatch(stem) or stem != stem.strip(" .") or stem.casefold() in taken:
            safe = "".join(letter if _SAFE.fullmatch(letter) else "_" for letter in stem[:60]).strip(" .")
            stem = f"{safe}-{content_hash(image.id)[:12]}"
        taken.add(stem.casefold())
        suffix = image.path.suffix
        names.append(f"{stem}{suffix if suffix.lower() in SUFFIXES else '.jpg'}")
    return names
