"""The process of a server: bind, serve, give connections their time limits, and drain on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Generator

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from liftgate.deploy.serving.app import ModelServer, build_app
from liftgate.deploy.serving.json_lines import LibraryMessages
from liftgate.deploy.serving.settings import ServeAddress
from liftgate.errors import UsageError

_BACKLOG = 128
_KEEP_ALIVE_SECONDS = 30
_MOST_HEADER_BYTES = 32_768


def bind(address: ServeAddress) -> socket.socket:
    """Return a socket that listens, so that its port is known and its failure is one error.

    Raises:
        UsageError: the address cannot be used.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, place = found[0]
        listener = socket.create_server(place[:2], family=family, backlog=_BACKLOG)
        # Connections inherit it. Without it the body of an answer waits 40 ms for the receipt of its headers: asyncio
        # sets it for sockets that name their protocol only, and this one does not.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        where = f"{address.host}:{address.port}"
        hint = "--port 0 takes any free one"
        raise UsageError(
            "the server cannot listen there", where=where, got=error.strerror or error, hint=hint
        ) from None


def serve_until_told(server: ModelServer, listener: socket.socket) -> None:
    """Answer requests until SIGTERM or SIGINT, then finish those that are there.

    Args:
        server: what answers.
        listener: from `bind`; closed at the end.
    """
    limits = server.limits
    config = uvicorn.Config(
        build_app(server),
        http=_timed_protocol(limits.header_seconds),
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=limits.drain_seconds,
        h11_max_incomplete_event_size=_MOST_HEADER_BYTES,
        limit_concurrency=limits.queue * 4 + 64,
    )
    logger = logging.getLogger("uvicorn.error")
    messages = LibraryMessages(server.lines)
    logger.addHandler(messages)
    logger.propagate = False
    try:
        with listener:
            _Server(config).run(sockets=[listener])
    finally:
        logger.removeHandler(messages)


class _Server(uvicorn.Server):
    """Ends with exit code 0 after SIGTERM: the library's own would send the signal again to itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def _timed_protocol(seconds: float) -> type[asyncio.Protocol]:
    """Return an HTTP protocol that closes a connection whose next headers do not arrive in time.

    The library's own has a limit only for silence after an answer: one byte of a header now and then, or none on a
    fresh connection, would hold it for ever.
    """

    class TimedProtocol(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._wait_for_headers()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def handle_events(self) -> None:
            before = self.cycle
            super().handle_events()
            if self.cycle is not before:
                self._stop_waiting()

        def on_response_complete(self) -> None:
            self._wait_for_headers()
            super().on_response_complete()

        def _wait_for_headers(self) -> None:
            self._stop_waiting()
            wait = seconds if self.cycle is None else max(seconds, self.timeout_keep_alive)
            self._deadline = self.loop.call_later(wait, self._close_waiting)

        def _stop_waiting(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _close_waiting(self) -> None:
            if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
                self.transport.close()

    return TimedProtocol
