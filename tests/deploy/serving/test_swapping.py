"""The champion changes while requests are answered."""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

import liftgate
from deploy.colours import write_detector
from deploy.serving.running import Reply, RunningServer, registry_of, running
from liftgate.deploy.registry.store import Registry
from liftgate.deploy.serving.champion import ModelInUse, RegistrySource, ServedModel, Thresholds
from liftgate.errors import DataError

REQUESTS, CLIENTS = 2000, 4


def promote(registry: Path, version: str) -> None:
    liftgate.promote(version, registry=registry, override="a test")


def test_three_promotions_and_a_rollback_under_load_drop_no_request(tmp_path: Path, images: list[Path]) -> None:
    registry = registry_of(tmp_path, 4)
    content = images[0].read_bytes()
    with running("--registry", registry) as server:
        expected = {"v0": server.predict(content).json["detections"]}
        replies: list[Reply | Exception] = []
        finished = threading.Event()

        def ask() -> None:
            line = http.client.HTTPConnection(server.host, server.port, timeout=120)
            while not finished.is_set() or len(replies) < REQUESTS:
                try:
                    headers = {"content-type": "image/png"}
                    replies.append(server.ask("POST", "/predict", content, headers, connection=line))
                except Exception as error:
                    replies.append(error)
                    return
            line.close()

        clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        for version in ("v0.1", "v0.2", "v0.3"):
            promote(registry, version)
            expected[version] = seen(server, content, version)
        liftgate.rollback(registry=registry)
        assert seen(server, content, "v0.2") == expected["v0.2"]
        finished.set()
        for client in clients:
            client.join(60)
        assert len(replies) >= REQUESTS
        failed = [one for one in replies if isinstance(one, Exception) or one.status != 200]
        assert failed == []
        answers = [one.json for one in replies if isinstance(one, Reply)]
        assert set(Counter(one["model_version"] for one in answers)) == set(expected)
        assert len({str(one) for one in expected.values()}) == 4, "each version finds other boxes"
        for one in answers:
            assert one["detections"] == expected[one["model_version"]], "the version that is named made the answer"
        assert [one["model_version"] for one in server.events("swapped")] == ["v0.1", "v0.2", "v0.3", "v0.2"]


def seen(server: RunningServer, content: bytes, version: str) -> object:
    """Return the detections of the first answer that names a version."""
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        answer = server.predict(content).json
        if answer["model_version"] == version:
            return answer["detections"]
    raise AssertionError(f"{version} never answered")


class Swaps:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, model: ServedModel | None, problem: str) -> None:
        self.seen.append(problem if model is None else model.version)


def damage(registry: Path, version: str) -> None:
    (path,) = (registry / version).glob("*.onnx")
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")


def test_a_champion_that_was_tampered_with_is_not_served_and_the_old_one_answers_on(tmp_path: Path) -> None:
    registry, swaps = registry_of(tmp_path, 2), Swaps()
    model = ModelInUse(RegistrySource(Registry(registry), Thresholds()), swaps)
    promote(registry, "v0.1")
    damage(registry, "v0.1")
    for _ in range(3):
        model.refresh()
    assert (model.current.version, model.swaps, len(swaps.seen)) == ("v0", 0, 1)
    assert model.problem is not None and "v0.1 is not as it was registered" in model.problem
    write_detector(tmp_path / "restored.onnx", shift=1.0)
    (path,) = (registry / "v0.1").glob("*.onnx")
    path.write_bytes((tmp_path / "restored.onnx").read_bytes())
    model.refresh()
    assert (model.current.version, model.problem, swaps.seen[-1]) == ("v0.1", None, "v0.1")


def test_a_server_does_not_start_on_a_champion_that_was_tampered_with(tmp_path: Path) -> None:
    registry = registry_of(tmp_path, 1)
    damage(registry, "v0")
    with pytest.raises(DataError, match="v0 is not as it was registered: it was changed"):
        ModelInUse(RegistrySource(Registry(registry), Thresholds()), Swaps())
    command = [sys.executable, "-m", "liftgate", "serve", "--registry", str(registry), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "v0 is not as it was registered" in done.stderr


def test_a_ledger_that_was_changed_does_not_end_the_watch(tmp_path: Path) -> None:
    registry, swaps = registry_of(tmp_path, 2), Swaps()
    model = ModelInUse(RegistrySource(Registry(registry), Thresholds()), swaps)
    ledger = registry / "ledger.sqlite"
    good = ledger.read_bytes()
    ledger.write_bytes(b"SQLite format 3\0" + bytes(4000))
    model.refresh()
    assert model.current.version == "v0" and model.problem
    ledger.write_bytes(good)
    promote(registry, "v0.1")
    model.refresh()
    assert model.current.version == "v0.1" and model.problem is None


def test_entries_that_change_no_champion_swap_nothing(tmp_path: Path) -> None:
    registry, swaps = registry_of(tmp_path, 1), Swaps()
    model = ModelInUse(RegistrySource(Registry(registry), Thresholds()), swaps)
    liftgate.add_model(write_detector(tmp_path / "more.onnx", shift=5.0), registry=registry)
    model.refresh()
    assert (swaps.seen, model.swaps) == ([], 0)


MEMORY = """
import sys
from pathlib import Path
import numpy as np
import liftgate
from liftgate.deploy.registry.store import Registry
from liftgate.deploy.serving.champion import ModelInUse, RegistrySource, Thresholds
registry = Path(sys.argv[1])
model = ModelInUse(RegistrySource(Registry(registry), Thresholds()), lambda *_: None)
image = np.zeros((1080, 1920, 3), np.uint8)
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])
sizes = []
for number in range(50):
    liftgate.promote("v0.1" if number % 2 == 0 else "v0", registry=registry, override="a test")
    model.refresh()
    model.current.model.detect(image)
    sizes.append(resident())
assert model.swaps == 50
print(sizes[49] / sizes[4])
"""


def test_fifty_swaps_do_not_grow_the_process(tmp_path: Path) -> None:
    registry = registry_of(tmp_path, 2)
    done = subprocess.run([sys.executable, "-c", MEMORY, str(registry)], capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) <= 1.2
