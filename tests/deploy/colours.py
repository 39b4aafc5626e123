"""A detector that needs no training: coloured squares on a grid, as an ONNX graph of convolutions, and images for it.

The graph has a detector's shape: convolutions, a head with boxes and scores, one output (1, 4 + classes, cells).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

CLASSES = ("red", "green", "blue")
SIZE, CELL = 128, 16
CELLS = SIZE // CELL


def write_detector(
    path: Path,
    *,
    metadata: dict[str, str] | None = None,
    order: Sequence[int] = (0, 1, 2),
    dead_boxes: bool = False,
    squeeze: float = 1.0,
    shift: float = 0.0,
    opset: int = 17,
) -> Path:
    """Write the detector.

    Args:
        path: the .onnx.
        metadata: as exporters write it.
        order: which colour each class of the output is.
        dead_boxes: whether all boxes are the same.
        squeeze: factor of the logits: below 1 the scores are compressed towards .5.
        shift: pixels by which boxes are moved.
        opset: of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    means = np.zeros((3, 3, CELL, CELL), np.float32)
    for colour in range(3):
        means[colour, colour] = 1 / CELL**2
    logits = np.full((3, 3, 1, 1), -9.0, np.float32)
    for row, colour in enumerate(order):
        logits[row, colour] = 14.0
    sizes = np.zeros((4, 3, 1, 1), np.float32)
    centres = (np.arange(CELLS) + 0.5) * CELL + shift
    grid = np.stack(np.meshgrid(centres, centres), 0).reshape(1, 2, CELLS**2)
    boxes = np.concatenate([grid, np.full((1, 2, CELLS**2), CELL)], axis=1).astype(np.float32)
    if dead_boxes:
        boxes[:] = CELL / 2
    constants = {
        "means": means,
        "no_bias": np.zeros(3, np.float32),
        "logit_weights": logits * squeeze,
        "logit_bias": np.full(3, -5.0 * squeeze, np.float32),
        "box_weights": sizes,
        "box_bias": np.zeros(4, np.float32),
        "boxes": boxes,
        "box_shape": np.array([1, 4, CELLS**2], np.int64),
        "score_shape": np.array([1, 3, CELLS**2], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["images", "means", "no_bias"], ["colours"], "stem", strides=[CELL, CELL]),
        helper.make_node("Conv", ["colours", "logit_weights", "logit_bias"], ["logits"], "classes"),
        helper.make_node("Conv", ["colours", "box_weights", "box_bias"], ["offsets"], "offsets"),
        helper.make_node("Reshape", ["offsets", "box_shape"], ["flat_offsets"], "flat_offsets"),
        helper.make_node("Add", ["flat_offsets", "boxes"], ["placed"], "placed"),
        helper.make_node("Sigmoid", ["logits"], ["sure"], "sure"),
        helper.make_node("Reshape", ["sure", "score_shape"], ["scores"], "scores"),
        helper.make_node("Concat", ["placed", "scores"], ["output0"], "concat", axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 7, CELLS**2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(model, ULTRALYTICS if metadata is None else metadata)
    onnx.save(model, str(path))
    return path


ULTRALYTICS = {
    "author": "Ultralytics",
    "task": "detect",
    "names": "{0: 'red', 1: 'green', 2: 'blue'}",
    "imgsz": f"[{SIZE}, {SIZE}]",
    "args": "{'batch': 1, 'nms': None}",
    "end2end": "False",
}


def write_images(
    folder: Path,
    n_images: int = 12,
    *,
    n_groups: int = 6,
    split: str = "test",
    seed: int = 0,
    size: tuple[int, int] = (SIZE, SIZE),
    brightness: float = 1.0,
    noise: float = 12.0,
    keypoints: int = 0,
) -> Path:
    """Write images of squares, with labels and data.yaml, and return its path; the group is the name's first part."""
    random = np.random.default_rng(seed)
    width, height = size
    for sub in ("images", "labels"):
        (folder / sub / split).mkdir(parents=True, exist_ok=True)
    for number in range(n_images):
        pixels = np.full((height, width, 3), 20.0)
        rows = []
        for cell in random.choice((width // CELL) * (height // CELL), 5, replace=False):
            x, y = cell % (width // CELL) * CELL, cell // (width // CELL) * CELL
            colour = int(random.integers(3))
            pixels[y : y + CELL, x : x + CELL] = 10
            pixels[y : y + CELL, x : x + CELL, colour] = random.uniform(90, 255)
            centre = ((x + CELL / 2) / width, (y + CELL / 2) / height)
            rows.append(f"{colour} {centre[0]:.6f} {centre[1]:.6f} {CELL / width:.6f} {CELL / height:.6f}")
            rows[-1] += f" {centre[0]:.6f} {centre[1]:.6f} 2" * keypoints
        pixels = np.clip(pixels * brightness + random.normal(0, noise, pixels.shape), 0, 255)
        stem = f"g{number % n_groups}_{number:03d}"
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / split / f"{stem}.png")
        (folder / "labels" / split / f"{stem}.txt").write_text("\n".join(rows) + "\n")
    document: dict[str, Any] = {"names": list(CLASSES)}
    if keypoints:
        document |= {"kpt_shape": [keypoints, 3], "flip_idx": list(range(keypoints))}
    for one in ("train", "val", "test"):
        if (folder / "images" / one).is_dir():
            document[one] = f"images/{one}"
    (folder / "data.yaml").write_text(yaml.safe_dump(document))
    return folder / "data.yaml"


GROUPS = r"(?P<group>g\d+)_"
