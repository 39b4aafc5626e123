"""Two sizes for one image: what its label file says and what its own header says."""

from __future__ import annotations

from liftgate.data.core.image_headers import ImageHeader


def settle_size(header: ImageHeader, width: int, height: int) -> tuple[tuple[int, int], list[tuple[str, str]]]:
    """Return the size as stored, and (kind, message) where the labels' `width` × `height` do not agree with the file.

    The file is believed where it can be read. Boxes count upright pixels, so labels should give the upright size; a
    file turned by EXIF whose labels give the size before turning was labelled on the unturned picture.

    >>> settle_size(ImageHeader(40, 20, orientation=6), 20, 40)
    ((40, 20), [])
    >>> settle_size(ImageHeader(40, 20, orientation=6), 40, 20)[1][0][0]
    'size_rotated'
    """
    if not header.width:
        return (width, height), []
    stored = (header.width, header.height)
    upright = stored[::-1] if header.orientation >= 5 else stored
    if not width or not height or (width, height) == upright:
        return stored, []
    if (width, height) == stored:
        return stored, [("size_rotated", f"labels say {width}×{height}, upright it is {upright[0]}×{upright[1]}")]
    return stored, [("size_differs", f"labels say {width}×{height}, the file is {upright[0]}×{upright[1]}")]
