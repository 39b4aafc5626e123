"""A small CVAT: the endpoints that cvat-sdk uses to make a task of a zip, to import labels and to export them.

It keeps what it is sent. Its answers have the shape of CVAT 2's REST API, which the SDK validates.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-secret-token"


@dataclass
class State:
    """What the server knows."""

    url: str = ""
    spec: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    """name → what was uploaded under it"""
    corrected: str | None = None
    """annotations.xml to export; None: as imported"""
    asked: list[str] = field(default_factory=list)
    events: str | None = None
    """CSV of the task's events; None: no analytics are installed"""
    fails: bool = False
    """The import of labels fails, as when a label is not the task's"""

    @property
    def frames(self) -> list[str]:
        archive = next(data for name, data in self.files.items() if name.endswith(".zip"))
        return zipfile.ZipFile(io.BytesIO(archive)).namelist()


def _who() -> dict[str, Any]:
    return {"url": "http://x/1", "id": 1, "username": "me", "first_name": "", "last_name": ""}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: State

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return None

    def _say(self, status: int, value: object = None, headers: dict[str, str] | None = None) -> None:
        data = value if isinstance(value, bytes) else b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        if value is not None and not isinstance(value, bytes):
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _task(self) -> dict[str, Any]:
        link = {"url": f"{self.state.url}/x", "count": 0}
        nothing = "project_id overlap data_chunk_size organization_id guide_id assignee_updated_date validation_mode"
        return dict.fromkeys(nothing.split()) | {
            "url": f"{self.state.url}/api/tasks/7",
            "id": 7,
            "name": self.state.spec.get("name", "t"),
            "mode": "annotation",
            "status": "annotation",
            "owner": _who(),
            "segment_size": 0,
            "size": 2,
            "created_date": "2026-01-01T00:00:00Z",
            "updated_date": "2026-01-01T00:00:00Z",
            "jobs": link | {"completed": 0, "validation": 0},
            "labels": link,
            "dimension": "2d",
            "subset": "",
            "bug_tracker": "",
            "data_compressed_chunk_type": "imageset",
            "data_original_chunk_type": "imageset",
        }

    def _answer(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        path, query, state = parts.path.rstrip("/"), parse_qs(parts.query), self.state
        state.asked.append(f"{method} {path}")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._say(401, {"detail": "Authentication credentials were not provided."})
        if path == "/api/server/about":
            about = {"name": "CVAT", "description": "", "version": "2.80.0", "logo_url": "x", "subtitle": ""}
            return self._say(200, about)
        if method == "POST" and path == "/api/tasks":
            state.spec = json.loads(body)
            return self._say(201, self._task())
        if path == "/api/tasks/7" and method == "GET":
            return self._say(200, self._task())
        if found := re.fullmatch(r"/api/requests/(.+)", path):
            failed = state.fails and found[1] == "annotations"
            return self._say(200, self._request(found[1], failed))
        if found := re.fullmatch(r"/api/tasks/7/(data|annotations)", path):
            return self._upload(found[1], body)
        if found := re.fullmatch(r"/upload/(.+)", path):
            state.files[found[1]] = state.files.get(found[1], b"") + body
            return self._say(204, headers={"Upload-Offset": str(len(state.files[found[1]]))})
        if path == "/api/tasks/7/dataset/export":
            assert query["format"] == ["CVAT for images 1.1"]
            return self._say(202, {"rq_id": "export"})
        if path == "/api/events/export" and state.events is not None:
            assert query["task_id"] == ["7"]
            return self._say(202, {"rq_id": "events"})
        if path == "/result/events":
            return self._say(200, (state.events or "").encode())
        if path == "/result/export":
            return self._say(200, self._export())
        return self._say(404, {"detail": f"nothing at {method} {path}"})

    def _upload(self, what: str, body: bytes) -> None:
        """TUS: a start, a file with its name in Upload-Metadata, a finish; small images come as a form."""
        if "Upload-Length" in self.headers:
            words = dict(pair.split(" ") for pair in self.headers["Upload-Metadata"].split(","))
            name = base64.b64decode(words["filename"]).decode()
            self.state.files[name] = b""
            place = {"Location": f"{self.state.url}/upload/{name}", "Upload-Filename": name}
            return self._say(201, headers=place)
        if "Upload-Multiple" in self.headers:
            boundary = b"--" + self.headers["Content-Type"].split("boundary=")[1].encode()
            for part in body.split(boundary):
                if found := re.search(rb'filename="([^"]+)"', part):
                    name = found[1].decode().rsplit("/", 1)[-1]
                    self.state.files[name] = part.partition(b"\r\n\r\n")[2][:-2]
            return self._say(200, {})
        return self._say(202, {"rq_id": what})

    def _request(self, name: str, failed: bool) -> dict[str, Any]:
        return {
            "id": name,
            "status": "failed" if failed else "finished",
            "message": "no such label: cat" if failed else "",
            "operation": {"type": "import:annotations", "target": "task", "task_id": 7},
            "created_date": "2026-01-01T00:00:00Z",
            "owner": {"id": 1, "username": "me"},
            "result_url": f"{self.state.url}/result/{name}",
        }

    def _export(self) -> bytes:
        xml = self.state.corrected or self.state.files["annotations.xml"].decode()
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("annotations.xml", xml)
        return out.getvalue()

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PATCH(self) -> None:
        self._answer("PATCH")


@contextlib.contextmanager
def running() -> Iterator[State]:
    """A server on a free port of this machine, for as long as the block lasts."""
    state = State()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
