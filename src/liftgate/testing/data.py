"""Factory of test data: images, YOLO folders and in-memory datasets, all generated from a seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from liftgate.data.core.dataset import Dataset, Image, Labels


def picture(path: Path, size: tuple[int, int] = (64, 48), seed: int = 0, orientation: int = 1) -> Path:
    """Write an image of coloured noise (`size`: width, height as stored) and return its path."""
    from PIL import Image as Picture

    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    exif = Picture.Exif()
    exif[274] = orientation
    Picture.fromarray(pixels).save(path, exif=exif.tobytes() if orientation > 1 else b"")
    return path


def yolo_folder(
    folder: Path,
    labels: Mapping[str, str | None],
    names: Sequence[str] = ("cat", "dog"),
    size: tuple[int, int] = (64, 48),
    **keys: Any,
) -> Path:
    """Write images/, labels/ and data.yaml, and return the path of data.yaml.

    `labels` maps a name such as `train/a.jpg` to the text of its label file (None: no file); its first part is the
    split. `keys` are further keys of data.yaml.
    """
    for number, (name, text) in enumerate(labels.items()):
        picture(folder / "images" / name, size, seed=number)
        if text is not None:
            label = (folder / "labels" / name).with_suffix(".txt")
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text(text, encoding="utf-8")
    splits = {name.split("/")[0]: f"images/{name.split('/')[0]}" for name in labels}
    document = {**splits, "names": list(names), **keys}
    (folder / "data.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return folder / "data.yaml"


def dataset(
    n_images: int = 12,
    *,
    n_groups: int | None = None,
    classes: Sequence[str] = ("cat", "dog"),
    objects: int = 3,
    size: tuple[int, int] = (640, 480),
    seed: int = 0,
) -> Dataset:
    """Make a Dataset without files: `objects` random boxes per image, image i in group i mod `n_groups`."""
    rng = np.random.default_rng(seed)
    images = tuple(
        Image(
            id=f"{number:04d}.jpg",
            path=Path(f"/nowhere/{number:04d}.jpg"),
            width=size[0],
            height=size[1],
            group=None if n_groups is None else f"group{number % n_groups}",
            label=Path(f"/nowhere/{number:04d}.txt"),
        )
        for number in range(n_images)
    )
    count = n_images * objects
    corners = rng.uniform(0, 0.7, (count, 2)) * size
    sides = rng.uniform(0.05, 0.3, (count, 2)) * size
    labels = Labels.build(
        np.repeat(np.arange(n_images), objects),
        rng.integers(0, len(classes), count),
        np.hstack([corners, corners + sides]),
    )
    place = Path("/nowhere")
    return Dataset("made", place, place / "data.yaml", "yolo", tuple(classes), images, labels)
