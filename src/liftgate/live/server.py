"""The server of the board: on loopback alone, for anybody who has the token, and nothing but GET."""

from __future__ import annotations

import asyncio
import json
import math
import re
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from liftgate.errors import UsageError
from liftgate.live.page import Part, render_page, render_parts, templates
from liftgate.live.read import (
    Board,
    BoardRegistry,
    BoardStudy,
    Places,
    fingerprint,
    log_fingerprint,
    places,
    read_registry,
    read_study,
)
from liftgate.live.shadow_tests import BoardShadow, read_shadow

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "liftgate_board"
_HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""Names of this machine, and of the near end of an SSH tunnel, at any port: a foreign page that points its own name
here is refused"""
_LOOK_EVERY = 1.0
"""Seconds between looks at the files"""
_AGAIN_EVERY = 5.0
"""Seconds between looks for new studies, and between readings of one that runs"""
_BEAT_EVERY = 15.0
"""Seconds between signs of life, so that a tunnel does not close"""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class BoardFiles:
    """What the board shows now. A study is read again when its files changed, and while it runs now and then."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._reading = threading.Lock()
        self._places = Places([], [], [])
        self._looked = -math.inf
        self._studies: dict[Path, _Known[BoardStudy]] = {}
        self._registries: dict[Path, _Known[BoardRegistry]] = {}
        self._shadows: dict[Path, _Known[BoardShadow]] = {}

    def read(self) -> Board:
        """Return the board. New studies below the given folders appear by themselves."""
        with self._reading:  # several pages may be open
            now = time.monotonic()
            if now - self._looked >= _AGAIN_EVERY:
                self._places, self._looked = places(self._paths), now
            studies, registries, logs = self._places
            return Board(
                tuple(self._study(folder, registries, now) for folder in studies),
                tuple(self._registry(folder, now) for folder in registries),
                tuple(self._shadow(folder, now) for folder in logs),
            )

    def parts(self) -> tuple[Part, ...]:
        """Return the parts of the board as HTML."""
        return render_parts(self.read())

    def _study(self, folder: Path, registries: Sequence[Path], now: float) -> BoardStudy:
        known, seen = self._studies.get(folder), fingerprint(folder, registries)
        # Times that are left, and processes that died, are in no file.
        lives = known is not None and known.value.status is not None and known.value.status.pid is not None
        if known is None or known.seen != seen or (lives and now - known.at >= _AGAIN_EVERY):
            known = self._studies[folder] = _Known(read_study(folder, registries), seen, now)
        return known.value

    def _registry(self, folder: Path, now: float) -> BoardRegistry:
        known, seen = self._registries.get(folder), fingerprint(folder)
        if known is None or known.seen != seen:
            known = self._registries[folder] = _Known(read_registry(folder), seen, now)
        return known.value

    def _shadow(self, log: Path, now: float) -> BoardShadow:
        known, seen = self._shadows.get(log), log_fingerprint(log)
        # While one runs its files change all the time, and each reading counts all minutes again.
        if known is None or (known.seen != seen and now - known.at >= _AGAIN_EVERY):
            known = self._shadows[log] = _Known(read_shadow(log), seen, now)
        return known.value


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Known(Generic[T]):
    """What was read, from which state of the files, and when."""

    value: T
    seen: object
    at: float


def board_app(paths: Sequence[Path], token: str) -> Starlette:
    """Return the application.

    Args:
        paths: study.yaml files, or folders that are searched for studies and registries of models.
        token: that a first visit has to bring as `?token=`; a cookie keeps it afterwards.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.routing import Route

    pages = _Pages(BoardFiles(paths), token)
    routes = [
        Route("/", pages.page),
        Route("/events", pages.events),
        Route("/state", pages.state),
        Route("/report/{number:int}", pages.report),
        Route("/board.css", pages.asset),
        Route("/board.js", pages.asset),
    ]
    return Starlette(routes=routes, middleware=[Middleware(_Door, token=token)])


class _Door:
    """Lets in whoever asks this machine by its own name and has the token, on every path."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.requests import Request
        from starlette.responses import PlainTextResponse

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        host = re.sub(r":[0-9]+$", "", request.headers.get("host", ""))
        given = request.query_params.get("token") or request.cookies.get(COOKIE, "")
        if host not in _HOSTS:
            answer = PlainTextResponse("this board answers to localhost alone\n", 421, _HEADERS)
        elif not secrets.compare_digest(given.encode(), self._token.encode()):
            hint = "open the address that `liftgate board` printed, with its token\n"
            answer = PlainTextResponse(hint, 403, _HEADERS)
        else:
            await self._app(scope, receive, send)
            return
        await answer(scope, receive, send)


