"""One image sent, one answer back.

http.client and not urllib or requests: no redirect is followed, no proxy is used and no cookie kept unless written
here, and a connection stays open from image to image, so that its making does not count as the model's time.
"""

from __future__ import annotations

import contextlib
import http.client
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from liftgate.deploy.remote_predictions.api_mapping import Sending
from liftgate.errors import DataError, Refused, UsageError

_PIECE = 1 << 16


class Reply(NamedTuple):
    """What came back."""

    status: int
    body: bytes
    seconds: float
    """From the first byte sent to the last received; a connection that had to be made counts"""
    retry_after: float | None
    """Seconds for which the server wants to be left alone"""


class Client:
    """Posts images to one address. Each thread has its connection."""

    def __init__(self, url: str, sending: Sending, headers: Mapping[str, str], *, timeout: float, largest: int) -> None:
        parts = urlsplit(url)
        if parts.query or parts.fragment:
            hint = "send: {query: {…}} in the mapping; a key goes into a header, by --header NAME=VARIABLE"
            raise UsageError("no parameters in the address: it is recorded", where=parts.hostname, hint=hint)
        try:
            self._port = parts.port
        except ValueError:
            raise UsageError("not an address", expected="https://HOST[:PORT]/PATH", got=url) from None
        self._host, self._secure = parts.hostname or "", parts.scheme == "https"
        self._path = (parts.path or "/") + (f"?{urlencode(sending.query)}" if sending.query else "")
        self._sending, self._headers = sending, dict(headers)
        self._timeout, self._largest = timeout, largest
        self._own = threading.local()
        self._made: list[http.client.HTTPConnection] = []

    def post(self, image: bytes, media: str) -> Reply:
        """Send one image of a media type.

        Raises:
            OSError, HTTPException: nothing whole came back in time (TimeoutError), which may be better the next time.
            Refused: the answer is a redirect.
            DataError: the answer is too large.
        """
        kind, body = self._body(image, media)
        used = getattr(self._own, "connection", None) is not None
        try:
            return self._exchange(kind, body)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            if not used:
                raise
            return self._exchange(kind, body)  # the server had closed an idle connection, as it may

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._made:
            connection.close()

    def _exchange(self, kind: str, body: bytes) -> Reply:
        begun = time.perf_counter()
        connection = self._connection()
        hung_up = threading.Event()
        try:
            if connection.sock is None:
                connection.connect()
            # A socket's own time-out begins anew with every byte; a server that drips would hold us for ever.
            watch = threading.Timer(self._timeout, _hang_up, [connection.sock, hung_up])
            watch.daemon = True
            watch.start()
            try:
                connection.request("POST", self._path, body, {**self._headers, "Content-Type": kind})
                response = connection.getresponse()
                content = self._read(response)
            finally:
                watch.cancel()
            if hung_up.is_set():
                raise TimeoutError
        except BaseException as error:
            self._close()
            if hung_up.is_set() and isinstance(error, OSError | http.client.HTTPException | ValueError):
                raise TimeoutError(f"no whole answer in {self._timeout:g} s") from None
            raise
        if response.will_close:
            self._close()
        if 300 <= response.status < 400:
            raise self._redirected(response.headers.get("Location", ""))
        return Reply(response.status, content, time.perf_counter() - begun, _seconds(response.headers))

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        content = bytearray()
        while piece := response.read(_PIECE):
            content += piece
            if len(content) > self._largest:
                raise DataError(
                    "the answer is too large", where=self._host, expected=f"at most {self._largest:,} bytes"
                )
        if response.length:
            raise ConnectionError(f"the answer was cut off, {response.length:,} bytes before its end")
        return bytes(content)

    def _body(self, image: bytes, media: str) -> tuple[str, bytes]:
        """Content type and body. The file's own name is not sent: it may say who or where."""
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

    def _connection(self) -> http.client.HTTPConnection:
        if getattr(self._own, "connection", None) is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            self._own.connection = kind(self._host, self._port, timeout=self._timeout)
            self._made.append(self._own.connection)
        connection: http.client.HTTPConnection = self._own.connection
        return connection

    def _close(self) -> None:
        if getattr(self._own, "connection", None) is not None:
            self._own.connection.close()
            self._made.remove(self._own.connection)
            self._own.connection = None

    def _redirected(self, location: str) -> Refused:
        target = urlsplit(location)
        host = target.hostname or self._host
        if host != self._host:
            return Refused(
                "the API sends us to another host: the images and the key would go there", where=self._host, got=host,
                hint="if they may, give that address as --api-url",
            )  # fmt: skip
        return Refused(
            "the API has moved",
            where=self._host,
            got=target.path,
            hint="give the address that it moved to as --api-url",
        )


def _hang_up(sock: socket.socket, hung_up: threading.Event) -> None:
    hung_up.set()
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not TLS's own, which pulls the ground from under the reader


def _seconds(headers: http.client.HTTPMessage) -> float | None:
    """Retry-After in seconds; as a date it is not worth reading: the usual back-off does."""
    text = headers.get("Retry-After") or ""
    return float(text) if text.strip().isdecimal() else None


def _quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', "%22").replace("\r", "").replace("\n", "")
