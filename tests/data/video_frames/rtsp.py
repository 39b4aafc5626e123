"""A camera for tests: one RTSP server, one client after the other, MPEG-TS in RTP over the same TCP connection."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:track1\r\n"


@contextlib.contextmanager
def camera(*streams: Path, user: str = "user", password: str = "secret") -> Iterator[str]:
    """Yield the address of a camera that plays each of `streams` (MPEG-TS) once, hangs up after each, then is gone."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(10)
    thread = threading.Thread(target=_serve, args=(server, [stream.read_bytes() for stream in streams]), daemon=True)
    thread.start()
    try:
        yield f"rtsp://{user}:{password}@127.0.0.1:{server.getsockname()[1]}/live/1?token={password}"
    finally:
        server.close()
        thread.join(timeout=60)


def _serve(server: socket.socket, streams: list[bytes]) -> None:
    for data in streams:
        _serve_one(server, data)
    server.close()


def _serve_one(server: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        client, _ = server.accept()
        client.settimeout(10)
        with client:
            asked = b""
            while True:
                while b"\r\n\r\n" not in asked:
                    more = client.recv(4096)
                    if not more:
                        return
                    asked += more
                request, _, asked = asked.partition(b"\r\n\r\n")
                method = request.split(b" ", 1)[0].decode()
                sequence = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"cseq")).decode()
                _answer(client, method, sequence)
                if method == "PLAY":
                    _play(client, data)
                    return


def _answer(client: socket.socket, method: str, sequence: str) -> None:
    lines = ["RTSP/1.0 200 OK", sequence]
    body = ""
    if method == "OPTIONS":
        lines.append("Public: DESCRIBE, SETUP, PLAY, TEARDOWN")
    elif method == "DESCRIBE":
        body = SDP
        lines += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
    elif method == "SETUP":
        lines += ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1"]
    else:
        lines.append("Session: 1")
    client.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())


def _play(client: socket.socket, data: bytes) -> None:
    for number, start in enumerate(range(0, len(data), 7 * 188)):
        payload = data[start : start + 7 * 188]
        header = struct.pack(">BBHII", 0x80, 33, number & 0xFFFF, number * 900, 1)
        client.sendall(struct.pack(">cBH", b"$", 0, len(header) + len(payload)) + header + payload)
