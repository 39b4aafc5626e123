"""Limits: who may ask, how much, how slowly."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from deploy.serving.running import RunningServer, multipart, running
from liftgate.deploy.serving.settings import ServeAddress

TOKEN = "a-token-of-enough-letters"


def opened(server: RunningServer, *sent: bytes) -> socket.socket:
    line = socket.create_connection((server.host, server.port), timeout=120)
    for part in sent:
        line.sendall(part)
    return line


def read_all(line: socket.socket) -> bytes:
    found = b""
    while part := line.recv(65536):
        found += part
    return found


def head(length: int, route: str = "/predict", more: str = "") -> bytes:
    return (
        f"POST {route} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: {length}\r\n{more}\r\n"
    ).encode()


def test_a_body_that_is_too_long_is_refused_before_it_is_sent(server: RunningServer) -> None:
    line = opened(server, head(1_000_000_000))
    answer = read_all(line)
    line.close()
    assert answer.startswith(b"HTTP/1.1 413") and b"500,000 bytes" in answer


def test_a_long_body_without_a_length_is_refused_while_it_comes(server: RunningServer) -> None:
    def chunks() -> object:
        for _ in range(20):
            yield b"\x89PNG\r\n\x1a\n" + bytes(60_000)

    line = http.client.HTTPConnection(server.host, server.port, timeout=120)
    line.request("POST", "/predict", chunks(), {"content-type": "image/png"}, encode_chunked=True)  # type: ignore[arg-type]
    answer = line.getresponse()
    assert (answer.status, json.loads(answer.read())["error"]["what"]) == (413, "the body is too long")
    line.close()


def test_slow_headers_slow_bodies_and_half_bodies_time_out(server: RunningServer, images: list[Path]) -> None:
    silent, half_header, half_body = (
        opened(server),
        opened(server, b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "),
        opened(server, head(1000), b"\x89PNG"),
    )
    dripping = opened(server, head(1000))
    ended = threading.Event()

    def drip() -> None:
        while not ended.wait(0.2):
            try:
                dripping.sendall(b"x")
                half_header.sendall(b"y")
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    begun = time.monotonic()
    try:
        assert read_all(silent) == b""
        assert read_all(half_body).startswith(b"HTTP/1.1 408")
        assert b"408" in read_all(dripping)[:20]
        with contextlib.suppress(ConnectionResetError):  # closed with a byte on its way
            assert read_all(half_header) == b""
    finally:
        ended.set()
        thread.join()
    assert time.monotonic() - begun < 60, "seconds, also on a busy machine: the clients would have gone on for ever"
    for line in (silent, half_header, half_body, dripping):
        line.close()
    assert server.predict(images[0].read_bytes()).status == 200


def test_a_client_that_goes_away_does_not_matter(server: RunningServer, images: list[Path]) -> None:
    for _ in range(20):
        opened(server, head(1000), b"\x89PNG").close()
    opened(server, b"\x16\x03\x01 this is TLS\r\n\r\n").close()
    assert server.predict(images[0].read_bytes()).status == 200


def test_without_a_token_only_requests_for_this_machine_are_answered(server: RunningServer, images: list[Path]) -> None:
    content = images[0].read_bytes()
    for host, status in (
        ("localhost", 200), (f"127.0.0.1:{server.port}", 200), ("evil.example", 421), ("127.0.0.1.evil.example", 421),
    ):  # fmt: skip
        headers = {"host": host, "content-type": "image/png"}
        assert server.ask("POST", "/predict", content, headers).status == status


def test_with_a_token_everything_that_shows_something_asks_for_it(models: Path, images: list[Path]) -> None:
    content = images[0].read_bytes()
    with running("--registry", models, environment={"LIFTGATE_SERVE_TOKEN": TOKEN}) as server:
        for method, route in (("POST", "/predict"), ("POST", "/predict/batch"), ("GET", "/model"), ("GET", "/metrics")):
            for given in (None, "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer ", "Bearer \xff"):
                headers = {} if given is None else {"authorization": given}
                refused = server.ask(method, route, content if method == "POST" else None, headers)
                assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
        for route in ("/", "/health", "/ready", "/openapi.json"):
            assert server.ask("GET", route).status == 200
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "image/png", "host": "cameras.example"}
        assert server.ask("POST", "/predict", content, headers).status == 200
        assert TOKEN not in json.dumps(server.lines)


def test_a_full_queue_is_503_with_retry_after_and_nothing_is_lost(models: Path, images: list[Path]) -> None:
    content = images[0].read_bytes()
    with running("--registry", models, "--queue", "1") as server:
        holding = opened(server, head(len(content)), content[:10])
        limit = time.monotonic() + 120
        while (refused := server.predict(content)).status == 200:  # until it has read that one's head
            assert time.monotonic() < limit
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert refused.json["error"]["what"] == "the queue is full"
        holding.sendall(content[10:])
        assert holding.recv(65536).startswith(b"HTTP/1.1 200")
        holding.close()
        assert server.predict(content).status == 200
        assert "liftgate_shed_total 1.0" in server.ask("GET", "/metrics").body.decode()


def test_sigterm_finishes_what_was_begun_and_ends_with_0(models: Path, images: list[Path]) -> None:
    content = images[0].read_bytes()
    with running("--registry", models, "--queue", "1") as server:
        begun = opened(server, head(len(content)), content[:10])
        limit = time.monotonic() + 120
        while server.predict(content).status != 503:  # until it has read that one's head
            assert time.monotonic() < limit
        server.process.terminate()
        with pytest.raises(ConnectionRefusedError):
            while time.monotonic() < limit:
                opened(server).close()
        begun.sendall(content[10:])
        assert read_all(begun).startswith(b"HTTP/1.1 200")
        assert server.process.wait(120) == 0
        begun.close()
        assert server.events("stopped")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--host", "0.0.0.0"), "other machines could ask without a token"),
        (("--host", "0.0.0.0", "--token-file", "short"), "this is no token"),
        (("--token-file", "nowhere"), "the token cannot be read"),
        (("--port", "70000"), "the port is out of range"),
        (("--queue", "0"), "the queue is out of range"),
        (("--conf", "7"), "conf is out of range"),
        (("--export", "nowhere"), "has no such export"),
        (("v7",), "no such version"),
        (("nowhere.onnx",), "no such model"),
        (("--host", "192.0.2.1", "--token-file", "good"), "cannot listen there"),
    ],
)
def test_what_cannot_be_served_is_one_error(models: Path, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    (tmp_path / "short").write_text("abc\n")
    (tmp_path / "good").write_text(TOKEN + "\n")
    done = served(tmp_path, "--registry", str(models), "--port", "0", *words)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_one_error(server: RunningServer, models: Path, tmp_path: Path) -> None:
    done = served(tmp_path, "--registry", str(models), "--port", str(server.port))
    assert done.returncode == 2 and "cannot listen there" in done.stderr and "--port 0" in done.stderr


def served(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "liftgate", "serve", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def test_names_of_files_from_strangers_are_made_visible(server: RunningServer, images: list[Path]) -> None:
    body, headers = multipart(("a\u202egpj.png", images[0].read_bytes()))
    assert server.ask("POST", "/predict", body, headers).json["image_id"] == "a\\u202egpj.png"


def test_an_answer_does_not_wait_for_the_receipt_of_its_headers() -> None:
    from liftgate.deploy.serving.connections import bind

    with bind(ServeAddress("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()[:2]):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
