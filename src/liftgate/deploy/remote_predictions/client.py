"""Post one image and read one answer."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from urllib.parse import urlencode

from liftgate.deploy.remote_predictions.api_mapping import Sending
from liftgate.deploy.remote_predictions.channel import Channel, Reply


class ApiClient:
    """Posts images to one address. Each thread has a connection of its own."""

    def __init__(
        self, url: str, sending: Sending, headers: Mapping[str, str], *, timeout: float, max_answer_bytes: int
    ) -> None:
        self._channel = Channel(url, headers, timeout=timeout, max_answer_bytes=max_answer_bytes)
        self._path = (self._channel.path or "/") + (f"?{urlencode(sending.query)}" if sending.query else "")
        self._sending = sending

    def post(self, image: bytes, media: str) -> Reply:
        """Post one image.

        Args:
            image: the bytes of the file.
            media: its media type, such as `image/png`.

        Raises:
            OSError, HTTPException: no complete answer came in time (TimeoutError); another try may succeed.
            Refused: the answer is a redirect.
            DataError: the answer is too large.
        """
        kind, body = self._body(image, media)
        return self._channel.send("POST", self._path, body, kind)

    def close(self) -> None:
        """Close the connections of all threads."""
        self._channel.close()

    def _body(self, image: bytes, media: str) -> tuple[str, bytes]:
        """Return content type and body. The file's own name is not sent: it may hold a person's name or a place."""
        if self._sending.as_ == "body":
            return media, image
        mark = secrets.token_hex(16)
        name = f"image.{media.rpartition('/')[2]}"
        lines = [
            f'--{mark}\r\nContent-Disposition: form-data; name="{_quoted(field)}"\r\n\r\n{value}\r\n'
            for field, value in self._sending.fields.items()
        ]
        head = f'--{mark}\r\nContent-Disposition: form-data; name="{_quoted(self._sending.field)}"; filename="{name}"'
        opening = "".join(lines) + f"{head}\r\nContent-Type: {media}\r\n\r\n"
        return f"multipart/form-data; boundary={mark}", opening.encode() + image + f"\r\n--{mark}--\r\n".encode()


def _quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', "%22").replace("\r", "").replace("\n", "")
