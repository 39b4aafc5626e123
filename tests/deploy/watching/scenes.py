"""Videos of coloured squares, which the detector of `deploy.colours` finds, and streams of them."""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np

from deploy.colours import CELL, CELLS, SIZE


def scene(number: int) -> np.ndarray:
    """(128, 128, 3): three bright squares, which move with the number."""
    pixels = np.full((SIZE, SIZE, 3), 40, np.uint8)
    for colour in range(3):
        x, y = (number + 2 * colour) % CELLS * CELL, (2 + colour) * CELL
        pixels[y : y + CELL, x : x + CELL] = 0
        pixels[y : y + CELL, x : x + CELL, colour] = 250
    return pixels


def write_scenes(path: Path, n_frames: int, *, fps: int = 10) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "tune": "zerolatency", "crf": "5"})
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = fps
        stream.time_base = stream.codec_context.time_base = Fraction(1, fps)
        for number in range(n_frames):
            frame = av.VideoFrame.from_ndarray(scene(number), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


@contextlib.contextmanager
def tcp_camera(stream: Path, seconds: float) -> Iterator[str]:
    """Yield the address of a camera that sends MPEG-TS, as slowly as it was filmed, to whoever connects; it hangs up
    at the end, and takes the next connection."""
    content = stream.read_bytes()
    pieces = [content[start : start + 188 * 7] for start in range(0, len(content), 188 * 7)]
    ended = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.2)

    def play() -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError):
                client, _ = server.accept()
                with client:
                    for piece in pieces:
                        client.sendall(piece)
                        if ended.wait(seconds / len(pieces)):
                            return

    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
    finally:
        ended.set()
        thread.join(timeout=60)
        server.close()


@contextlib.contextmanager
def stalling_camera(stream: Path, seconds: float, stalls: Callable[[float], float]) -> Iterator[str]:
    """Yield the address of a camera that sends MPEG-TS as it was filmed, but stops for a while: what it filmed by then
    comes late, at the pace of the film, as over a line that was down.

    Args:
        stream: sent again and again.
        seconds: that it lasts.
        stalls: seconds of silence before the piece at this share of the film, for each connection anew.
    """
    content = stream.read_bytes()
    pieces = [content[start : start + 188 * 7] for start in range(0, len(content), 188 * 7)]
    ended = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.2)

    def play(client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            for number, piece in enumerate(pieces):
                if ended.wait(stalls(number / len(pieces)) + seconds / len(pieces)):
                    return
                client.sendall(piece)

    def accept() -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError):
                client, _ = server.accept()
                threading.Thread(target=play, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
    finally:
        ended.set()
        thread.join(timeout=60)
        server.close()


@contextlib.contextmanager
def udp_camera(stream: Path, seconds: float) -> Iterator[str]:
    """Yield an address to which MPEG-TS is sent again and again, as slowly as it was filmed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    content, ended = stream.read_bytes(), threading.Event()
    pieces = [content[start : start + 188 * 7] for start in range(0, len(content), 188 * 7)]

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not ended.is_set():
                for piece in pieces:
                    with contextlib.suppress(OSError):  # nobody listens yet
                        out.sendto(piece, ("127.0.0.1", port))
                    if ended.wait(seconds / len(pieces)):
                        return

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield f"udp://127.0.0.1:{port}"
    finally:
        ended.set()
        thread.join(timeout=60)


@contextlib.contextmanager
def http_files(folder: Path) -> Iterator[str]:
    """Yield the address of a server of a folder's files."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=60)
