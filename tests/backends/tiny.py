"""The smallest YOLO that trains in seconds on a CPU, and recipes for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# yolov8 at depth .33 and width .125: 0.8 million parameters.
_DETECT = """
nc: 2
depth_multiple: 0.33
width_multiple: 0.125
backbone:
  - [-1, 1, Conv, [64, 3, 2]]
  - [-1, 1, Conv, [128, 3, 2]]
  - [-1, 3, C2f, [128, True]]
  - [-1, 1, Conv, [256, 3, 2]]
  - [-1, 6, C2f, [256, True]]
  - [-1, 1, Conv, [512, 3, 2]]
  - [-1, 6, C2f, [512, True]]
head:
  - [-1, 1, nn.Upsample, [None, 2, nearest]]
  - [[-1, 4], 1, Concat, [1]]
  - [-1, 3, C2f, [256]]
  - [[9, 6], 1, HEAD]
"""

RECIPE: dict[str, Any] = {
    "epochs": 15,
    "imgsz": 64,
    "batch": 4,
    "nbs": 4,
    "optimizer": "AdamW",
    "lr0": 0.01,
    "warmup_epochs": 1,
    "mosaic": 0.5,
    "close_mosaic": 2,
    "fliplr": 0.0,
    "scale": 0.2,
    "plots": False,
}


def write_model(path: Path, keypoints: int = 0) -> Path:
    """Write the model YAML (stride 8 and 16) and return its path."""
    head = f"Pose, [nc, [{keypoints}, 3]]" if keypoints else "Detect, [nc]"
    text = _DETECT.replace("HEAD]", f"{head}]") + (f"kpt_shape: [{keypoints}, 3]\n" if keypoints else "")
    path.write_text(text)
    return path
