"""Whether calibration images look like those that an export is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy.stats import rankdata

from liftgate.data.core.pictures import open_picture

_SIDE = 8
_MOST = 200
_FARTHER, _TIMES = 0.9, 1.5


def strange_looks(calibration: Sequence[Path], groups: Sequence[str], measured: Sequence[Path]) -> str:
    """Return how calibration images look different from others, in a sentence; empty: they do not, or it is unknown.

    Each image is compared with the nearest calibration image of another group: for images of the same kind these
    distances are alike on both sides.

    Args:
        calibration: image files; those that are missing are left out.
        groups: of these.
        measured: image files that the export is measured on.
    """
    kept = [(path, group) for path, group in zip(calibration, groups, strict=True) if path.is_file()][:_MOST]
    others = [path for path in measured if path.is_file()][:: max(1, len(measured) // _MOST)][:_MOST]
    if len(kept) < 8 or len({group for _, group in kept}) < 2 or len(others) < 8:
        return ""
    mine, theirs = _looks([path for path, _ in kept]), _looks(others)
    scale = np.maximum(np.concatenate([mine, theirs]).std(axis=0), 1e-6)
    mine, theirs = mine / scale, theirs / scale
    own = _distances(mine, mine)
    names = np.array([group for _, group in kept])
    own[names[:, None] == names[None, :]] = np.inf
    inside, outside = own.min(axis=1), _distances(theirs, mine).min(axis=1)
    ranks = rankdata(np.concatenate([inside, outside]))
    farther = (ranks[len(inside) :].sum() - len(outside) * (len(outside) + 1) / 2) / (len(inside) * len(outside))
    times = float(np.median(outside) / max(np.median(inside), 1e-9))
    if farther < _FARTHER or times < _TIMES:
        return ""
    return (
        f"the calibration images look different from those measured on: {len(others)} of these are {times:.1f} times "
        f"as far from the nearest of {len(kept)} calibration images as those are from each other"
    )


def _looks(paths: Sequence[Path]) -> NDArray[np.float64]:
    return np.array([_look(path) for path in paths])


def _look(path: Path) -> NDArray[np.float64]:
    with open_picture(path) as image:
        image.draft("RGB", (128, 128))
        small = ImageOps.exif_transpose(image).convert("RGB").resize((64, 64), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.float64) / 255
    cells = pixels.reshape(_SIDE, 64 // _SIDE, _SIDE, 64 // _SIDE, 3).mean(axis=(1, 3))
    grey = pixels.mean(axis=2)
    edges = np.array([np.abs(np.diff(grey, axis=0)).mean(), np.abs(np.diff(grey, axis=1)).mean(), grey.std()])
    return np.concatenate(
        [pixels.mean(axis=(0, 1)), pixels.std(axis=(0, 1)), edges * 2, (cells - cells.mean()).std(axis=(0, 1))]
    )


def _distances(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    distances: NDArray[np.float64] = np.sqrt(((one[:, None] - other[None]) ** 2).sum(axis=2))
    return distances
