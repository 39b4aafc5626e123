"""Every template at its project's own figures: `plan` says what would run, from label files alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

import liftgate
from liftgate.study.study_file import load
from liftgate.study.templates import TemplateInputs, write

CONES = ("blue", "yellow", "orange", "large_orange", "unknown")
POINTS = ["front_left", "front_right", "rear_left", "rear_right"]


class Size(NamedTuple):
    """A data set of a project."""

    images: tuple[int, ...]
    """Of train, val and test; one number: without splits of its own"""
    groups: int
    classes: Sequence[str]
    keypoints: Sequence[str] = ()


PROJECTS: Mapping[str, Mapping[str, Size]] = {
    "measure-first": {
        "data": Size((250,), 21, ("person",)),
        "more": Size((2516,), 41, ("person",)),
        "deployment": Size((5760,), 30, ("person",)),
    },
    "two-stage": {
        "data": Size((7120, 1968, 689), 300, CONES),
        "more": Size((19975, 1591, 1159), 600, CONES),
        "car": Size((96,), 8, CONES),
    },
    "runbook": {"data": Size((6000,), 120, ("head",)), "winter": Size((400,), 12, ("head",))},
    "improve": {
        "data": Size((6164 + 956,), 700, [f"item{number}" for number in range(12)]),
        "more": Size((462, 132), 60, [f"other{number}" for number in range(16)]),
    },
    "kill-switch": {
        "data": Size((2000, 500, 12761), 250, ("vehicle",), POINTS),
        "more": Size((1200, 240), 48, ("vehicle",), POINTS),
    },
}
"""As published; what a project does not say (the runbook's images, the kill-switch's train and val) is a guess"""


def write_labels(folder: Path, size: Size) -> Path:
    """Write COCO labels of images that are not there, one box each; a group, in the file name, stays in a split."""
    (folder / "annotations").mkdir(parents=True)
    split_names = ("train", "val", "test") if len(size.images) > 1 else ("all",)
    first = 0
    for split, count in zip(split_names, size.images, strict=False):
        path = folder / "annotations" / f"instances_{split}.json"
        path.write_text(json.dumps(labels(f"{folder.name}{split}", first, count, size)))
        first += count
    return folder if len(size.images) > 1 else path


def labels(prefix: str, first: int, count: int, size: Size) -> dict[str, object]:
    numbers = range(first, first + count)
    points = {"keypoints": [5, 5, 2] * len(size.keypoints), "num_keypoints": len(size.keypoints)}
    images = [
        {"id": n, "file_name": f"{prefix}{n % size.groups:03d}_{n:05d}.jpg", "width": 640, "height": 480}
        for n in numbers
    ]
    boxes = [
        {"id": n, "image_id": n, "category_id": n // size.groups % len(size.classes), "bbox": [4, 4, 60, 40],
         "area": 2400, "iscrowd": 0, **(points if size.keypoints else {})}
        for n in numbers
    ]  # fmt: skip
    kind = {"keypoints": list(size.keypoints)} if size.keypoints else {}
    categories = [{"id": n, "name": name, **kind} for n, name in enumerate(size.classes)]
    return {"images": images, "annotations": boxes, "categories": categories}


@pytest.mark.parametrize("case", PROJECTS)
def test_a_template_of_full_size_is_planned(case: str, tmp_path: Path) -> None:
    written = {name: write_labels(tmp_path / name, size) for name, size in PROJECTS[case].items()}
    held_out = tuple((name, path) for name, path in written.items() if name not in ("data", "more"))
    rule = r"^(?P<group>[a-z]+\d{3})_"
    path = write(
        tmp_path / "study", case, TemplateInputs(written["data"], written.get("more"), groups=rule, held_out=held_out)
    )
    for name in ("yolov8n.pt", "yolov8m.pt", "yolov8n-pose.pt"):
        (path.parent / name).write_bytes(b"weights")
    plan = liftgate.plan(path)
    study = load(path)
    trainings = [step for step in study.flow if step.name == "train"]
    assert {one.state for one in plan} <= {"run", "undecided", "skipped"}, "nothing ran before"
    assert len([one for one in plan if one.step.startswith("train")]) >= len(trainings)
    assert {gate.name for gate in study.gates} <= {one.step.split()[0] for one in plan}
    assert not (path.parent / "runs").exists(), "a plan writes nothing"
