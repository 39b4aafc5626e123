"""No alarm on sound exports: three real models in two formats in half precision, on real images.

In full precision and INT8: test_real_exports.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import liftgate
from liftgate.data.formats.read import read

for package in ("ultralytics", "onnx", "onnxruntime", "onnxslim", "openvino"):
    pytest.importorskip(package)

pytestmark = [pytest.mark.slow, pytest.mark.train, pytest.mark.xdist_group("exports")]
MODELS = {"yolov8n": "instances", "yolo11n": "instances", "yolov8n-pose": "person_keypoints"}


@pytest.mark.parametrize("name", MODELS)
def test_sound_exports_of_a_real_model_raise_no_alarm(name: str, fixtures: Path, tmp_path: Path) -> None:
    weights = fixtures / "weights" / f"{name}_coco_recon.pt"
    made = liftgate.export(weights, tmp_path / "out", formats=["onnx", "openvino"], precisions=["fp16"], imgsz=320)
    truth = read(fixtures / f"coco_cc/annotations/{MODELS[name]}_train2017.json", images=fixtures / "coco_cc/images")
    proofs = liftgate.prove_exports(weights, [one.folder for one in made.exports], truth, margin=0.05).proofs
    assert [(one.name, one.symptoms) for one in proofs] == [(one.folder.name, ()) for one in made.exports]
    assert all(one.word != "FAIL" for one in proofs)
    if "pose" in name:
        assert all(one.keypoints is not None and abs(one.keypoints.delta.estimate) < 0.02 for one in proofs)
