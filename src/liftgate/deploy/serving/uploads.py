"""From the bytes of a request to images: JPEG and PNG alone, the size read before a pixel is decoded."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from liftgate.data.core.pictures import open_picture
from liftgate.deploy.runtime.images import Pixels, as_rgb
from liftgate.deploy.serving.answers import Failure
from liftgate.visible import visible_line

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_MOST_PARTS = 200
_LONGEST_ID = 200


class UploadError(Exception):
    """An upload that cannot be answered, with the status of the answer."""

    def __init__(self, status: int, failure: Failure) -> None:
        super().__init__(failure.what)
        self.status, self.failure = status, failure


@dataclass(frozen=True, slots=True)
class Upload:
    """One image as it came."""

    image_id: str
    content: bytes


def image_id(content: bytes, given: str = "") -> str:
    """Return the name that an answer calls an image by: the one given, else the start of its SHA-256.

    >>> image_id(b"abc"), image_id(b"abc", "cam1/7.jpg")
    ('ba7816bf8f01cfea', 'cam1/7.jpg')
    """
    name = visible_line(given).strip()[:_LONGEST_ID]
    return name or hashlib.sha256(content, usedforsecurity=False).hexdigest()[:16]


def decode(content: bytes, most_pixels: int) -> Pixels:
    """Return the pixels of an uploaded image, as `liftgate.deploy.runtime.images` reads a file's.

    Raises:
        UploadError: it is empty, another format, too large, damaged, or only a part of an image.
    """
    if not content:
        raise UploadError(422, Failure("the image is empty", expected="a JPEG or PNG", got="0 bytes"))
    kind = "JPEG" if content[:3] == b"\xff\xd8\xff" else "PNG" if content[:8] == b"\x89PNG\r\n\x1a\n" else None
    if kind is None:
        got = f"bytes that begin with {content[:8].hex(' ')}"
        raise UploadError(415, Failure("this is no JPEG and no PNG", expected="image/jpeg or image/png", got=got))
    try:
        with open_picture(io.BytesIO(content), (kind,)) as image:
            if image.width * image.height > most_pixels:
                raise _too_large(most_pixels, f"{image.width} × {image.height}")
            return np.asarray(as_rgb(ImageOps.exif_transpose(image)))
    except UploadError:
        raise
    except Image.DecompressionBombError:  # from the header alone, before the size can be asked for
        raise _too_large(most_pixels, f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,}") from None
    except Exception as error:  # Pillow's plugins raise anything on a damaged file
        got = f"{type(error).__name__}: {error}"[:200]
        raise UploadError(422, Failure("the image cannot be decoded", expected=f"a whole {kind}", got=got)) from None


def _too_large(most_pixels: int, got: str) -> UploadError:
    return UploadError(413, Failure("the image is too large", expected=f"at most {most_pixels:,} pixels", got=got))


def multipart_uploads(body: bytes, content_type: str, most: int) -> list[Upload]:
    """Return the files of a multipart/form-data body, in order; other fields are passed over.

    Args:
        body: the whole body.
        content_type: the header, with the boundary.
        most: files of one request.

    Raises:
        UploadError: no boundary, a damaged body, no file or too many.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    collected = _Parts()
    try:
        parser = MultipartParser(boundary, collected.callbacks())
        parser.write(body)
        parser.finalize()
    except (MultipartParseError, ValueError, UnicodeDecodeError) as error:
        raise UploadError(422, Failure("the multipart body is damaged", got=str(error)[:200])) from None
    if not collected.complete:
        raise UploadError(422, Failure("the multipart body is damaged", got="it ends before its last boundary"))
    if not collected.files:
        what, hint = "the multipart body has no file", "curl -F image=@photo.jpg"
        raise UploadError(422, Failure(what, expected="a part with a filename", hint=hint))
    if len(collected.files) > most:
        raise UploadError(413, Failure("too many images", expected=f"at most {most}", got=str(len(collected.files))))
    return [Upload(image_id(content, name), content) for name, content in collected.files]


class _Parts:
    """Collects the parts that have a filename."""

    def __init__(self) -> None:
        self.files: list[tuple[str, bytes]] = []
        self.complete = False
        self._count = 0
        self._field, self._value = b"", b""
        self._disposition: bytes = b""
        self._content: list[bytes] = []

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._add_field(data[start:end]),
            "on_header_value": lambda data, start, end: self._add_value(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._content.append(data[start:end]),
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._count += 1
        if self._count > _MOST_PARTS:
            raise ValueError(f"more than {_MOST_PARTS} parts")
        self._disposition, self._content = b"", []

    def _add_field(self, text: bytes) -> None:
        self._field += text

    def _add_value(self, text: bytes) -> None:
        self._value += text

    def _end_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field, self._value = b"", b""

    def _end_part(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"filename" in options:
            name = options[b"filename"].decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
            self.files.append((name, b"".join(self._content)))

    def _end(self) -> None:
        self.complete = True
