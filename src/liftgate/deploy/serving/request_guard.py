"""Around every request: the token, the host, one line of the log and the counters."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from liftgate.deploy.serving.answers import ErrorAnswer, Failure
from liftgate.deploy.serving.json_lines import JsonLines
from liftgate.deploy.serving.metrics import ServerMetrics
from liftgate.deploy.serving.settings import ServeAddress

_OPEN = ("/", "/page.js", "/openapi.json", "/health", "/ready")
"""Routes without a token: they show neither images nor what the model finds"""
_ROUTES = (*_OPEN, "/predict", "/predict/batch", "/model", "/metrics")
_QUIET = ("/health", "/ready", "/metrics")
"""Asked every few seconds: counted, and logged only when they fail"""


@dataclass(slots=True)
class _Noted:
    image: str | None = None
    version: str | None = None


def note(request: Request, *, image: str, version: str) -> None:
    """Note for the log what a request was about."""
    noted = request.scope["liftgate_noted"]
    assert isinstance(noted, _Noted)
    noted.image, noted.version = image, version


class RequestGuard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, address: ServeAddress, metrics: ServerMetrics, lines: JsonLines) -> None:
        self._app, self._metrics, self._lines = app, metrics, lines
        self._token = None if address.token is None else address.token.encode("ascii")
        # Without a token the browser of this machine is the door: a page elsewhere that names this address as its own
        # (DNS rebinding) sends that name as Host.
        self._hosts = ("localhost", "127.0.0.1", "[::1]", address.host) if self._token is None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        noted = _Noted()
        scope["liftgate_begun"], scope["liftgate_noted"] = begun, noted
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refusal = self._refusal(scope)
            if refusal is None:
                await self._app(scope, receive, watch)
            else:
                await _refuse(refusal, watch)
        finally:
            seconds = time.perf_counter() - begun
            path = scope["path"] if scope["path"] in _ROUTES else "other"
            self._metrics.answered(path, status, seconds)
            if path not in _QUIET or status >= 400:
                self._lines.write(
                    "request",
                    {
                        "method": str(scope["method"]), "route": path, "status": status,
                        "ms": round(seconds * 1000, 2), "image": noted.image, "model_version": noted.version,
                    },
                )  # fmt: skip

    def _refusal(self, scope: Scope) -> ErrorAnswer | None:
        headers = dict(scope["headers"])
        if self._hosts is not None:
            host = headers.get(b"host", b"").decode("latin-1").lower()
            name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
            if name not in self._hosts:
                hint = "behind a reverse proxy, start the server with a token"
                return ErrorAnswer(Failure("the request is for another host", got=name[:100], hint=hint), 421)
        if self._token is None or scope["path"] in _OPEN:
            return None
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token):
            return None
        return ErrorAnswer(Failure("no valid token", expected="Authorization: Bearer TOKEN"), 401)


async def _refuse(refusal: ErrorAnswer, send: Send) -> None:
    body = msgspec.json.encode(refusal)
    headers = [
        (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), (b"connection", b"close")
    ]  # fmt: skip
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
