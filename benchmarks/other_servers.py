"""Servers of others that do the work of `liftgate serve`: how they are started, asked and read (benchmarks/serve.py).

All get the same weights, picture and thresholds, and one thread for the model. What else they do is what they do when
they are started as their own documentation says.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

START_SECONDS = 600
"""On a busy machine the imports of Roboflow's server take minutes"""


class Request(NamedTuple):
    """One request that asks for the detections in a picture."""

    path: str
    body: bytes
    kind: str
    """Its Content-Type"""


class Detection(NamedTuple):
    """What every server says of one object."""

    cls: str
    confidence: float
    box: tuple[float, ...]
    """x0, y0, x1, y1 in pixels of the picture"""


@dataclass(frozen=True)
class Task:
    """The work: a model, a picture, and the thresholds that Liftgate's answer names."""

    model: Path
    """An .onnx of YOLOv8's shape"""
    classes: Sequence[str]
    size: int
    """Side of the model's input, pixels"""
    picture: bytes
    confidence: float
    iou: float


@dataclass(frozen=True)
class OtherServer:
    """How a server is started, asked and read."""

    name: str
    script: str
    """Its arguments are the prepared model and the port"""
    environment: Mapping[str, str]
    health: str
    """A path that answers 200 when the server is ready"""
    prepare: Callable[[Task], Path]
    """Writes the model as the server wants it beside the task's"""
    request: Callable[[Task], Request]
    read: Callable[[Any], list[Detection]]
    """Takes the answer's JSON"""


@contextmanager
def started(server: OtherServer, python: str, task: Task) -> Iterator[tuple[int, int]]:
    """Run the server with an interpreter that has its packages; yield its process id and port.

    Raises:
        SystemExit: it ended or did not answer in time.
    """
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    script, log = task.model.with_name(f"{server.name}.py"), task.model.with_name(f"{server.name}.log")
    script.write_text(server.script)
    command = [python, str(script), str(server.prepare(task)), str(port)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **server.environment}
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment, start_new_session=True)
    try:
        if not _answers(process, port, server.health):
            raise SystemExit(f"{server.name} does not answer:\n{log.read_text(errors='replace')[-2000:]}")
        yield process.pid, port
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its workers are of its group
        process.wait(20)


def _answers(process: subprocess.Popen[bytes], port: int, health: str) -> bool:
    last = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < last:
        time.sleep(0.2)
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            line.request("GET", health)
            if line.getresponse().status == 200:
                return True
        except OSError:
            continue
        finally:
            line.close()
    return False


def same_work(name: str, ours: Sequence[Detection], theirs: Sequence[Detection]) -> str:
    """Return how far the other server's detections are from ours.

    Raises:
        SystemExit: there are none, or they are not of the same objects: then the times compare nothing.
    """
    pairs = list(zip(sorted(ours, key=_by_place), sorted(theirs, key=_by_place), strict=False))
    boxes = max((abs(a - b) for one, two in pairs for a, b in zip(one.box, two.box, strict=True)), default=0.0)
    sure = max((abs(one.confidence - two.confidence) for one, two in pairs), default=0.0)
    classes = all(one.cls == two.cls for one, two in pairs)
    found = (
        f"{name}: {len(theirs)} detections, ours {len(ours)}, {'the same classes' if classes else 'other classes'}, "
        f"boxes at most {boxes:.2f} px off, confidences at most {sure:.4f}"
    )
    if not (len(ours) == len(theirs) > 0 and classes and boxes <= 2 and sure <= 0.05):
        raise SystemExit(f"not the same work: {found}\n{ours}\n{theirs}")
    return found


def _by_place(one: Detection) -> tuple[int, int]:
    """Order by the box's centre, roughly: some servers round it."""
    return round((one.box[0] + one.box[2]) / 20), round((one.box[1] + one.box[3]) / 20)


def read_liftgate(answer: Any) -> list[Detection]:
    """Return the detections in an answer of `liftgate serve`."""
    return [Detection(one["class"], one["confidence"], tuple(one["box"])) for one in answer["detections"]]


def _form(task: Task) -> Request:
    head = b'--edge\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    return Request("/predict", head + task.picture + b"\r\n--edge--\r\n", "multipart/form-data; boundary=edge")


