"""Curves as Ultralytics writes them: sound ones, and ones with a planted fault."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

ARGS = {
    "epochs": 100,
    "optimizer": "SGD",
    "lr0": 0.01,
    "lrf": 0.01,
    "momentum": 0.937,
    "patience": 100,
    "cos_lr": False,
}
HEADER = [
    "epoch",
    "time",
    "train/box_loss",
    "train/cls_loss",
    "train/dfl_loss",
    "metrics/precision(B)",
    "metrics/recall(B)",
    "metrics/mAP50(B)",
    "metrics/mAP50-95(B)",
    "val/box_loss",
    "val/cls_loss",
    "val/dfl_loss",
    "lr/pg0",
    "lr/pg1",
    "lr/pg2",
]


def rates(planned: int, done: int, lr0: float = 0.01, lrf: float = 0.01, warmup: int = 3) -> np.ndarray:
    """Learning rates of `done` epochs of a linear schedule over `planned`: weights twice, biases once."""
    epoch = np.arange(done)
    straight = lr0 * ((1 - epoch / planned) * (1 - lrf) + lrf)
    ramp = np.minimum((epoch + 1) / max(warmup, 1), 1)
    bias = straight + (0.1 - lr0) * np.maximum(0, 1 - (epoch + 1) / max(warmup, 1))
    return np.stack([straight * ramp, straight * ramp, bias], axis=1)


def learned(
    n: int, top: float, speed: float, rng: np.random.Generator, jitter: float = 0.01, late: int = 0
) -> np.ndarray:
    """A metric that rises to `top` (time constant `speed` epochs, from epoch `late`) with noise that shrinks."""
    epoch = np.maximum(0, np.arange(n) - late)
    noise = rng.normal(0, jitter, n) * np.linspace(1, 0.3, n)
    return np.clip(top * (1 - np.exp(-epoch / speed)) + noise * (epoch > 0), 0, 0.999)


def write(
    folder: Path,
    metric: np.ndarray,
    *,
    lr: np.ndarray | None = None,
    train: np.ndarray | None = None,
    val: np.ndarray | None = None,
    args: Mapping[str, Any] | None = None,
    columns: Mapping[str, np.ndarray] | None = None,
    first: int = 1,
    padded: bool = False,
) -> Path:
    """Write results.csv and args.yaml of a run whose mAP50-95 is `metric`; returns the folder."""
    n = len(metric)
    falling = 1.5 * np.exp(-np.arange(n) / max(10, n / 3)) + 0.8
    train = falling if train is None else train
    val = 1.1 * falling + 0.1 if val is None else val
    said = {**ARGS, **({"epochs": n} if args is None else args)}
    lr = rates(int(said["epochs"]), n, float(said["lr0"])) if lr is None else lr
    table = {
        "epoch": np.arange(first, first + n),
        "time": np.cumsum(np.full(n, 12.5)),
        **{f"train/{name}_loss": share * train for name, share in (("box", 0.5), ("cls", 0.3), ("dfl", 0.2))},
        "metrics/precision(B)": np.clip(metric * 1.4, 0, 1),
        "metrics/recall(B)": np.clip(metric * 1.3, 0, 1),
        "metrics/mAP50(B)": np.clip(metric * 1.45, 0, 0.995),
        "metrics/mAP50-95(B)": metric,
        **{f"val/{name}_loss": share * val for name, share in (("box", 0.5), ("cls", 0.3), ("dfl", 0.2))},
        **{f"lr/pg{i}": lr[:, i] for i in range(3)},
        **(columns or {}),
    }
    names = list(table)
    rows = [[f"{table[name][i]:.6g}" for name in names] for i in range(n)]
    width = 23 if padded else 0
    text = "\n".join(",".join(cell.rjust(width) for cell in row) for row in [names, *rows]) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.csv").write_text(text)
    if args is None or args:
        (folder / "args.yaml").write_text(yaml.safe_dump(said))
    return folder


def case_c(folder: Path) -> Path:
    """A published second stage of cone training, between the epochs that its authors name, and what they asked for."""
    epochs = [1, 2, 3, 4, 15, 30, 40, 50]
    map50 = [0.7536, 0.7029, 0.6278, 0.6724, 0.7151, 0.7423, 0.7501, 0.7545]
    curve = np.interp(np.arange(1, 51), epochs, map50)
    args = {"epochs": 150, "optimizer": "auto", "lr0": 0.001, "patience": 30}
    return write(folder, curve / 1.45, lr=rates(150, 50, 0.01), args=args)
