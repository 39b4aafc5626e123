"""An object store between driver and workers: content-addressed, late without harm, one error for each trouble."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from liftgate.backends.base import TrainJob
from liftgate.backends.events import EpochReport, Event
from liftgate.engines.base import Submission
from liftgate.engines.dispatch import Dispatcher
from liftgate.engines.local import LocalEngine
from liftgate.engines.store import Store
from liftgate.engines.task import Task
from liftgate.errors import TrainingError, UsageError
from liftgate.hashing import file_hash
from liftgate.testing.backends import write_tree
from liftgate.training.job import JobFile

_S3 = importlib.util.find_spec("s3fs") is not None
_MOTO = os.environ.get("LIFTGATE_MOTO_SERVER") or shutil.which("moto_server")
needs_s3 = pytest.mark.skipif(not (_S3 and _MOTO), reason="needs the `store` extra and moto's server")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """An S3 server on loopback with one bucket; its URL."""
    port = free_port()
    env = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "1000000"}
    env.pop("PYTHONPATH", None)  # it is of an environment of its own
    process = subprocess.Popen(
        [str(_MOTO), "-H", "127.0.0.1", "-p", str(port)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    for _ in range(1800):
        try:
            request = urllib.request.Request(f"{url}/liftgate", method="PUT", headers={"Host": f"127.0.0.1:{port}"})
            urllib.request.urlopen(request, timeout=5).close()
            break
        except OSError:
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait()


@pytest.fixture(params=["file", pytest.param("s3", marks=needs_s3)])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store of each kind."""
    if request.param == "file":
        return f"file://{tmp_path}/store"
    monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3_server"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return f"s3://liftgate/{tmp_path.name}"


def test_a_file_comes_back_as_it_was_and_is_stored_once(url: str, tmp_path: Path) -> None:
    store, path = Store(url), tmp_path / "weights.pt"
    store.require_usable()
    path.write_bytes(bytes(range(256)) * 1000)
    assert store.put(path) == store.put(path) == file_hash(path)
    assert store.get(file_hash(path), tmp_path / "back.pt")
    assert (tmp_path / "back.pt").read_bytes() == path.read_bytes()


def test_what_is_not_there_yet_is_waited_for_and_not_invented(url: str, tmp_path: Path) -> None:
    store = Store(url)
    assert store.read("tasks/k/result.json") is None
    assert not store.get("0" * 64, tmp_path / "back.pt")
    assert not (tmp_path / "back.pt").exists()


def test_a_document_is_replaced(url: str) -> None:
    store = Store(url)
    store.write("tasks/k/attempt", "first")
    store.write("tasks/k/attempt", "")
    assert Store(url).read("tasks/k/attempt") == ""


def test_a_damaged_file_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    store, path = Store(f"file://{tmp_path}/store"), tmp_path / "weights.pt"
    path.write_bytes(b"weights")
    sha256 = store.put(path)
    (stored,) = [one for one in (tmp_path / "store").rglob("*") if one.is_file()]
    stored.write_bytes(b"Weights")
    with pytest.raises(TrainingError, match="damaged"):
        store.get(sha256, tmp_path / "back" / "w.pt")
    assert not list((tmp_path / "back").iterdir())


def test_what_a_killed_process_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    store, path, back = Store(f"file://{tmp_path}/store"), tmp_path / "weights.pt", tmp_path / "back"
    path.write_bytes(b"weights")
    blob = tmp_path / "store" / "files" / file_hash(path)[:2] / file_hash(path)
    blob.parent.mkdir(parents=True)
    for name, age in (("old", 2 * 86400), ("new", 60)):
        left = blob.with_name(f"{blob.name}.part-{name}")
        left.write_bytes(b"half")
        os.utime(left, (time.time() - age,) * 2)
    blob.with_name(f"{blob.name}.part-gone").symlink_to("nowhere")  # as one that is renamed while it is looked at
    back.mkdir()
    (back / ".w.pt.0.part").write_bytes(b"longer than the weights")
    assert store.get(store.put(path), back / "w.pt")
    names = {blob.name, *(f"{blob.name}.part-{name}" for name in ("new", "gone"))}
    assert {one.name for one in blob.parent.iterdir()} == names, "one may be at work"
    assert [(one.name, one.read_bytes()) for one in back.iterdir()] == [("w.pt", b"weights")]
    assert (back / "w.pt").stat().st_mode == path.stat().st_mode
    document = tmp_path / "store" / "tasks" / "k" / "attempt"
    document.parent.mkdir(parents=True)
    left = document.with_name("attempt.part-old")
    left.write_text("half")
    os.utime(left, (0, 0))
    store.write("tasks/k/attempt", "first")
    assert list(document.parent.iterdir()) == [document]


