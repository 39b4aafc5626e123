"""A small field of cameras to sample from: frames on disk, a manifest, logs."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def write_picture(path: Path, seed: int) -> None:
    """Write a small picture; the same seed gives the same scene."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((64, 48), Image.Resampling.BICUBIC).save(path)


def write_field(folder: Path, *, cameras: int = 3, days: int = 2, frames: int = 10, same: bool = False) -> list[str]:
    """Write `frames.csv` and its images, 30 s apart; one group for each camera and day. Return the names."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, number = [], 0
    for camera in range(1, cameras + 1):
        for day in range(1, days + 1):
            for k in range(frames):
                name = f"cam{camera}_d{day}_{k:03d}.png"
                write_picture(folder / name, 0 if same else number)
                stamp = f"2026-01-0{day}T08:{k // 2:02d}:{k % 2 * 30:02d}"
                rows.append([name, f"cam{camera}_d{day}", f"v{camera}{day}", f"cam{camera}", f"2026-01-0{day}", stamp])
                number += 1
    with (folder / "frames.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "group", "video", "camera", "day", "taken"])
        writer.writerows(rows)
    return [row[0] for row in rows]


def write_jsonl(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def detection(left: float = 10, score: float = 0.9, name: str = "person") -> dict[str, Any]:
    return {"bbox": [left, 10, 20, 20], "score": score, "class": name}
