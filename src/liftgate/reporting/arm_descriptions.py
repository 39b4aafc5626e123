"""How the arms of a gate were made: in one line for experts, and in words for somebody who trains no models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from liftgate.reporting.number_format import format_setting
from liftgate.study.records import Arm, Part

_IN_WORDS: Mapping[str, str] = {
    "imgsz": "at an image size of {}",
    "epochs": "in {} rounds over the images",
    "batch": "with {} images at a time",
    "lr0": "with a learning rate of {}",
}
"""Settings that have words; others are written as they stand"""


def describe(arm: Arm) -> str:
    """Return weights, data and recipe of each stage, in one line."""
    if not arm.stages:
        return f"{_file_name(arm.weights)}, off the shelf"
    texts = []
    for stage in arm.stages:
        recipe = ", ".join(f"{key} {format_setting(value)}" for key, value in stage.recipe.items())
        texts.append(f"{_file_name(stage.weights) or 'then'} → {stage.described_data} ({recipe or 'default recipe'})")
    return " → ".join(texts)


def plain_names(arms: Sequence[Arm]) -> tuple[tuple[str, str], ...]:
    """Return each arm's name and how it was made in plain words; of the recipes only what differs between the arms.

    >>> from liftgate.study.records import Stage
    >>> small, large = (Arm(f"at_{size}", (Stage("dice", "yolov8n.pt", {"imgsz": size}),)) for size in (416, 640))
    >>> plain_names([small, large])
    (('at_416', 'trained on “dice” at an image size of 416'), ('at_640', 'trained on “dice” at an image size of 640'))
    >>> plain_names([Arm("plain", weights="yolov8n.pt")])
    (('plain', 'yolov8n.pt as it comes, not trained here'),)
    """
    return tuple((arm.name, _in_words(arm, arms)) for arm in arms)


def _in_words(arm: Arm, beside: Sequence[Arm]) -> str:
    if not arm.stages:
        return f"{_file_name(arm.weights)} as it comes, not trained here"
    parts = []
    for number, stage in enumerate(arm.stages):
        data = " and ".join(map(_part, stage.mix)) or f"“{stage.data}”"
        settings = list(_differing(arm, number, beside))
        parts.append(" ".join([f"{'then' if number else 'trained'} on {data}", ", ".join(settings)]).strip())
    starts = {one.stages[0].weights for one in beside if one.stages}
    start = f", starting from {_file_name(arm.stages[0].weights)}" if len(starts) > 1 else ""
    return ", ".join(parts) + start


def _part(part: Part) -> str:
    taken = f"“{part.dataset}”" if part.take is None else f"{part.take} images of “{part.dataset}”"
    times = {1: "", 2: " (each image used twice)"}.get(part.repeat, f" (each image used {part.repeat} times)")
    return taken + times


def _differing(arm: Arm, number: int, beside: Sequence[Arm]) -> Iterator[str]:
    """Yield the settings of a stage that other arms of as many stages have not, or not so."""
    others = [one.stages[number].recipe for one in beside if len(one.stages) == len(arm.stages)]
    for key, value in arm.stages[number].recipe.items():
        if any(other.get(key) != value for other in others):
            yield _IN_WORDS.get(key, f"with {key} {{}}").format(format_setting(value))


def _file_name(weights: str | None) -> str:
    """Return the name of a file without its folders, which mean nothing elsewhere; its hash is in the record."""
    return Path(weights).name if weights and Path(weights).is_absolute() else weights or ""
