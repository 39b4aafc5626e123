"""Open an image file with Pillow's own function, whatever another library of this process has put in its place.

`import ultralytics`, as in a notebook, replaces `PIL.Image.open`: a file that is no image then makes it install a
package from the network, and ends in a ModuleNotFoundError instead of Pillow's UnidentifiedImageError.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image


def open_picture(file: Path | IO[bytes], formats: list[str] | tuple[str, ...] | None = None) -> Image.Image:
    """Return an opened image, not decoded yet.

    Args:
        file: path, or an open file.
        formats: Pillow's names of the formats to try; None: all.

    Raises:
        UnidentifiedImageError: it is no image. Pillow raises many other errors on damaged files.
    """
    import PIL.Image

    patches = sys.modules.get("ultralytics.utils.patches")
    opened: Image.Image = getattr(patches, "_image_open", PIL.Image.open)(file, formats=formats)
    return opened