LITSERVE = OtherServer(
    "LitServe",
    """
import sys
from pathlib import Path
import litserve
from liftgate.deploy.export.described import describe_export
from liftgate.deploy.runtime.predict import load_model, with_thresholds
from liftgate.deploy.serving.uploads import decode
class Api(litserve.LitAPI):
    def setup(self, device):
        export = describe_export(Path(sys.argv[1]))
        self.model = load_model(export.card, export.folder, threads=1)
        self.use = with_thresholds(export.card.use, 0.25, None, None)
        self.classes = export.card.output.classes
    def decode_request(self, request):
        return decode(request["image"].file.read(), 1 << 28)
    def predict(self, pixels):
        return self.model.detect(pixels, self.use)
    def encode_response(self, found):
        names = [self.classes[number] for number in found.cls.tolist()]
        return {"boxes": found.boxes.tolist(), "scores": found.scores.tolist(), "classes": names}
if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[2]), num_api_servers=1, generate_client_file=False)
""",
    {},
    "/health",
    lambda task: task.model,
    _form,
    lambda answer: [
        Detection(cls, score, tuple(box))
        for cls, score, box in zip(answer["classes"], answer["scores"], answer["boxes"], strict=True)
    ],
)
"""Liftgate's own function under LitServe: what its server alone costs"""


def _package(task: Task) -> Path:
    """Write a model package of Roboflow's inference-models, as a folder."""
    folder = task.model.with_name("package")
    folder.mkdir()
    os.link(task.model, folder / "weights.onnx")
    (folder / "class_names.txt").write_text("".join(f"{name}\n" for name in task.classes))
    config = {"model_architecture": "yolov8", "task_type": "object-detection", "backend_type": "onnx"}
    (folder / "model_config.json").write_text(json.dumps(config))
    network = {
        "training_input_size": {"height": task.size, "width": task.size},
        "dynamic_spatial_size_supported": False,
        "color_mode": "rgb",
        "resize_mode": "letterbox",
        "padding_value": 114,
        "input_channels": 3,
        "scaling_factor": 255,
    }
    after = {"type": "nms", "fused": False}
    inputs = {"network_input": network, "forward_pass": {"static_batch_size": 1}, "post_processing": after}
    (folder / "inference_config.json").write_text(json.dumps(inputs))
    return folder


def _infer(task: Task) -> Request:
    body = {
        "model_id": str(task.model.with_name("package")),
        "image": {"type": "base64", "value": base64.b64encode(task.picture).decode()},
        "confidence": task.confidence,
        "iou_threshold": task.iou,
    }
    return Request("/infer/object_detection", json.dumps(body).encode(), "application/json")


def _read_roboflow(answer: Any) -> list[Detection]:
    found = []
    for one in answer["predictions"]:
        x, y, half_width, half_height = one["x"], one["y"], one["width"] / 2, one["height"] / 2
        box = (x - half_width, y - half_height, x + half_width, y + half_height)
        found.append(Detection(one["class"], one["confidence"], box))
    return found


ROBOFLOW = OtherServer(
    "Roboflow",
    """
import os, sys
from pathlib import Path
place = Path(sys.argv[1] + "-server")
os.environ["MODEL_CACHE_DIR"] = str(place / "cache")
(place / "inference/landing/out/static").mkdir(parents=True)  # its pages, which the package does not bring
(place / "inference/landing/out/_next/static").mkdir(parents=True)
os.chdir(place)
import onnxruntime
session = onnxruntime.InferenceSession
def with_one_thread(*args, sess_options=None, **kwargs):  # it has no setting for this
    sess_options = sess_options or onnxruntime.SessionOptions()
    sess_options.intra_op_num_threads = 1
    return session(*args, sess_options=sess_options, **kwargs)
onnxruntime.InferenceSession = with_one_thread
import torch
torch.set_num_threads(1)
import uvicorn
from inference.core.interfaces.http.http_api import HttpInterface
from inference.core.managers.base import ModelManager
from inference.core.registries.roboflow import RoboflowModelRegistry
from inference.models.utils import ROBOFLOW_MODEL_TYPES
interface = HttpInterface(ModelManager(model_registry=RoboflowModelRegistry(ROBOFLOW_MODEL_TYPES)))
uvicorn.run(interface.app, host="127.0.0.1", port=int(sys.argv[2]))
""",
    {
        "OFFLINE_MODE": "True",
        "ALLOW_INFERENCE_MODELS_DIRECTLY_ACCESS_LOCAL_PACKAGES": "True",
        "ALLOW_CUSTOM_PYTHON_EXECUTION_IN_WORKFLOWS": "False",
        "ENABLE_STREAM_API": "False",
        "PYTHONPATH": "",
    },
    "/info",
    _package,
    _infer,
    _read_roboflow,
)
"""Roboflow inference (inference-cpu[http]) with its own runtime, cut off from the network"""
