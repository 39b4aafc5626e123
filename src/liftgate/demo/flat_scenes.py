"""Draw small data sets of flat shapes on dark noise, in YOLO's format, for the demo's cases: a second's work."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from liftgate.files import write_bytes, write_text

SIZE = (120, 80)
"""Width and height of an image in pixels"""
Colour = tuple[int, int, int]
_STRANGER: Colour = (170, 170, 130)


def draw_dataset(
    folder: Path,
    counts: Mapping[str, int],
    colours: Mapping[str, Colour],
    *,
    seed: int,
    transposed: bool = False,
    keys: Mapping[str, object] | None = None,
) -> Path:
    """Write a data set whose classes differ in colour and return its data.yaml; a complete one is left as it is.

    Args:
        folder: created, with images, labels, a list for each split and data.yaml.
        counts: split → number of images.
        colours: class → its colour.
        seed: of the drawing.
        transposed: write y before x, as one exporter did.
        keys: further keys of the data.yaml; with `kpt_shape` each object gets a left and a right point.
    """
    data_yaml = folder / "data.yaml"
    if data_yaml.is_file():
        return data_yaml
    rng, extra = np.random.default_rng(seed), dict(keys or {})
    order = [1, 0, 3, 2] if transposed else [0, 1, 2, 3]
    for split, count in counts.items():
        names = [f"{split}{number:03d}" for number in range(count)]
        for name in names:
            pixels, rows = _draw_scene(list(colours.values()), rng)
            _write_scene(folder, name, pixels, rows, order, points="kpt_shape" in extra)
        write_text(folder / f"{split}.txt", "".join(f"./images/{name}.png\n" for name in names))
    document = {**{split: f"{split}.txt" for split in counts}, "names": dict(enumerate(colours)), **extra}
    write_text(data_yaml, yaml.safe_dump(document, sort_keys=False))  # last, so that it means a complete data set
    return data_yaml


def _draw_scene(
    colours: Sequence[Colour], rng: np.random.Generator
) -> tuple[np.ndarray, list[tuple[int, list[float]]]]:
    """Return pixels (h, w, 3) and rows (class, [x, y, w, h]) in fractions; objects are wider than high, and apart."""
    width, height = SIZE
    pixels = rng.integers(0, 60, (height, width, 3)).astype(np.uint8)
    rows = []
    for left in (4, 64):
        if rng.random() < 0.2:
            continue
        cls, w, h = int(rng.integers(len(colours))), int(rng.integers(30, 50)), int(rng.integers(12, 22))
        x, y = left + int(rng.integers(0, 52 - w)), int(rng.integers(2, height - h - 2))
        stranger = rng.random() < 0.25  # of no class, and without a label
        colour = np.array(_STRANGER if stranger else colours[cls])
        pixels[y : y + h, x : x + w] = np.clip(colour + rng.normal(0, 24, 3), 90, 255).astype(np.uint8)
        if not stranger:
            rows.append((cls, [(x + w / 2) / width, (y + h / 2) / height, w / width, h / height]))
    return pixels, rows


def _write_scene(
    folder: Path,
    name: str,
    pixels: np.ndarray,
    rows: Sequence[tuple[int, list[float]]],
    order: Sequence[int],
    *,
    points: bool,
) -> None:
    import PIL.Image

    image = io.BytesIO()
    PIL.Image.fromarray(pixels).save(image, "PNG")
    write_bytes(folder / "images" / f"{name}.png", image.getvalue())
    lines = []
    for cls, box in rows:
        x, y, w, _ = box
        lamps = [x - 0.4 * w, y, 2, x + 0.4 * w, y, 2] if points else []
        lines.append(" ".join([str(cls), *(f"{box[place]:.6f}" for place in order), *(f"{v:g}" for v in lamps)]))
    write_text(folder / "labels" / f"{name}.txt", "".join(f"{line}\n" for line in lines))
