"""Something for every verb that writes: data, a study, models, a registry, a log; and the commands on it."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import chdir
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml
from PIL import Image

import liftgate
from data.video_frames.clips import write_clip
from deploy.colours import GROUPS, write_detector, write_images
from liftgate.cli import main
from liftgate.data.core.archive import pack
from liftgate.data.production_log.records import LoggedBox, LoggedImage
from liftgate.deploy.export.card import Source
from liftgate.deploy.export.card_file import write_card
from liftgate.deploy.export.described import describe_export
from liftgate.deploy.shadow.frames import frame_name
from liftgate.deploy.shadow.pairs import Pair, PairStore, match
from liftgate.deploy.shadow.request import ShadowRequest, create_test
from liftgate.testing.backends import write_tree

GATE = {"metric": "mAP50", "treatment": "b", "control": "a", "on": "scenes.test", "margin": 0.05}
STUDY: dict[str, Any] = {
    "study": "colours",
    "question": "Does a longer training lift it?",
    "backend": "toy",
    "datasets": {
        "scenes": {"path": "scenes/data.yaml", "licence": "CC0-1.0", "ratios": [0.5, 0.2, 0.3], "lock": ["test"]}
    },
    "arms": {
        name: [{"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": n}}] for name, n in (("a", 1), ("b", 3))
    },
    "gates": {"lift": GATE},
    "flow": ["check", "train", "lift"],
}  # fmt: skip
MAPPING = "boxes: found.*.box\nscores: found.*.p\nclasses: found.*.label\n"
ANSWER = b'{"found": [{"box": [1, 1, 9, 9], "p": 0.9, "label": "red"}]}'
"""Of the API at API_URL, which whoever runs the commands has to serve"""
API_URL = "LIFTGATE_TEST_API"
"""Stands in a command for the address of the API"""
API = ["--mapping", "mapping.yaml", "--api-url", API_URL]
TEST_SET = ["set/data.yaml", "--split", "test"]
COMMANDS: dict[str, list[str]] = {
    "run": ["run", "study.yaml"],
    "run on": ["run", "done/study.yaml", "--set", "arms.b.0.recipe.epochs=4", "--set", "log=[tensorboard]"],
    "run by an engine": ["run", "done/study.yaml", "--engine", "local", "--set", "arms.b.0.recipe.epochs=5"],
    "probe": ["run", "probed.yaml"],
    "measure": ["plan", "study.yaml", "--measure"],
    "check": ["check", "scenes/data.yaml", "--page", "page.html"],
    "check a study": ["check", "study.yaml", "--fix", "fixed"],
    "fix": ["check", "scenes/data.yaml", "--fix", "fixed"],
    "review": ["check", "mislabelled/data.yaml", "--predictions", "p.json", "--review", "review"],
    "convert": ["data", "convert", "scenes/data.yaml", "--to", "coco", "--out", "coco"],
    "yolo": ["data", "convert", "scenes/data.yaml", "--to", "yolo", "--out", "yolo"],
    "voc": ["data", "convert", "scenes/data.yaml", "--to", "voc", "--out", "voc"],
    "cvat": ["data", "convert", "scenes/data.yaml", "--to", "cvat", "--out", "cvat"],
    "split": ["data", "split", "scenes/data.yaml", "--ratios", "0.5", "0.2", "0.3", "--out", "split"],
    "merge": ["data", "merge", "scenes/data.yaml", "more/data.yaml", "--accept", "same_image", "--out", "merged"],
    "mix": ["data", "mix", "scenes/data.yaml", "more/data.yaml", "--held-out", "scenes", "--accept", "same_image",
            "--out", "mixed"],
    "snapshot": ["data", "snapshot", "scenes/data.yaml", "--out", "manifest.json"],
    "sample": ["data", "sample", "scenes/images", "--budget", "4", "--out", "sample.csv", "--copy", "chosen"],
    "sample for map": ["data", "sample", "set/images", "--budget", "6", "--out", "sample.csv", "--for", "map",
                       "--groups", GROUPS, "--champion", "p.json"],
    "frames": ["data", "frames", "set/images/test", "--out", "frames"],
    "frames of a video": ["data", "frames", "clip.mkv", "--every", "0.5", "--out", "frames"],
    "agree": ["data", "agree", "--a", "scenes/data.yaml", "--b", "scenes/data.yaml", "--out", "agree.html"],
    "overlap": ["data", "agree", "--a", "scenes/data.yaml", "--overlap", "3", "--out", "overlap.csv"],
    "stats": ["data", "stats", "scenes/data.yaml", "--out", "stats.html"],
    "duplicates": ["data", "duplicates", "scenes/data.yaml", "--page", "pairs.html", "--groups-out", "groups.csv"],
    "prelabel": ["data", "prelabel", "set/images/test", "--predictions", "p.json", "--classes", "red", "green", "blue",
                 "--to", "cvat", "coco", "yolo", "--out", "task"],
    "corrections": ["data", "corrections", "task0", "task0.zip", "--to", "yolo", "--out", "corrected"],
    "zip": ["check", "task0.zip"],
    "init": ["init", "new", "--template", "two-stage"],
    "predict": ["predict", "a.onnx", "set/data.yaml", "--split", "test", "--out", "new.json"],
    "judge": ["judge", "p.json", "q.json", "--images", *TEST_SET, "--groups", GROUPS, "--out", "judging"],
    "ask": ["ask", "--truth", *TEST_SET, "--out", "asked.json", *API],
    "evaluate an API": ["evaluate", "--truth", *TEST_SET, "--out", "production", *API],
    "bench": ["bench", "a.onnx", "--images", "set/images/test", "--blocks", "5", "--seconds", "0.05", "--picture",
              "speed.svg", "--truth", *TEST_SET],
    "bundle": ["export", "exported", "--on-target", "--data", "set/data.yaml", "--groups", GROUPS, "--precisions",
               "int8", "--calibration", "32", "--out", "bundle"],
    "prove": ["export", "a.onnx", "--prove", *TEST_SET, "--groups", GROUPS, "--exports", "exported"],
    "add a file": ["models", "add", "c.onnx", "--registry", "models"],
    "add an arm": ["models", "add", "done/study.yaml", "--registry", "models", "--export", "exported"],
    "attach": ["models", "attach", "v0", "exported", "--registry", "models"],
    "promote": ["models", "promote", "v0", "--override", "--reason", "a trial", "--registry", "models"],
    "rollback": ["models", "rollback", "--registry", "models"],
    "watch": ["watch", "set/images/test", "--model", "a.onnx", "--log", "log", "--once"],
    "shadow start": ["shadow", "start", "v0", "--registry", "models", "--log", "quiet"],
    "shadow stop": ["shadow", "stop", "--log", "log"],
    "shadow report": ["shadow", "report", "--log", "log", "--out", "shadowed"],
    "drift": ["drift", "log", "--against", "log", "--study", "done/study.yaml", "--since", "2026-09-22"],
    "report": ["report", "done/study.yaml"],
    "months": ["report", "done/study.yaml", "--months", "--registry", "models"],
    "detach": ["run", "done/study.yaml", "--detach"],
}  # fmt: skip


def write_material(folder: Path) -> None:
    """Write what the commands read."""
    with chdir(folder), patch.dict(os.environ, {"XDG_STATE_HOME": str(folder / "state")}):
        _write_data(folder)
        _write_models(folder)
        _write_log(folder)


def _done() -> dict[str, Any]:
    """Return the study that has run: in a folder of its own, without a lock."""
    scenes = {**STUDY["datasets"]["scenes"], "path": "../scenes/data.yaml", "lock": []}
    arms = {name: [{**stages[0], "weights": "../start.yaml"}] for name, stages in STUDY["arms"].items()}
    return {**STUDY, "study": "done", "datasets": {"scenes": scenes}, "arms": arms}


def _write_data(folder: Path) -> None:
    for name, train, held_out in (("scenes", 12, 6), ("more", 4, 2)):
        write_tree(folder / name, train=train, held_out=held_out)
        document = yaml.safe_load((folder / name / "data.yaml").read_text())
        (folder / name / "data.yaml").write_text(yaml.safe_dump(document | {"path": "."}))
    (folder / "start.yaml").write_text("nc: 2\n")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    probed = {**STUDY, "study": "probed", "flow": ["check", "probe"]}
    (folder / "probed.yaml").write_text(yaml.safe_dump(probed, sort_keys=False))
    (folder / "mapping.yaml").write_text(MAPPING)
    (folder / "done").mkdir()
    (folder / "done" / "study.yaml").write_text(yaml.safe_dump(_done(), sort_keys=False))
    liftgate.run(folder / "done" / "study.yaml")

    write_clip(folder / "clip.mkv", 20)


def _write_models(folder: Path) -> None:
    data = write_images(folder / "set", 10, n_groups=10)
    write_images(folder / "set", 60, split="train", n_groups=10, seed=1)
    shutil.copytree(folder / "set", folder / "mislabelled")
    for labels in sorted((folder / "mislabelled" / "labels" / "test").iterdir())[:2]:  # an object without a label
        labels.write_text("".join(labels.read_text().splitlines(keepends=True)[1:]))
    for name, model, order in (("p", "a", (0, 1, 2)), ("q", "b", (1, 0, 2))):
        write_detector(folder / f"{model}.onnx", order=order, shift=0.5 if model == "b" else 0.0)
        liftgate.predict(folder / f"{model}.onnx", data, folder / f"{name}.json", split="test")
    write_detector(folder / "c.onnx", order=(2, 1, 0))
    for model in ("a", "b"):
        liftgate.add_model(folder / f"{model}.onnx", registry=folder / "models")
    for version in ("v0", "v0.1"):
        liftgate.promote(version, registry=folder / "models", override="the first, and the second")
    (folder / "exported").mkdir()
    shutil.copy(folder / "a.onnx", folder / "exported")
    card = describe_export(folder / "exported" / "a.onnx").card
    trained = liftgate.add_model(folder / "done" / "study.yaml", registry=folder / "aside")
    write_card(replace(card, weights=Source("best.pt", trained.weights_hash)), folder / "exported")
    shutil.rmtree(folder / "aside")
    words = ["set/images/test", "--predictions", "p.json", "--classes", "red", "green", "blue", "--out", "task0"]
    assert main(["data", "prelabel", *words]) == 0
    pack(folder / "task0.zip", [("annotations.xml", folder / "task0" / "annotations.xml")])


def _write_log(folder: Path) -> None:
    from data.production_log.rows import write

    boxes = (LoggedBox("red", 0.9, (1.0, 2.0, 3.5, 4.25)),)
    begun = 1_790_000_000.0
    write(folder / "log", [
        LoggedImage(begun + 300 * n, "gate", f"gate/{n}.png", "v0", 128, 128, 100.5, "green", (), boxes)
        for n in range(400)
    ])  # fmt: skip
    shutil.copytree(folder / "log", folder / "quiet")
    test = create_test(folder / "log", ShadowRequest("v0", str(folder / "models"), time.time() - 60))
    store = PairStore(test.folder)
    (test.folder / "frames").mkdir()
    for number in range(20):
        name, second = "", boxes
        if number % 3 == 0:
            picture = BytesIO()
            Image.new("RGB", (128, 128), (number, 0, 0)).save(picture, "PNG")
            name, second = frame_name(picture.getvalue()), ()
            (test.folder / "frames" / name).write_bytes(picture.getvalue())
        counts = match(boxes, second)
        store.add(
            Pair(60.0 * number, begun + 60 * number, "gate", f"{number}", "v0.1", counts, 100.0, 128, 128, name, boxes,
                 second)
        )  # fmt: skip
    store.close()
