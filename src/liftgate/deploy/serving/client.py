"""Ask a server of `liftgate serve` from Python: the base install is enough."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from liftgate.data.remote.hosts import require_allowed_host
from liftgate.deploy.remote_predictions.channel import Channel, Reply
from liftgate.deploy.serving.answers import Answer, ErrorAnswer, ModelAnswer
from liftgate.errors import DataError, LiftgateError, UsageError

_A = TypeVar("_A", Answer, ModelAnswer, ErrorAnswer)
_LONGEST_PAUSE = 60.0
_LARGEST_ANSWER = 16 << 20
_RETRIED = (408, 502, 503, 504)
_BAD_IMAGE = (413, 415, 422)


class Client:
    """A connection to a server of `liftgate serve`; threads may share one.

    A full queue (503), a connection that is refused or lost and an answer that does not come in time are tried again,
    after the seconds that the server's Retry-After names, else after 1, 2, 4 … seconds. A redirect is refused.

    >>> with Client("http://127.0.0.1:8000", token="a token of the server") as client:  # doctest: +SKIP
    ...     answer = client.predict("photo.jpg", conf=0.4)
    ...     print(answer.model_version, [(one.cls, one.confidence, one.box) for one in answer.detections])
    v0.2 [('cone', 0.91, (10.0, 20.0, 50.0, 90.0))]
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        token: str | None = None,
        timeout: float = 30.0,
        tries: int = 5,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Check the address; nothing is sent yet.

        Args:
            url: of the server, without a route; plain HTTP only to this machine and to private addresses.
            token: that the server asks for; None: LIFTGATE_SERVE_TOKEN, or none.
            timeout: seconds until a complete answer must be there.
            tries: of each request.
            sleep: called with the seconds to wait before another try.

        Raises:
            UsageError: not an address, or a value that is not possible.
        """
        if not 0 < timeout <= 3600 or not 1 <= tries <= 20:
            got = f"{timeout:g} s, {tries} tries"
            raise UsageError("not a possible client", expected="a timeout up to an hour, 1 … 20 tries", got=got)
        require_allowed_host(url, confidential=False, what="the images")
        token = token or os.environ.get("LIFTGATE_SERVE_TOKEN")
        if token is not None and (not token.isascii() or not token.isprintable()):
            raise UsageError("this is no token", expected="printable ASCII characters")
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._channel = Channel(url, headers, timeout=timeout, max_answer_bytes=_LARGEST_ANSWER)
        self._base = self._channel.path.rstrip("/")
        self._where = urlsplit(url).netloc
        self._tries, self._sleep = tries, sleep

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def predict(
        self,
        image: bytes | str | Path,
        *,
        conf: float | None = None,
        image_id: str | None = None,
        camera: str | None = None,
    ) -> Answer:
        """Return the detections in one image, with the version of the model that found them.

        Args:
            image: a JPEG or PNG: its bytes or its path.
            conf: least confidence; None: the server's.
            image_id: name of the image in the answer and in the server's log; None: a file's name.
            camera: in the server's log.

        Raises:
            DataError: the image cannot be read, or the server refuses it.
            UsageError: the token is not right, or a value is out of range.
            Refused: the server redirects.
            LiftgateError: the server gave no answer.
        """
        if isinstance(image, bytes):
            content = image
        else:
            try:
                content = Path(image).read_bytes()
            except OSError as error:
                raise DataError("cannot read the image", where=image, got=error.strerror) from None
            image_id = Path(image).name if image_id is None else image_id
        given = {"conf": conf, "image_id": image_id, "camera": camera}
        query = urlencode({name: value for name, value in given.items() if value is not None})
        kind = "image/png" if content[:4] == b"\x89PNG" else "image/jpeg"
        reply = self._send("POST", "/predict" + (f"?{query}" if query else ""), content, kind)
        return self._read(reply, Answer)

    def model(self) -> ModelAnswer:
        """Return the model in use: its version, classes and thresholds.

        Raises:
            UsageError: the token is not right.
            LiftgateError: the server gave no answer.
        """
        return self._read(self._send("GET", "/model"), ModelAnswer)

    def close(self) -> None:
        """Close the connections."""
        self._channel.close()

    def _send(self, method: str, route: str, body: bytes | None = None, kind: str | None = None) -> Reply:
        reason = ""
        for attempt in range(self._tries):
            pause = None
            try:
                reply = self._channel.send(method, self._base + route, body, kind)
                if reply.status not in _RETRIED:
                    return reply
                reason, pause = f"HTTP {reply.status}", reply.retry_after
            except (OSError, HTTPException) as error:
                reason = self._channel.mask.text(f"{type(error).__name__}: {error}".rstrip(": "))[:200]
            if attempt + 1 < self._tries:
                self._sleep(min(_LONGEST_PAUSE, 2.0**attempt if pause is None else pause))
        got, hint = f"{reason} ({self._tries} tries)", "is `liftgate serve` running there?"
        raise LiftgateError("the server gave no answer", where=self._where, got=got, hint=hint)

    def _read(self, reply: Reply, kind: type[_A]) -> _A:
        try:
            if 200 <= reply.status < 300:
                return msgspec.json.decode(reply.body, type=kind)
            fault = msgspec.json.decode(reply.body, type=ErrorAnswer).error
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            got = f"HTTP {reply.status}, {self._channel.mask.text(str(error))[:200]}"
            hint = "the address of `liftgate serve`, without a route"
            raise DataError("this is no answer of a Liftgate server", where=self._where, got=got, hint=hint) from None
        what = DataError if reply.status in _BAD_IMAGE else UsageError if reply.status < 500 else LiftgateError
        text = self._channel.mask.text
        raise what(
            text(fault.what), where=self._where, expected=fault.expected,
            got=None if fault.got is None else text(fault.got), hint=fault.hint,
        )  # fmt: skip
