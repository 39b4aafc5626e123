"""The detector of coloured squares as OpenVINO's IR, plain or as Geti writes its detectors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest

from deploy.colours import CLASSES, write_detector

GETI = {
    "model_type": "ssd",
    "model_name": "object_detection_yolox_s",
    "task_type": "detection",
    "getitune_version": "3.0.0",
    "label_info": json.dumps(
        {"label_names": list(CLASSES), "label_ids": ["10", "11", "12"], "label_groups": [list(CLASSES)]}
    ),
    "labels": " ".join(CLASSES),
    "label_ids": "10 11 12",
    "optimization_config": "{}",
    "mean_values": "0.0 0.0 0.0",
    "scale_values": "255.0 255.0 255.0",
    "resize_type": "fit_to_window_letterbox",
    "pad_value": "114",
    "reverse_input_channels": "False",
    "confidence_threshold": "0.35",
    "iou_threshold": "0.5",
}
"""The keys and the kinds of values of `TaskLevelExportParameters.to_metadata` and the exporter of Geti's trainer"""


def as_openvino(source: Path, folder: Path, info: Mapping[str, str] | None = None) -> Path:
    """Convert an ONNX file and write `model_info` into its XML."""
    openvino = pytest.importorskip("openvino")
    model = openvino.convert_model(str(source))
    for name, value in (info or {}).items():
        model.set_rt_info(value, ["model_info", name])
    folder.mkdir(parents=True, exist_ok=True)
    openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
    return folder / "model.xml"


def with_boxes_and_labels(path: Path) -> Path:
    """Give boxes with scores (1, n, 5) and labels (1, n) as two outputs, as Geti's detectors do."""
    model = onnx.load(path)
    graph, helper, number = model.graph, onnx.helper, onnx.numpy_helper.from_array
    graph.initializer.extend([number(np.array([0.5], np.float32), "half"), number(np.array([2, 2, 3]), "parts")])
    graph.node.extend(
        [
            helper.make_node("Transpose", ["output0"], ["rows"], perm=[0, 2, 1]),
            helper.make_node("Split", ["rows", "parts"], ["centres", "sizes", "chances"], axis=2),
            helper.make_node("Mul", ["sizes", "half"], ["halves"]),
            helper.make_node("Sub", ["centres", "halves"], ["low"]),
            helper.make_node("Add", ["centres", "halves"], ["high"]),
            helper.make_node("ReduceMax", ["chances"], ["best"], axes=[2], keepdims=1),
            helper.make_node("Concat", ["low", "high", "best"], ["places"], axis=2),
            helper.make_node("ArgMax", ["chances"], ["labels"], axis=2, keepdims=0),
        ]
    )
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("places", onnx.TensorProto.FLOAT, [1, 64, 5]))
    graph.output.append(helper.make_tensor_value_info("labels", onnx.TensorProto.INT64, [1, 64]))
    onnx.save(model, path)
    return path


def geti(folder: Path, **changes: str) -> Path:
    """Write an IR as Geti exports it: two outputs, and all that is known of it in the XML."""
    source = with_boxes_and_labels(write_detector(folder / "source.onnx", metadata={}))
    return as_openvino(source, folder / "model", {**GETI, **changes})
