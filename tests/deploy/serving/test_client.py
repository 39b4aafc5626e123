"""The client: typed answers, retries that the server asks for, nothing that leaves for another host."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import liftgate
from deploy.remote_predictions.model_server import ModelServer, holding, saying
from deploy.serving.running import RunningServer, running
from liftgate.errors import DataError, LiftgateError, Refused, UsageError

TOKEN = "a-token-of-enough-letters"


def client_of(server: RunningServer) -> liftgate.Client:
    return liftgate.Client(f"http://127.0.0.1:{server.port}")


def test_an_answer_is_a_record(server: RunningServer, images: list[Path]) -> None:
    with client_of(server) as client:
        answer = client.predict(images[0], conf=0.4)
        raw = server.predict(images[0].read_bytes(), "?conf=0.4").json
        assert [one.cls for one in answer.detections] == [one["class"] for one in raw["detections"]]
        assert [list(one.box) for one in answer.detections] == [one["box"] for one in raw["detections"]]
        assert (answer.model_version, answer.image_id, answer.threshold) == ("v0", images[0].name, 0.4)
        assert client.predict(images[0].read_bytes(), image_id="cam/1.png", camera="gate").image_id == "cam/1.png"
        assert client.model().classes == ["red", "green", "blue"]


@pytest.mark.parametrize(
    ("content", "what"), [(b"", "empty"), (b"GIF89a", "no JPEG and no PNG"), (b"\xff\xd8\xff", "decoded")]
)
def test_an_image_that_the_server_refuses_is_one_error_in_its_words(
    server: RunningServer, content: bytes, what: str
) -> None:
    with client_of(server) as client, pytest.raises(DataError, match=what):
        client.predict(content)


def test_other_mistakes_are_one_error(server: RunningServer, images: list[Path], tmp_path: Path) -> None:
    with client_of(server) as client:
        with pytest.raises(DataError, match="conf is out of range"):
            client.predict(images[0], conf=7)
        with pytest.raises(DataError, match="cannot read the image"):
            client.predict(tmp_path / "nowhere.jpg")
    with (
        liftgate.Client(f"http://127.0.0.1:{server.port}/elsewhere") as client,
        pytest.raises(UsageError, match="not found"),
    ):
        client.model()
    for url in (
        "ftp://127.0.0.1",
        "http://user:secret@127.0.0.1",
        "http://example.com",
        "http://127.0.0.1?a=1",
        "",
        "x",
    ):
        with pytest.raises(UsageError):
            liftgate.Client(url)
    with pytest.raises(UsageError, match="not a possible client"):
        liftgate.Client(timeout=0)


def test_the_token_is_sent_and_never_shown(models: Path, images: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with running("--registry", models, environment={"LIFTGATE_SERVE_TOKEN": TOKEN}) as server:
        url = f"http://127.0.0.1:{server.port}"
        with liftgate.Client(url, token="another-token-entirely") as client:
            with pytest.raises(UsageError, match="no valid token") as caught:
                client.predict(images[0])
            assert "another-token" not in str(caught.value)
        with liftgate.Client(url, token=TOKEN) as client:
            assert client.predict(images[0]).model_version == "v0"
            assert TOKEN not in repr(client)
        monkeypatch.setenv("LIFTGATE_SERVE_TOKEN", TOKEN)
        with liftgate.Client(url) as client:
            assert client.model().model_version == "v0"


@pytest.fixture
def scripted() -> Iterator[ModelServer]:
    server = ModelServer()
    yield server
    server.close()


ANSWER = json.dumps(
    {
        "image_id": "a", "model_version": "v1", "model_hash": "h", "threshold": 0.25, "iou": 0.7, "width": 4,
        "height": 3, "detections": [], "timings_ms": {"receive": 0, "wait": 0, "decode": 0, "detect": 0, "total": 0},
    }
)  # fmt: skip


def test_a_full_queue_is_asked_again_after_the_seconds_that_the_server_names(scripted: ModelServer) -> None:
    pauses: list[float] = []
    scripted.script.extend([saying(503, retry_after="7"), saying(503), saying(200, ANSWER)])
    with liftgate.Client(scripted.url.removesuffix("/predict"), sleep=pauses.append) as client:
        assert client.predict(b"\xff\xd8").model_version == "v1"
    assert pauses == [7.0, 2.0], "where it names none, each wait is twice the one before"


def test_a_long_retry_after_is_cut_and_tries_end(scripted: ModelServer) -> None:
    pauses: list[float] = []
    scripted.script.extend([saying(503, retry_after="100000")] * 3)
    with (
        liftgate.Client(scripted.url.removesuffix("/predict"), tries=3, sleep=pauses.append) as client,
        pytest.raises(LiftgateError, match="no answer") as caught,
    ):
        client.predict(b"\xff\xd8")
    assert (pauses, caught.value.got, caught.value.exit_code) == ([60.0, 60.0], "HTTP 503 (3 tries)", 1)


def test_a_server_that_is_not_there_is_one_error() -> None:
    with liftgate.Client("http://127.0.0.1:9", tries=2, sleep=lambda _: None) as client:
        with pytest.raises(LiftgateError, match="no answer") as caught:
            client.model()
        assert "is `liftgate serve` running there?" in str(caught.value)


def test_a_redirect_is_refused(scripted: ModelServer) -> None:
    scripted.script.append(saying(307, location="http://evil.example/predict"))
    with (
        liftgate.Client(scripted.url.removesuffix("/predict"), token=TOKEN) as client,
        pytest.raises(Refused, match="another host"),
    ):
        client.predict(b"\xff\xd8")


@pytest.mark.parametrize("body", ["", "no JSON", "{}", "[]", '{"image_id": 3}'])
def test_what_is_no_answer_of_a_server_is_refused(scripted: ModelServer, body: str) -> None:
    scripted.script.append(saying(200, body))
    with (
        liftgate.Client(scripted.url.removesuffix("/predict")) as client,
        pytest.raises(DataError, match="no answer of a Liftgate server"),
    ):
        client.predict(b"\xff\xd8")


def test_a_server_that_dawdles_is_given_up(scripted: ModelServer) -> None:
    scripted.script.append(holding(scripted))
    with (
        liftgate.Client(scripted.url.removesuffix("/predict"), timeout=0.3, tries=1) as client,
        pytest.raises(LiftgateError, match="no answer") as caught,
    ):
        client.predict(b"\xff\xd8")
    assert "no complete answer in 0.3 s" in str(caught.value)


def test_the_client_needs_neither_the_extra_nor_what_compiles() -> None:
    code = (
        "import sys, liftgate; liftgate.Client; "
        "print([name for name in ('starlette', 'uvicorn', 'onnxruntime', 'numba', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