class _Failing:
    """A file system whose every call fails in one way."""

    protocol = ("s3",)

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def fail(*_: object, **__: object) -> None:
            raise self._error

        return fail


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "full"),
        (OSError(errno.EIO, "XMinioStorageFull: Storage backend has reached its minimum free drive threshold"), "full"),
        (PermissionError("Access Denied"), "refuses these credentials"),
        (OSError("An error occurred (InvalidAccessKeyId) when calling the PutObject operation"), "credentials"),
        (FileNotFoundError("The specified bucket does not exist"), "no such bucket"),
        (ConnectionError("Could not connect to the endpoint URL"), "cannot write to"),
    ],
)
def test_each_trouble_is_one_clear_error(tmp_path: Path, error: Exception, said: str) -> None:
    store = Store(f"file://{tmp_path}")
    store._files = _Failing(error)
    with pytest.raises(TrainingError, match=said) as raised:
        store.require_usable()
    assert raised.value.hint


@needs_s3
def test_wrong_keys_a_missing_bucket_and_a_silent_server_are_told_apart(
    s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    with pytest.raises(TrainingError, match="bucket"):
        Store("s3://nowhere/x").require_usable()
    _require_keys(s3_server, after=0)
    try:
        with pytest.raises(TrainingError, match="credentials"):
            Store("s3://liftgate/without").require_usable()
    finally:
        _require_keys(s3_server, after=1_000_000)


def _require_keys(server: str, *, after: int) -> None:
    """Have the server compare keys once it has answered so many requests."""
    plain = {"Content-Type": "text/plain"}
    request = urllib.request.Request(f"{server}/moto-api/reset-auth", str(after).encode(), plain, method="POST")
    urllib.request.urlopen(request, timeout=120).close()


def test_an_unknown_kind_of_store_is_refused() -> None:
    with pytest.raises(UsageError, match="store"):
        Store("carrier-pigeon://roof")


def test_a_store_of_a_host_that_nobody_knows_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(fsspec.core, "url_to_fs", unknown)
    with pytest.raises(UsageError, match=r"the store cannot be used: .*Name or service not known") as refused:
        Store("ftp://nobody/prefix")
    assert "ftp://nobody/prefix" in str(refused.value)


class ElsewhereEngine(LocalEngine):
    """Runs each attempt where nothing of the driver's folder is seen: an empty disk is mounted over it."""

    def __init__(self, hidden: Path) -> None:
        super().__init__(1)
        self._hidden = hidden

    def _start(self, submission: Submission, slot: int) -> subprocess.Popen[bytes]:
        agent = [sys.executable, "-P", "-m", "liftgate.engines.agent", str(submission.folder), submission.attempt]
        assert submission.mirror is not None
        words = [*agent, str(os.getpid()), *submission.mirror]
        script = 'mount -t tmpfs none "$0" && exec "$@"'
        command = ["unshare", "-m", "sh", "-c", script, str(self._hidden), *words]
        with (self._hidden / "elsewhere.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def may_mount() -> bool:
    try:
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt"], capture_output=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


@pytest.mark.skipif(not may_mount(), reason="this user may not mount")
def test_a_worker_without_the_drivers_folder_trains_through_the_store(url: str, tmp_path: Path) -> None:
    images = write_tree(tmp_path / "images")
    hidden = tmp_path / "runs"
    tree = hidden / "tree"
    tree.mkdir(parents=True)
    document = (images.parent / "data.yaml").read_text()
    (tree / "data.yaml").write_text(document)
    start = hidden / "start.yaml"
    start.write_text("{}\n")
    folder = hidden / "task"
    job = TrainJob(str(start), tree / "data.yaml", {"epochs": 3, "lr0": 0.5}, 0, "detect", folder / "results", "cpu")
    inputs = {str(path): file_hash(path) for path in (start, tree / "data.yaml")}
    task = Task("key", "train", folder, JobFile("train", "toy", job), inputs)
    events: list[Event] = []
    engine = ElsewhereEngine(hidden)
    tasks = Dispatcher(engine, store=Store(url))
    tasks.submit([task])
    result = tasks.wait("key", on_event=events.append, stop=lambda: False)
    engine.close()
    assert result.ending == "done", (hidden / "elsewhere.log").read_text()
    assert [event.epoch for event in events if isinstance(event, EpochReport)] == [1, 2, 3]
    assert not result.unseen_outputs()
    assert (folder / "results" / "results.csv").is_file()
    assert json.loads((folder / "job.json").read_text())["key"] == "key"
