"""A small sound data set on disk, to plant faults in: coloured shapes on smooth textures, boxes exactly around them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from liftgate.checks.subject import Subject
from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read
from liftgate.study.records import Arm, DatasetSpec, Gate, Stage, Study

SIDE = 96
COUNTS = {"train": 30, "val": 20, "test": 20}
CLASSES = ["cup", "plate", "spoon"]
BACKGROUNDS = 3  # in each split


def texture(rng: np.random.Generator, side: int = SIDE) -> np.ndarray:
    """A smooth picture that resembles no other: 5 × 5 random greys, enlarged."""
    coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    return np.array(coarse.resize((side, side), Image.Resampling.BICUBIC))


def build(root: Path) -> Path:
    """Write the data set and return its data.yaml."""
    rng = np.random.default_rng(7)
    for split, count in COUNTS.items():
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
        for number in range(count):
            picture, rows = texture(rng), []
            for cls in range(0 if number < BACKGROUNDS else len(CLASSES)):
                w, h = rng.integers(14, 24, 2)
                x, y = rng.integers(0, SIDE - 24) + rng.random(), rng.integers(0, SIDE - 24)
                picture[y : y + h, int(x) : int(x) + w] = rng.integers(0, 256, 3)
                box = (int(x) + w / 2, y + h / 2, w, h)
                rows.append(f"{cls} " + " ".join(f"{value / SIDE:.6f}" for value in box))
            Image.fromarray(picture).save(root / "images" / split / f"{split}{number:02}.png")
            (root / "labels" / split / f"{split}{number:02}.txt").write_text("\n".join(rows))
    keys = {split: f"images/{split}" for split in COUNTS} | {"nc": len(CLASSES), "names": CLASSES}
    (root / "data.yaml").write_text(yaml.safe_dump(keys))
    return root / "data.yaml"


class SmallSet:
    """A copy of the sound data set that a test may spoil."""

    def __init__(self, sound: Path, root: Path) -> None:
        shutil.copytree(sound, root)
        self.root = root
        self.yaml = root / "data.yaml"

    def image(self, split: str = "train", number: int = 5) -> Path:
        return self.root / "images" / split / f"{split}{number:02}.png"

    def label(self, split: str = "train", number: int = 5) -> Path:
        return self.root / "labels" / split / f"{split}{number:02}.txt"

    def add_row(self, row: str, split: str = "train", number: int = 5) -> None:
        label = self.label(split, number)
        label.write_text(label.read_text() + "\n" + row)

    def keys(self, **changes: Any) -> None:
        """Change keys of data.yaml; None takes one away."""
        keys = yaml.safe_load(self.yaml.read_text()) | changes
        self.yaml.write_text(yaml.safe_dump({key: value for key, value in keys.items() if value is not None}))

    def keypoints(self, names: list[str], *, per_row: str | None = None) -> None:
        """Make it a pose data set: every object gets its keypoints on the box's diagonal."""
        self.keys(kpt_shape=[len(names), 3], kpt_names=names)
        for label in self.root.rglob("*.txt"):
            rows = []
            for line in label.read_text().splitlines():
                _, x, y, w, h = map(float, line.split())
                at = [(i + 1) / (len(names) + 1) - 0.5 for i in range(len(names))]
                flags = [1 + i % 2 for i in range(len(names))]
                points = " ".join(f"{x + t * w:.6f} {y + t * h:.6f} {f}" for t, f in zip(at, flags, strict=True))
                rows.append(f"{line} {per_row or points}")
            label.write_text("\n".join(rows))

    def read(self) -> Dataset:
        return read(self.yaml, name="small")

    def subject(self, dataset: Dataset | None = None, **study: Any) -> Subject:
        """The data set alone, or, with arguments of `study`, inside one."""
        dataset = dataset or self.read()
        if not study:
            return Subject({"small": dataset})
        return Subject({"small": replace(dataset, licence="CC0-1.0")}, self.study(**study))

    def study(
        self,
        recipe: Mapping[str, Any] | None = None,
        *,
        control: Mapping[str, Any] | None = None,
        weights: str = "yolov8n.pt",
        gate: Mapping[str, Any] | None = None,
        arms: tuple[Arm, ...] | None = None,
        **fields: Any,
    ) -> Study:
        """Two arms of one stage that differ in imgsz, and a gate between them."""
        sound = {"epochs": 60, "optimizer": "SGD", "lr0": 0.01, "imgsz": 320, "nbs": 16}
        first, second = control or sound | {"imgsz": 256}, recipe or sound
        both = arms or (
            Arm("control", (Stage("small", weights, first),)),
            Arm("treatment", (Stage("small", weights, second),)),
        )
        comparison = {"treatment": "treatment", "control": "control", "differ": ("recipe.imgsz",)} | dict(gate or {})
        defaults: dict[str, Any] = {"task": "detect", "source": self.root / "study.yaml", "flow": ()}
        return Study(
            name="study",
            question="?",
            datasets=(DatasetSpec("small", "data.yaml"),),
            arms=both,
            gates=(Gate("lift", "small.test", metric="mAP50", **comparison),),
            **(defaults | fields),
        )
