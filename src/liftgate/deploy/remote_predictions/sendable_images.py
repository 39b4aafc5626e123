"""Which files of a data set may be sent: pictures, in the data set's own folders or in those that the caller names.

A list of images can name any file of this machine, and a link in a folder can lead to any: the author of a data set
would choose what is uploaded.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Collection, Sequence
from pathlib import Path

from liftgate.data.core.dataset import Dataset, Image
from liftgate.data.core.pictures import open_picture
from liftgate.errors import DataError, Refused
from liftgate.paths import is_file

_FORMATS = ("AVIF", "BMP", "JPEG", "JPEG2000", "MPO", "PNG", "TIFF", "WEBP")
"""What Pillow may try; not EPS, whose reader starts another program."""
_MAX_PIXELS = 200_000_000
_MAX_BYTES = 512 << 20
_BESIDE = frozenset({".json", ".jsonl", ".xml", ".zip"})
"""Label files whose images often lie in a folder beside theirs; a data.yaml could name any"""


class NotAPicture(Exception):
    """A file's bytes are no picture, so they are not sent."""


def own_folders(dataset: Dataset, images: Path | None = None) -> tuple[Path, ...]:
    """Return the real folders that belong to a data set.

    That is the folder of what was read, the folder of the images where a COCO JSON or an XML has it beside its own,
    and `images`, which the caller named.
    """
    source = dataset.source.absolute()
    home = source if source.is_dir() else source.parent
    folders = [home.resolve()]
    if source.suffix.lower() in _BESIDE:
        root, above = dataset.root.resolve(), home.parent.resolve()
        if root != above and root.is_relative_to(above):
            folders.append(root)
    if images is not None:
        folders.append(images.resolve())
    return tuple(dict.fromkeys(folders))


def require_own_images(dataset: Dataset, folders: Sequence[Path], allowed: Collection[Path | str] = ()) -> None:
    """Stop unless every image is a file inside the real folders, wherever links lead.

    Raises:
        DataError: images are missing.
        Refused: an image lies elsewhere.
    """
    if missing := [image.id for image in dataset.images if not is_file(image.path)]:
        raise DataError("missing images cannot be sent", where=dataset.source, got=", ".join(missing[:3]))
    inside = [*folders, *(Path(folder).resolve() for folder in allowed)]
    outside = [image for image in dataset.images if not _is_inside(image.path.resolve(), inside)]
    if outside:
        real = outside[0].path.resolve()
        raise Refused(
            f"{len(outside)} of {len(dataset.images)} images lie outside the data set's own folders",
            where=dataset.source,
            expected=", ".join(map(str, inside)),
            got=f"{outside[0].id}, which is {real}",
            hint=f"if they may be sent: --allow-folder {real.parent}",
        )


def read_picture(image: Image, folders: Sequence[Path]) -> bytes:
    """Return the bytes of an image that decodes as a picture.

    The file is looked at again when it is opened: since `require_own_images` a link may have been exchanged.

    Raises:
        DataError: it cannot be read.
        Refused: it has come to lie outside `folders`.
        NotAPicture: it does not decode.
    """
    real = image.path.resolve()
    if not _is_inside(real, folders):
        raise Refused("an image has come to lie outside the data set's own folders", where=image.path, got=real)
    try:
        handle = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise NotAPicture("not a regular file")
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise DataError("cannot read the image", where=image.path, got=error.strerror) from None
    require_picture(content)
    return content


def require_picture(content: bytes) -> None:
    """Stop unless bytes decode to the end as one of the formats that detectors take.

    Raises:
        NotAPicture: they do not.
    """
    import warnings

    import PIL.Image

    if len(content) > _MAX_BYTES:
        raise NotAPicture(f"larger than {_MAX_BYTES >> 20} MiB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metadata, and of sizes that are checked here
            with open_picture(io.BytesIO(content), formats=_readable_formats()) as picture:
                if picture.width * picture.height > _MAX_PIXELS:
                    raise NotAPicture(f"{picture.width} × {picture.height} pixels")
                picture.load()
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, PIL.Image.DecompressionBombError) as error:
        raise NotAPicture(f"does not decode as a picture: {type(error).__name__}") from None


def _readable_formats() -> tuple[str, ...]:
    import PIL.Image

    PIL.Image.init()  # which loads the plugins; AVIF and WEBP are not built in everywhere
    return tuple(name for name in _FORMATS if name in PIL.Image.OPEN)


def _is_inside(path: Path, folders: Sequence[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)
