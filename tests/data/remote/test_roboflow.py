"""A data set version from Roboflow, from a real HTTP server on this machine that answers as Roboflow's API does."""

from __future__ import annotations

import errno
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from liftgate.cli import main
from liftgate.data.formats.read import read
from liftgate.data.provenance.declared_terms import known_terms
from liftgate.data.remote.roboflow import fetch
from liftgate.testing.data import picture, yolo_folder

KEY = "a-secret-key"
ROW = "0 .5 .5 .25 .5\n"


@dataclass
class Roboflow:
    """What the server answers."""

    url: str = ""
    content: bytes = b""
    busy: int = 0
    """So many times the export is not made yet"""
    link: str = ""
    """Where the zip is said to be; empty: on this server"""
    cut: int = 0
    """Bytes of the zip that do not arrive"""
    asked: list[str] = field(default_factory=list)


def export(folder: Path) -> bytes:
    """A zip as Roboflow makes them: data.yaml with ../train/images, its own README files."""
    yolo_folder(folder, {"train/a_jpg.rf.0123.jpg": ROW}, ["cone"])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.write(folder / "images/train/a_jpg.rf.0123.jpg", "train/images/a_jpg.rf.0123.jpg")
        archive.writestr("train/labels/a_jpg.rf.0123.txt", ROW)
        archive.writestr("README.dataset.txt", "cones")
        words = "train: ../train/images\nval: ../train/images\nnc: 1\nnames: ['cone']\n"
        archive.writestr("data.yaml", words + "roboflow: {license: CC BY 4.0, version: 3}\n")
    return out.getvalue()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Roboflow]:
    monkeypatch.setenv("ROBOFLOW_API_KEY", KEY)
    state = Roboflow(content=export(tmp_path / "made"))

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return None

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            state.asked.append(self.path)
            if parts.path == "/zip":
                self.answer(200, state.content[: len(state.content) - state.cut], len(state.content))
            elif parse_qs(parts.query).get("api_key") != [KEY]:
                self.answer(401, b'{"error": "no"}')
            elif parts.path != "/team/cones/3/yolov8":
                self.answer(404, b"{}")
            elif state.busy:
                state.busy -= 1
                self.answer(202, b'{"progress": 0.5}')
            else:
                link = state.link or f"{state.url}/zip?signature=also-secret"
                self.answer(200, json.dumps({"export": {"link": link}}).encode())

        def answer(self, status: int, body: bytes, length: int | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield state
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def words(server: Roboflow, out: Path, *more: str) -> list[str]:
    return ["data", "fetch", "team/cones/3", "--out", str(out), "--server", server.url, *more]


def test_a_version_is_fetched_and_reads_as_it_comes(
    server: Roboflow, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(server, tmp_path / "out", "--json")) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["version"] == "team/cones/3"
    assert record["bytes"] == len(server.content)
    dataset = read(tmp_path / "out")
    assert dataset.classes == ("cone",)
    assert len(dataset.labels) == 1
    assert not any(KEY in path.read_text("latin-1") for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert "api_key" not in server.asked[-1], "the key goes to the API alone, not to where the zip lies"


def test_the_licence_that_roboflow_names_travels_on(
    server: Roboflow, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(server, tmp_path / "out")) == 0
    done = ["data", "convert", str(tmp_path / "out"), "--to", "coco", "--out", str(tmp_path / "coco")]
    assert main(done) == 0
    assert "| licence | CC-BY-4.0 |" in (tmp_path / "coco/README.md").read_text()


def test_an_export_that_is_being_made_is_waited_for(server: Roboflow, tmp_path: Path) -> None:
    server.busy = 3
    waits: list[float] = []
    fetch("team/cones/3", tmp_path / "out", server=server.url, wait=waits.append)
    assert waits == [2.0] * 3
    server.busy = 10_000
    with pytest.raises(Exception, match="not finished"):
        fetch("team/cones/3", tmp_path / "late", server=server.url, wait=waits.append)


def test_a_full_disk_under_the_zip_has_its_hint(
    server: Roboflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = Path.open

    def full(path: Path, mode: str = "r", *rest: object, **how: object) -> object:
        if mode == "wb":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return opened(path, mode, *rest, **how)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", full)
    assert main(words(server, tmp_path / "out")) == 1
    said = capsys.readouterr().err
    assert "make room on the disk" in said and KEY not in said and "also-secret" not in said


def test_a_confidential_study_asks_nobody(server: Roboflow, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(server, tmp_path / "out", "--confidential")) == 2
    assert "confidential" in capsys.readouterr().err
    assert server.asked == []
    assert main(words(server, tmp_path / "out", "--confidential", "--allow-remote", "127.0.0.1")) == 0


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("key", "401"),
        ("no key", "ROBOFLOW_API_KEY is not set"),
        ("name", "no version"),
        ("unknown", "404"),
        ("gone", "cannot be reached"),
        ("cut", "cut off"),
        ("no zip", "zip cannot be read"),
        ("http", "in the open"),
        ("file", "not an address"),
        ("filled", "not empty"),
    ],
)
def test_what_goes_wrong_is_one_error_that_leaves_nothing_and_tells_no_secret(
    server: Roboflow,
    tmp_path: Path,
    trouble: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    typed, out = words(server, tmp_path / "out"), tmp_path / "out"
    if trouble == "key":
        monkeypatch.setenv("ROBOFLOW_API_KEY", "another-secret")
    if trouble == "no key":
        monkeypatch.delenv("ROBOFLOW_API_KEY")
    typed[2] = {"name": "../../x", "unknown": "team/other/1"}.get(trouble, typed[2])
    typed[-1] = "http://127.0.0.1:9" if trouble == "gone" else typed[-1]
    server.cut = 100 if trouble == "cut" else 0
    server.content = b"no zip" if trouble == "no zip" else server.content
    server.link = {"http": "http://elsewhere.example.org/zip", "file": "file:///etc/passwd"}.get(trouble, "")
    if trouble == "filled":
        out.mkdir()
        (out / "mine.txt").write_text("mine")
    assert main(typed) in (1, 2)
    shown = capsys.readouterr()
    assert said in shown.err
    assert "secret" not in shown.out + shown.err
    assert [path.name for path in out.iterdir()] == ["mine.txt"] if trouble == "filled" else not out.exists()
    assert not list(tmp_path.glob(".*.part"))


def test_a_zip_that_is_here_already_is_unpacked_as_carefully(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = {
        "data.yaml": b"train: ../train/images\nval: ../train/images\nnames: [cat]\n",
        "README.dataset.txt": b"Provided by somebody\nLicense: CC BY 4.0\n",
        "train/images/a.jpg": picture(tmp_path / "a.jpg").read_bytes(),
        "train/labels/a.txt": b"0 .5 .5 .25 .25\n",
    }
    for name, more in (("good.zip", {}), ("bad.zip", {"../out.txt": b"x"})):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for path, content in (inside | more).items():
                archive.writestr(path, content)
    assert main(["data", "stats", str(tmp_path / "good.zip")]) == 2
    assert "liftgate data fetch" in capsys.readouterr().err
    assert main(["data", "fetch", str(tmp_path / "good.zip"), "--out", str(tmp_path / "good")]) == 0
    dataset = read(tmp_path / "good")
    assert len(dataset.labels) == 1
    assert known_terms(dataset).licence == "CC-BY-4.0"
    assert main(["data", "fetch", str(tmp_path / "bad.zip"), "--out", str(tmp_path / "bad")]) == 2
    assert not (tmp_path / "bad").exists()
    assert not (tmp_path / "out.txt").exists()