class _Pages:
    """What the board answers."""

    def __init__(self, files: BoardFiles, token: str) -> None:
        self._files, self._token = files, token

    async def page(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import HTMLResponse, RedirectResponse

        if "token" in request.query_params:  # out of the address, so that it is in no history and no screenshot
            answer = RedirectResponse("/", 303, _HEADERS)
            answer.set_cookie(COOKIE, self._token, httponly=True, samesite="strict")
            return answer
        return HTMLResponse(await run_in_threadpool(lambda: render_page(self._files.read())), headers=_HEADERS)

    async def events(self, request: Request) -> Response:
        from starlette.responses import StreamingResponse

        return StreamingResponse(_changes(self._files, request), media_type="text/event-stream", headers=_HEADERS)

    async def state(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import Response

        parts = await run_in_threadpool(self._files.parts)
        return Response(_as_json(parts), headers=_HEADERS, media_type="application/json")

    async def report(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import FileResponse, PlainTextResponse

        board = await run_in_threadpool(self._files.read)
        number = int(request.path_params["number"])
        found = board.studies[number].report if number < len(board.studies) else None
        if found is None:
            return PlainTextResponse("there is no such report\n", 404, _HEADERS)
        own = {name: value for name, value in _HEADERS.items() if name != "Content-Security-Policy"}
        return FileResponse(found, media_type="text/html", headers=own)  # the page has a stricter policy of its own

    async def asset(self, request: Request) -> Response:
        from starlette.responses import Response

        name = request.url.path.rpartition("/")[2]
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        return Response(_asset(name), headers=_HEADERS, media_type=kind)


async def _changes(files: BoardFiles, request: Request) -> AsyncIterator[str]:
    """Yield the parts that changed, as server-sent events, until the reader leaves."""
    from starlette.concurrency import run_in_threadpool

    sent: dict[str, str] = {}
    beat = time.monotonic()
    while not await request.is_disconnected():
        parts = await run_in_threadpool(files.parts)
        fresh = tuple(one for one in parts if sent.get(one.id) != one.hash)
        if fresh:
            sent |= {one.id: one.hash for one in fresh}
            yield f"event: parts\ndata: {_as_json(fresh)}\n\n"
        if fresh or time.monotonic() - beat > _BEAT_EVERY:
            beat = time.monotonic()
            yield ": alive\n\n"
        await asyncio.sleep(_LOOK_EVERY)


def _as_json(parts: Sequence[Part]) -> str:
    return json.dumps([{"id": one.id, "hash": one.hash, "html": one.html} for one in parts])


def _asset(name: str) -> str:
    """Return the report's own style or colour switch, with that of the board behind it."""
    loader = templates().loader
    assert loader is not None
    first = "style.css" if name.endswith(".css") else "theme.js"
    return "\n".join(loader.get_source(templates(), one)[0] for one in (first, name))


def board(
    paths: str | Path | Sequence[str | Path] = ".",
    *,
    port: int = 8765,
    on_ready: Callable[[str], None] = print,
) -> None:
    """Serve a read-only page over the ledgers of studies and registries of models, until it is interrupted.

    Only this machine can reach it, and only with the token in the address that `on_ready` gets.

    Args:
        paths: study.yaml files, or folders that are searched for results and registries.
        port: of 127.0.0.1; 0: any free one.
        on_ready: called with the address, once it answers.

    Raises:
        UsageError: no such study or folder, a port that is taken, or the extra `board` is not installed.
    """
    given = [Path(paths)] if isinstance(paths, str | Path) else [Path(one) for one in paths]
    if not 0 <= port <= 65535:
        raise UsageError("no such port", expected="1 to 65535, or 0 for any free one", got=port)
    places(given)  # a path that is wrong is an error before anything is served
    try:
        import uvicorn

        token = secrets.token_urlsafe(24)
        app = board_app(given, token)
    except ImportError as error:
        raise UsageError(
            "the board needs starlette and uvicorn", got=str(error), hint="pip install '.[board]' in the clone"
        ) from None
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited; asyncio would not set it here
        try:
            listening.bind(("127.0.0.1", port))
        except OSError:
            raise UsageError(f"port {port} is taken", hint="--port 0 takes any free one") from None
        listening.listen()
        on_ready(f"http://127.0.0.1:{listening.getsockname()[1]}/?token={token}")
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listening])
