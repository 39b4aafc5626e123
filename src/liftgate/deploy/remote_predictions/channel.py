"""Send requests to one host and read complete answers.

http.client and not urllib or requests: no redirect is followed, no proxy is used and no cookie is kept unless it is
written here, and a connection stays open from request to request, so that opening it does not count as the model's
time.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from liftgate.deploy.remote_predictions.secret_mask import SecretMask
from liftgate.errors import DataError, Refused, UsageError

_PIECE = 1 << 16


class Reply(NamedTuple):
    """One HTTP response."""

    status: int
    body: bytes
    seconds: float
    """From the first byte sent to the last received; opening a connection counts"""
    retry_after: float | None
    """Seconds until the server wants the next request"""


class Channel:
    """Connections to the host of one address. Each thread has a connection of its own."""

    def __init__(self, url: str, headers: Mapping[str, str], *, timeout: float, max_answer_bytes: int) -> None:
        """Read the address; nothing is opened.

        Args:
            url: http:// or https://, without parameters.
            headers: sent with every request; their values are secrets.
            timeout: seconds until a complete answer must be there.
            max_answer_bytes: of one answer.

        Raises:
            UsageError: the address has parameters, or is none.
        """
        parts = urlsplit(url)
        if parts.query or parts.fragment:
            hint = "send: {query: {…}} in the mapping; a key goes into a header, by --header NAME=VARIABLE"
            raise UsageError("no parameters in the address: it is recorded", where=parts.hostname, hint=hint)
        try:
            self._port = parts.port
        except ValueError:
            raise UsageError("not an address", expected="https://HOST[:PORT]/PATH", got=url) from None
        self.host, self._secure, self.path = parts.hostname or "", parts.scheme == "https", parts.path
        self._headers = dict(headers)
        self._timeout, self._max_answer_bytes = timeout, max_answer_bytes
        self.mask = SecretMask(headers.values())
        self._own = threading.local()
        self._made: list[http.client.HTTPConnection] = []

    def send(self, method: str, path: str, body: bytes | None = None, kind: str | None = None) -> Reply:
        """Send one request and return its answer.

        Args:
            method: GET or POST.
            path: with the query.
            body: of a POST.
            kind: media type of the body.

        Raises:
            OSError, HTTPException: no complete answer came in time (TimeoutError); another try may succeed.
            Refused: the answer is a redirect.
            DataError: the answer is too large.
        """
        headers = self._headers if kind is None else {**self._headers, "Content-Type": kind}
        used = getattr(self._own, "connection", None) is not None
        try:
            return self._exchange(method, path, body, headers)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            if not used:
                raise
            return self._exchange(method, path, body, headers)  # the server had closed an idle connection, as it may

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._made:
            connection.close()

    def _exchange(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        begun = time.perf_counter()
        connection = self._connection()
        timed_out = threading.Event()
        try:
            if connection.sock is None:
                connection.connect()
            # A socket's own time-out starts again with every byte: a slow enough server would never reach it.
            watch = threading.Timer(self._timeout, _hang_up, [connection.sock, timed_out])
            watch.daemon = True
            watch.start()
            try:
                connection.request(method, path, body, dict(headers))
                response = connection.getresponse()
                content = self._read(response)
            finally:
                watch.cancel()
            if timed_out.is_set():
                raise TimeoutError
        except BaseException as error:
            self._close()
            hung_up = timed_out.is_set() and isinstance(error, OSError | http.client.HTTPException | ValueError)
            if hung_up or isinstance(error, TimeoutError):  # the socket's own may come first on a busy machine
                raise TimeoutError(f"no complete answer in {self._timeout:g} s") from None
            raise
        if response.will_close:
            self._close()
        if 300 <= response.status < 400:
            raise self._refuse_redirect(response.headers.get("Location", ""))
        return Reply(response.status, content, time.perf_counter() - begun, _seconds(response.headers))

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        content = bytearray()
        while piece := response.read(_PIECE):
            content += piece
            if len(content) > self._max_answer_bytes:
                raise DataError(
                    "the answer is too large", where=self.host, expected=f"at most {self._max_answer_bytes:,} bytes"
                )
        if response.length:
            raise ConnectionError(f"the answer was cut off, {response.length:,} bytes before its end")
        return bytes(content)

    def _connection(self) -> http.client.HTTPConnection:
        if getattr(self._own, "connection", None) is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            self._own.connection = kind(self.host, self._port, timeout=self._timeout)
            self._made.append(self._own.connection)
        connection: http.client.HTTPConnection = self._own.connection
        return connection

    def _close(self) -> None:
        if getattr(self._own, "connection", None) is not None:
            self._own.connection.close()
            self._made.remove(self._own.connection)
            self._own.connection = None

    def _refuse_redirect(self, location: str) -> Refused:
        try:
            target = urlsplit(location)
            host, path = target.hostname or self.host, self.mask.text(target.path)[:200]
        except ValueError:  # half an IPv6 address
            host, path = self.host, "an invalid address"
        if host != self.host:
            return Refused(
                "the API redirects to another host, which would get the images and the key", where=self.host,
                got=self.mask.text(host)[:200], hint="if it may have them, give that address as --api-url",
            )  # fmt: skip
        return Refused(
            "the API has moved", where=self.host, got=path, hint="give the address that it moved to as --api-url"
        )


def _hang_up(sock: socket.socket, timed_out: threading.Event) -> None:
    timed_out.set()
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not TLS's own, under which the reader crashes


def _seconds(headers: http.client.HTTPMessage) -> float | None:
    """Return Retry-After in seconds; None where it is a date: the usual back-off is good enough then."""
    text = headers.get("Retry-After") or ""
    return float(text) if text.strip().isdecimal() else None
