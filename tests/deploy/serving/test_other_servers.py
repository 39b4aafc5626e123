"""Servers that benchmarks/serve.py compares with ours: one that fails or finds something else ends the run."""

from __future__ import annotations

import importlib.util
import json
import sys
import urllib.request
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/ready" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def servers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("other_servers", ROOT / "benchmarks/other_servers.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["other_servers"] = module  # its dataclasses ask for it
    spec.loader.exec_module(module)
    return module


def task_of(servers: ModuleType, folder: Path) -> Any:
    (folder / "model.onnx").write_bytes(b"weights")
    return servers.Task(folder / "model.onnx", ("red", "blue"), 128, b"picture", confidence=0.25, iou=0.7)


def server_of(servers: ModuleType, script: str) -> Any:
    return servers.OtherServer("Small", script, {}, "/ready", lambda task: task.model, lambda task: None, list)


def test_a_server_runs_until_it_is_not_needed(servers: ModuleType, tmp_path: Path) -> None:
    with servers.started(server_of(servers, SCRIPT), sys.executable, task_of(servers, tmp_path)) as (process, port):
        assert Path(f"/proc/{process}").exists()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
            assert answer.status == 200
    assert not Path(f"/proc/{process}").exists()


def test_a_server_that_ends_says_why(servers: ModuleType, tmp_path: Path) -> None:
    failing = server_of(servers, "raise RuntimeError('no such model')")
    waiting = servers.started(failing, sys.executable, task_of(servers, tmp_path))
    with pytest.raises(SystemExit, match=r"(?s)Small does not answer:.*no such model"), waiting:
        pass


def test_work_is_the_same_where_classes_and_boxes_are(servers: ModuleType) -> None:
    red, blue = servers.Detection("red", 0.9, (0, 0, 10, 10)), servers.Detection("blue", 0.8, (50, 0, 60.4, 10))
    rounded = servers.Detection("blue", 0.81, (50, 0, 60, 10))
    found = servers.same_work("Small", [red, blue], [rounded, red])
    assert "2 detections, ours 2, the same classes, boxes at most 0.40 px off, confidences at most 0.0100" in found


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ([], []),
        ([("red", 0.9, 0)], []),
        ([("red", 0.9, 0)], [("red", 0.9, 0), ("red", 0.9, 50)]),
        ([("red", 0.9, 0)], [("blue", 0.9, 0)]),
        ([("red", 0.9, 0)], [("red", 0.9, 3)]),
        ([("red", 0.9, 0)], [("red", 0.8, 0)]),
    ],
    ids=["nothing found", "fewer", "more", "another class", "another place", "another confidence"],
)
def test_times_of_other_work_are_not_compared(servers: ModuleType, ours: list[Any], theirs: list[Any]) -> None:
    def detections(rows: list[Any]) -> list[Any]:
        return [servers.Detection(cls, sure, (x, 0, x + 10, 10)) for cls, sure, x in rows]

    with pytest.raises(SystemExit, match="not the same work"):
        servers.same_work("Small", detections(ours), detections(theirs))


def test_the_package_for_roboflow_holds_what_its_loader_reads(servers: ModuleType, tmp_path: Path) -> None:
    task = task_of(servers, tmp_path)
    package = servers.ROBOFLOW.prepare(task)
    assert (package / "weights.onnx").read_bytes() == b"weights"
    assert (package / "class_names.txt").read_text() == "red\nblue\n"
    assert json.loads((package / "model_config.json").read_text())["model_architecture"] == "yolov8"
    body = json.loads(servers.ROBOFLOW.request(task).body)
    assert (body["model_id"], body["confidence"], body["iou_threshold"]) == (str(package), 0.25, 0.7)
    centred = {"class": "red", "confidence": 0.9, "x": 30.0, "y": 20.0, "width": 20.0, "height": 10.0}
    assert servers.ROBOFLOW.read({"predictions": [centred]}) == [("red", 0.9, (20.0, 15.0, 40.0, 25.0))]
