"""A small YOLO checkpoint without training: random weights whose scores spread over 0 to 1, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from backends.tiny import write_model
from liftgate.backends.sandbox import sandbox_environment

_SCRIPT = """
import sys, torch
from ultralytics import YOLO
yaml, out, seed = sys.argv[1:4]
torch.manual_seed(int(seed))
model = YOLO(yaml)
for module in model.model.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
        module.running_mean.normal_(0, 0.1); module.running_var.uniform_(0.5, 1.5)
        module.weight.data.uniform_(0.8, 1.6)
head = model.model.model[-1]
for box, cls in zip(head.cv2, head.cv3):
    box[-1].weight.data.normal_(0, 0.5)
    cls[-1].weight.data.normal_(0, 4.0); cls[-1].bias.data.fill_(-2.0)
model.model.names = {0: "cat", 1: "dog"}
model.model.args = {"imgsz": 64, "task": model.task}
model.ckpt = {"train_args": {"imgsz": 64, "task": model.task}}
model.save(out)
"""


def write_checkpoint(folder: Path, keypoints: int = 0, seed: int = 0) -> Path:
    """Write a .pt and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    yaml, out = write_model(folder / "tiny.yaml", keypoints), folder / "tiny.pt"
    environment = sandbox_environment(folder / "home", os.environ)
    command = [sys.executable, "-P", "-c", _SCRIPT, str(yaml), str(out), str(seed)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert out.is_file(), done.stderr[-2000:]
    return out
