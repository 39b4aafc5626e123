"""A server in a process of its own, and requests to it over real connections."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import liftgate
from deploy.colours import write_detector

START_SECONDS = 180


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class RunningServer:
    process: subprocess.Popen[str]
    host: str
    port: int
    lines: list[Any] = field(default_factory=list)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        connection: http.client.HTTPConnection | None = None,
    ) -> Reply:
        line = connection or http.client.HTTPConnection(self.host, self.port, timeout=120)
        try:
            line.request(method, path, body, dict(headers or {}))
            found = line.getresponse()
            return Reply(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read())
        finally:
            if connection is None:
                line.close()

    def predict(self, image: bytes, query: str = "", kind: str = "image/png") -> Reply:
        return self.ask("POST", f"/predict{query}", image, {"content-type": kind})

    def events(self, name: str) -> list[Any]:
        return [one for one in self.lines if one.get("event") == name]

    def stop(self, number: int = signal.SIGTERM, timeout: float = 120) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout)


@contextlib.contextmanager
def running(*words: str | Path, environment: Mapping[str, str] | None = None) -> Iterator[RunningServer]:
    """Start `liftgate serve` on any free port; its log is kept as records."""
    command = [sys.executable, "-m", "liftgate", "serve", *map(str, words)]
    command += [] if "--port" in words else ["--port", "0"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env={**os.environ, **(environment or {})}
    )
    found: queue.Queue[str | None] = queue.Queue()
    server = RunningServer(process, "127.0.0.1", 0)

    def read() -> None:
        assert process.stderr is not None
        for text in process.stderr:
            with contextlib.suppress(json.JSONDecodeError):
                line = json.loads(text)
                server.lines.append(line)
                if line.get("event") == "listening":
                    found.put(line["url"])
        found.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        url = found.get(timeout=START_SECONDS)
        assert url is not None, f"the server ended with {process.wait(60)}"
        server.port = int(url.rpartition(":")[2])
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(60)
        reader.join(60)
        assert process.stderr is not None
        process.stderr.close()


def registry_of(folder: Path, count: int) -> Path:
    """Register so many versions of a detector, each with its boxes moved a pixel further, and promote the first."""
    registry = folder / "models"
    for number in range(count):
        weights = write_detector(folder / f"detector{number}.onnx", shift=float(number))
        liftgate.add_model(weights, registry=registry)
    liftgate.promote("v0", registry=registry, override="a test")
    return registry


def multipart(*files: tuple[str, bytes], boundary: str = "edge") -> tuple[bytes, Mapping[str, str]]:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
        "Content-Type: image/png\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, content in files
    ]
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return body, {"content-type": f"multipart/form-data; boundary={boundary}"}
