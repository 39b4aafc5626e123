"""A model behind HTTP, on this machine, that misbehaves on demand. No mock: real sockets, real http.server."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class ModelServer:
    """Answers every image with what `answers` holds for its bytes; `script` goes first, one entry for each request."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.script: deque[Callable[[BaseHTTPRequestHandler], bool]] = deque()
        self.requests: list[dict[str, Any]] = []
        self.connections = 0
        self.at_once = self.most_at_once = 0
        self.release = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/predict"

    def knows(self, path: Path, answer: Any) -> None:
        self.answers[hashlib.sha256(path.read_bytes()).hexdigest()] = answer

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                with server._lock:
                    server.connections += 1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                kind = self.headers["Content-Type"]
                fields: dict[str, bytes] = {}
                image = body
                if mark := re.search(r"boundary=(\w+)", kind):
                    for part in body.split(b"--" + mark[1].encode())[1:-1]:
                        head, _, content = part[2:-2].partition(b"\r\n\r\n")
                        fields[re.search(rb'name="([^"]*)"', head)[1].decode()] = content  # type: ignore[index]
                    image = fields["image"]
                with server._lock:
                    server.requests.append(
                        {"path": self.path, "kind": kind, "fields": fields, "headers": dict(self.headers), "raw": body}
                    )
                    act = server.script.popleft() if server.script else None
                    server.at_once += 1
                    server.most_at_once = max(server.most_at_once, server.at_once)
                try:
                    if act is None or act(self):
                        say(self, 200, json.dumps(server.answers[hashlib.sha256(image).hexdigest()]))
                finally:
                    with server._lock:
                        server.at_once -= 1

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def say(handler: BaseHTTPRequestHandler, status: int, text: str, **headers: str) -> None:
    body = text.encode()
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def saying(status: int, text: str = "", **headers: str) -> Callable[[BaseHTTPRequestHandler], bool]:
    """A turn of the script: this, instead of the answer."""

    def act(handler: BaseHTTPRequestHandler) -> bool:
        say(handler, status, text, **headers)
        return False

    return act


def cutting(handler: BaseHTTPRequestHandler) -> bool:
    """Promise 1,000 bytes, send ten and hang up."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"found": ')
    handler.close_connection = True
    return False


def hanging_up(handler: BaseHTTPRequestHandler) -> bool:
    """Close without a word."""
    handler.close_connection = True
    return False


def holding(server: ModelServer) -> Callable[[BaseHTTPRequestHandler], bool]:
    """Say nothing until the server is released."""

    def act(handler: BaseHTTPRequestHandler) -> bool:
        server.release.wait(30)
        handler.close_connection = True
        return False

    return act


def dripping(server: ModelServer) -> Callable[[BaseHTTPRequestHandler], bool]:
    """One byte now and then, for ever: no socket's own time-out ever fires."""

    def act(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        try:
            while not server.release.wait(0.02):
                handler.wfile.write(b" ")
        except OSError:
            pass
        handler.close_connection = True
        return False

    return act
