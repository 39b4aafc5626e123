"""Ultralytics' training arguments as data: names, kinds, ranges, defaults. Read from its documentation of 8.4.

Kept here and not read from the installed package, because `check` works without Ultralytics and importing it costs
seconds. A test compares the names with the installed version where there is one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from liftgate.suggestions import nearest

OPTIMIZERS = ("SGD", "MuSGD", "Adam", "Adamax", "AdamW", "NAdam", "RAdam", "RMSProp", "auto")
DEFAULT_EPOCHS, DEFAULT_BATCH, DEFAULT_NBS, DEFAULT_IMGSZ = 100, 16, 64, 640
DEFAULT_PATIENCE, DEFAULT_WARMUP, DEFAULT_CLOSE_MOSAIC, DEFAULT_FLIPLR = 100, 3.0, 10, 0.5
_MUSGD_ITERATIONS = 10_000  # above it, optimizer=auto uses MuSGD; up to it, AdamW


class Argument(NamedTuple):
    """Type and range of one argument."""

    kind: type
    low: float = -math.inf
    high: float = math.inf


class AutoChoice(NamedTuple):
    """The choice of optimizer=auto."""

    optimizer: str
    lr0: float
    momentum: float
    iterations: int


def _arguments(names: str, kind: type, low: float = -math.inf, high: float = math.inf) -> dict[str, Argument]:
    return dict.fromkeys(names.split(), Argument(kind, low, high))


# float: integers are accepted too. object: several types are accepted, nothing is checked.
ARGUMENTS: Mapping[str, Argument] = {
    **_arguments("epochs nbs max_det mask_ratio vid_stride", int, 1),
    **_arguments("patience seed", int, 0),
    **_arguments("workers close_mosaic line_width save_period opset", int),
    **_arguments(
        "warmup_epochs box cls dfl pose kobj rle angle dlog dgrad dis degrees shear time workspace batch", float
    ),
    **_arguments("dropout lr0 lrf cls_pw momentum weight_decay warmup_momentum warmup_bias_lr", float, 0, 1),
    **_arguments(
        "hsv_h hsv_s hsv_v translate perspective flipud fliplr bgr mosaic mixup cutmix copy_paste", float, 0, 1
    ),
    **_arguments("erasing conf iou multi_scale dlam", float, 0, 1),
    **_arguments(
        "save exist_ok verbose deterministic single_cls rect cos_lr overlap_mask val save_json dnn plots", bool
    ),
    **_arguments(
        "show save_txt save_conf save_crop save_frames show_labels show_conf show_boxes visualize augment", bool
    ),
    **_arguments("agnostic_nms retina_masks stream_buffer optimize dynamic simplify nms profile channels_last", bool),
    **_arguments("cls_remap", bool),
    **_arguments("optimizer split copy_paste_mode auto_augment", str),
    **_arguments("task mode model data imgsz cache device project name pretrained resume amp fraction freeze", object),
    **_arguments("compile source embed classes format quantize distill_model cfg tracker scale half int8", object),
}

REMOVED = ("label_smoothing", "save_hybrid", "crop_fraction", "keras", "hide_labels", "hide_conf", "end2end")
"""Names of earlier versions: dropped or renamed with a line in the log."""


def nearest_argument(name: str) -> str | None:
    """Return the argument that a mistyped `name` probably means, or None.

    >>> nearest_argument("learning_rate"), nearest_argument("epoch"), nearest_argument("bananas")
    ('lr0', 'epochs', None)
    """
    habits = {"learning_rate": "lr0", "lr": "lr0", "img_size": "imgsz", "image_size": "imgsz", "batch_size": "batch"}
    habits |= {"img": "imgsz", "wd": "weight_decay", "warmup": "warmup_epochs", "early_stopping": "patience"}
    if name.lower() in habits:
        return habits[name.lower()]
    return nearest(name, ARGUMENTS, cutoff=0.7)


def refusal(name: str, value: Any) -> str | None:
    """Return why Ultralytics would refuse `value` for the argument `name`; None: it is accepted.

    >>> refusal("lr0", "0.01")
    "expected a number from 0 to 1, got '0.01'"
    >>> refusal("epochs", 10)
    """
    if value is None or (name == "batch" and value == "auto"):  # Liftgate chooses the batch, the same for all arms
        return None
    if name == "optimizer" and isinstance(value, str):
        known = {one.lower() for one in OPTIMIZERS}
        return None if value.lower() in known else f"expected one of {', '.join(OPTIMIZERS)}, got {value!r}"
    if name == "batch" and isinstance(value, int | float) and not _is_batch(value):
        return f"expected a whole number from 1, a share of the memory below 1, or auto, got {value!r}"
    kind, low, high = ARGUMENTS[name]
    kinds = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    limits = (
        f" from {low:g} to {high:g}" if math.isfinite(high) else f" of at least {low:g}" if math.isfinite(low) else ""
    )
    expected = f"expected {kinds.get(kind, 'a value')}{limits}, got {value!r}"
    if kind is object:
        return None
    if kind is bool or kind is str:
        return None if isinstance(value, kind) else expected
    whole = isinstance(value, int) or (
        isinstance(value, float) and value.is_integer()
    )  # 1e2 is whole, True counts as 1
    if not (whole if kind is int else isinstance(value, int | float)):
        return expected
    return None if low <= value <= high else expected


def auto_choice(n_images: int, n_classes: int, recipe: Mapping[str, Any]) -> AutoChoice:
    """Return what `optimizer=auto` uses in place of lr0 and momentum (Ultralytics 8.4).

    It counts optimiser steps, ceil(images / max(batch, nbs)) × epochs, and takes MuSGD at 0.01 above 10,000 of them,
    else AdamW at 0.002 · 5 / (4 + classes). (Versions before MuSGD took SGD at the same rate.)

    >>> auto_choice(7120, 5, {"batch": 64, "epochs": 300})
    AutoChoice(optimizer='MuSGD', lr0=0.01, momentum=0.9, iterations=33600)
    >>> auto_choice(205, 3, {"epochs": 6})
    AutoChoice(optimizer='AdamW', lr0=0.001429, momentum=0.9, iterations=24)
    """
    batch = max(_batch(recipe), numeric_argument(recipe, "nbs", DEFAULT_NBS))
    iterations = math.ceil(n_images / batch) * int(numeric_argument(recipe, "epochs", DEFAULT_EPOCHS))
    if iterations > _MUSGD_ITERATIONS:
        return AutoChoice("MuSGD", 0.01, 0.9, iterations)
    return AutoChoice("AdamW", round(0.002 * 5 / (4 + n_classes), 6), 0.9, iterations)


def optimizer_steps(n_images: int, recipe: Mapping[str, Any]) -> int:
    """Return the number of optimiser steps in a run (Ultralytics 8.4).

    Gradients of round(nbs / batch) batches are collected for one step; during warm-up that number rises from 1.

    >>> optimizer_steps(64, {"batch": 16, "epochs": 10, "warmup_epochs": 0})
    10
    >>> optimizer_steps(205, {"batch": 8, "epochs": 6})
    33
    """
    batch = _batch(recipe)
    batches, epochs = math.ceil(n_images / batch), int(numeric_argument(recipe, "epochs", DEFAULT_EPOCHS))
    total = batches * epochs
    collected = min(max(round(numeric_argument(recipe, "nbs", DEFAULT_NBS) / batch), 1), max(total, 1))
    warm = round(min(numeric_argument(recipe, "warmup_epochs", DEFAULT_WARMUP), max(epochs - 1, 0)) * batches)
    steps, last = 0, -1
    for at in range(min(warm + 1, total) if warm else 0):
        if at - last >= max(1, round(1 + (collected - 1) * at / warm)):
            steps, last = steps + 1, at
    return steps + (total - 1 - last) // collected


def _is_batch(value: float) -> bool:
    """Return whether it is a number of images, a fraction of the GPU memory, or -1 (automatic)."""
    return value == -1 or 0 < value < 1 or (1 <= value < 2**31 and value == int(value))


def _batch(recipe: Mapping[str, Any]) -> float:
    """Return the batch, or the default where it is left to the machine (`auto`, -1, a share of the memory)."""
    batch = numeric_argument(recipe, "batch", DEFAULT_BATCH)
    return batch if batch >= 1 else DEFAULT_BATCH


def numeric_argument(recipe: Mapping[str, Any], name: str, default: float) -> float:
    """Return a numeric argument, or its default where it is missing or not a number (recipe.value reports that)."""
    value = recipe.get(name)
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if usable and value is not None else float(default)
