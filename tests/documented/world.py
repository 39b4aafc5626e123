"""A small folder that has everything which the documentation's commands name."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import yaml

import liftgate
from data.production_log.rows import START, write_many
from data.video_frames.clips import write_clip
from deploy.colours import GROUPS, write_detector, write_images
from diagnosis import traces
from liftgate.cli import main
from liftgate.data.core.csv_tables import table_bytes
from liftgate.data.production_log.records import LoggedBox, LoggedImage
from liftgate.deploy.export.card import Source
from liftgate.deploy.export.finish import Origin
from liftgate.hashing import file_hash
from liftgate.judging.answers import Answer, answers_table
from liftgate.judging.draw_files import read_draw
from liftgate.judging.review import read_review
from liftgate.testing.backends import write_tree
from services.planted_exports import write_export

ROOT = Path(__file__).parents[2]
DAY = 86_400
LATER = datetime.fromtimestamp(START + 6 * DAY, UTC).date().isoformat()
"""The day that parts the log in two halves"""
DATA_SETS = ("bench", "fsoco", "cone-detector", "our-car", "set", "ann", "eve")
COCO_FILES = ("ben", "real", "synthetic", "more", "instances_val")
STAGE = {"weights": "start.yaml", "recipe": {"epochs": 2, "lr0": 0.5}}
TAKES = {"quarter": 6, "half": 12, "long": 24}
STUDY = {
    "study": "sizes",
    "question": "Are more images worth their labels?",
    "backend": "toy",
    "datasets": {"scenes": {"path": "scenes/data.yaml", "licence": "CC0-1.0"}},
    "arms": {arm: [{**STAGE, "data": [{"dataset": "scenes", "take": take}]}] for arm, take in TAKES.items()},
    "seeds": [0, 1],
    "gates": {
        "more": {"metric": "recall", "treatment": "half", "control": "quarter", "on": "scenes.val"},
        "lift": {"metric": "recall", "treatment": "long", "control": "half", "on": "scenes.val"},
    },
    "answer": "lift",
    "flow": ["train", "more", "lift"],
}


def build(world: Path) -> None:
    """Fill an empty folder, which is the working folder; everything is drawn or trained here."""
    _write_data(world)
    _write_models(world)
    _write_judgements(world)
    _write_log(world)
    _write_studies(world)


def run(*words: str) -> None:
    code = main(list(words))
    assert code == 0, f"{words}: exit {code}"


def _write_data(world: Path) -> None:
    for split, count, seed in (("train", 24, 0), ("val", 12, 1), ("test", 36, 2)):
        write_images(world, count, split=split, seed=seed, n_groups=12)
    for file in [*world.glob("images/*/*.png"), *world.glob("labels/*/*.txt")]:
        (file.parent / file.stem.split("_")[0]).mkdir(exist_ok=True)
        file.rename(file.parent / file.stem.split("_")[0] / file.name)
    for name in DATA_SETS:
        for part in ("images", "labels"):
            shutil.copytree(world / part, world / name / part)
        shutil.copy(world / "data.yaml", world / name)
    write_images(world / "deployment", 6, seed=9, n_groups=1)
    for image in (world / "deployment").rglob("g0_*"):
        image.rename(image.with_name(image.name.replace("g0", "car")))
    write_images(world / "poses", 6, split="train", keypoints=2)
    document = yaml.safe_load((world / "poses" / "data.yaml").read_text())
    names = {"kpt_names": {0: ["left_lamp", "right_lamp"]}, "flip_idx": [1, 0]}
    (world / "poses" / "data.yaml").write_text(yaml.safe_dump(document | names))
    for image in sorted((world / "images" / "test").rglob("*.png")):
        for folder in (world / "frames", world / "in_folders" / image.parent.name):
            folder.mkdir(exist_ok=True, parents=True)
            shutil.copy(image, folder)
    frames = sorted(path.name for path in (world / "frames").iterdir())
    (world / "frames.csv").write_bytes(table_bytes(("image", "group"), [(f"frames/{n}", n[:3]) for n in frames]))
    (world / "frames" / "frames.csv").write_bytes(table_bytes(("image", "group"), [(n, n[:3]) for n in frames]))
    (world / "split.csv").write_bytes(table_bytes(("image", "group", "split"), [(frames[0], frames[0][:3], "test")]))
    run("data", "split", "data.yaml", "--groups", GROUPS, "--out", "split-1")
    run("data", "convert", "data.yaml", "--to", "coco", "--out", "coco")
    for name in COCO_FILES:
        shutil.copy(world / "coco" / "annotations" / "instances_val.json", world / f"{name}.json")
    for category in ("aisle", "belt"):
        write_clip(world / "videos" / category / "clip.mp4", 60, moving=range(20, 40))
    shutil.copytree(world / "videos" / "aisle", world / "recorder" / "cam1")
    for segment in (world / "recorder" / "cam1").iterdir():
        os.utime(segment, (0, 0))  # the recorder has finished it, however fast this machine is
    for name in ("train", "train7"):
        curve = traces.learned(60, 0.6, 12, np.random.default_rng(0))
        traces.write(world / "runs" / "detect" / name, curve)


def _write_models(world: Path) -> None:
    for name in ("best", "model", "v0", "theirs"):
        write_detector(world / f"{name}.onnx")
    write_detector(world / "v1.onnx", shift=1)
    for name in ("onnx", "onnx-int8", "onnx-fp32"):
        write_export(world / "exports" / name)
    for name, model in (("old", "v0.onnx"), ("new", "v1.onnx")):
        run("predict", model, "data.yaml", "--split", "test", "--conf", "0.05", "--out", f"{name}.json")
        for images in ("frames", "in_folders"):
            run("predict", model, images, "--conf", "0.05", "--out", f"{images}_{name}.json")
    for name, source in (
        ("others", "old"),
        ("api", "old"),
        ("ours", "new"),
        ("v0.2", "frames_new"),
        ("predictions", "frames_old"),
    ):
        shutil.copy(world / f"{source}.json", world / f"{name}.json")
        shutil.copy(world / f"{source}.settings.json", world / f"{name}.settings.json")
    shown = sorted(path.relative_to(world).as_posix() for path in (world / "images" / "test").rglob("*.png"))
    (world / "test.csv").write_bytes(table_bytes(("image", "group"), [(name, name.split("/")[2]) for name in shown]))
    run(
        "data",
        "sample",
        "test.csv",
        "--for",
        "recall",
        "--champion",
        "old.json",
        "--budget",
        "24",
        "--out",
        "drawn.csv",
    )
    for truth, out in (("instances_val.json", "results"), ("data.yaml", "on_val")):
        run("predict", "v0.onnx", truth, "--split", "val", "--conf", "0.05", "--out", f"{out}.json")
    run("data", "prelabel", "frames", "--predictions", "predictions.json", "--out", "to-label")
    for name in ("task_7.zip", "done.zip"):
        with ZipFile(world / name, "w") as archive:
            archive.write(world / "to-label" / "annotations.xml", "annotations.xml")
    shutil.copytree(world / "to-label", world / "cvat")
    names = sorted(path.name for path in (world / "to-label" / "images").iterdir())
    rows = "".join(f"{name},{9 + k % 5}\n" for k, name in enumerate(names))
    (world / "times.csv").write_text(f"image,seconds\n{rows}")


def _write_judgements(world: Path) -> None:
    run("judge", "frames_old.json", "frames_new.json", "--images", "frames", "--groups", GROUPS, "--out", "judging")
    draw = read_draw(world / "judging")
    right = {"missed": "0"}
    words = [Answer(one.id, right.get(one.kind, "yes" if len(one.marks) == 1 else "both"), "ann", 2.0)
             for one in draw.questions]  # fmt: skip
    (world / "answers.csv").write_bytes(answers_table(draw, words))
    run("judge", "frames_old.json", "frames_new.json", "--images", "frames", "--groups", GROUPS, "--out", "in_cvat",
        "--to", "cvat")  # fmt: skip
    task = (world / "in_cvat" / "cvat" / "annotations.xml").read_text()
    for label, word in (("fits?", "yes"), ("blue", "both"), ("missed?", "0")):
        task = re.sub(rf'(label="{re.escape(label)}".*?"answer">)open', rf"\g<1>{word}", task)
    with ZipFile(world / "judged.zip", "w") as archive:
        archive.writestr("annotations.xml", task)
    label = next((world / "labels" / "test").rglob("*.txt"))
    label.write_text("\n".join(label.read_text().splitlines()[1:]) + "\n")
    run("check", "data.yaml", "--predictions", "others.json", "--review", "review")
    review = read_review(world / "review")
    rows = [(review.hash, one.id, "yes") for one in review.items]
    (world / "reviewed.csv").write_bytes(table_bytes(("draw", "question", "answer"), rows))
    with (world / "reviewed.json").open("w") as out, contextlib.redirect_stdout(out):
        run("check", "data.yaml", "--review", "review", "--reviewed", "reviewed.csv", "--json")


def _write_log(world: Path) -> None:
    names = sorted(path.name for path in (world / "frames").iterdir())
    boxes = (LoggedBox("red", 0.5, (1.0, 2.0, 30.5, 40.25)),)
    # Three frames a day; every other day only the one in the middle shows something: a hard negative.
    rows = [LoggedImage(START + k // 3 * DAY + k % 3 * 600, "gate", name, "v0", 128, 128, 90.0,
                        ("red", "green")[k % 2], (), () if k // 3 % 2 and k % 3 != 1 else boxes)
            for k, name in enumerate(names)]  # fmt: skip
    write_many(world / "production", rows)
    write_many(world / "last-month", [replace(row, time=row.time - 30 * DAY) for row in rows])
    lines = [{"image": name, "quality": ("red", "yellow", "green")[k % 3], "model_version": "v0", "detections": []}
             for k, name in enumerate(names)]  # fmt: skip
    (world / "production.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")


def _write_studies(world: Path) -> None:
    write_tree(world / "scenes", train=24, held_out=12)
    (world / "start.yaml").write_text("nc: 2\n")
    (world / "study.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    liftgate.run(world / "study.yaml")
    (weights,) = (world / "runs" / "sizes").glob("2*_long-seed-1/results/best.pt")
    shutil.rmtree(world / "exports" / "onnx")
    write_export(world / "exports" / "onnx", Origin(Source("best.pt", file_hash(weights))))  # what `models add` takes
    (world / "examples").mkdir()
    for name in ("prices.yaml", "bccd.yaml"):
        shutil.copy(ROOT / "examples" / name, world / "examples")
    shutil.copy(ROOT / "examples" / "prices.yaml", world)
    (world / "build").mkdir()
    for file in ("build/model.engine", "yolov8n_today.pt"):
        (world / file).write_bytes(b"weights of another trainer")
    for version, weights in (("v0", "v0.onnx"), ("v0.1", "v1.onnx"), ("v0.2", "best.onnx")):
        liftgate.add_model(world / weights, version=version)
    liftgate.promote("v0", override="what runs")
    liftgate.promote("v0.2", override="to be rolled back")
