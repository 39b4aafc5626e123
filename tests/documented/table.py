# ruff: noqa: E501  (commands stand in one line, as on the pages)
"""How the documentation's commands are run: what a placeholder stands for, what is smaller here, what is not run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from documented.extract import Command
from documented.world import LATER

PLACEHOLDERS: Mapping[str, str] = {
    "STUDY": "study.yaml",
    "cones/study.yaml": "study.yaml",
    "FSOCO/data.yaml": "fsoco/data.yaml",
    "RUN": "runs/detect/train",
    "https://models.example.org/predict": "URL",
    "http://127.0.0.1:8000": "URL",
    "IMAGES": "frames",
    "ID": "splits.leak_group",
    "DATA": "data.yaml",
    "FORMAT": "coco",
    "DIR": "new_folder",
    "RULE": r"^(?P<group>[^_]+)_",
    "LOG": "production",
    "A": "ann/data.yaml",
    "B": "ben.json",
    "MODEL": "model.onnx",
    "/recorder/cam1": "recorder/cam1",
    "images/": "frames/",
    "frames.csv#category": "frames.csv#group",
    "yolov8n.pt": "v0.onnx",
    "exports/openvino-int8": "exports/onnx-int8",
    "person": "red",
    "8080": "0",
    "2026-12-01": LATER,
    "DATE": LATER,
}
"""Words of the pages, and what they are in the folder of `world.build`"""

INSTEAD: Mapping[str, str] = {
    "liftgate init … --held-out deployment=DATA": "liftgate init new --template measure-first --held-out deployment=data.yaml",
    "liftgate init … --held-out car=DATA": "liftgate init new --template two-stage --held-out car=data.yaml",
    "liftgate init … --held-out winter=DATA": "liftgate init new --template runbook --held-out winter=data.yaml",
    "liftgate init … --by frames.csv#category": "liftgate init new --template measure-first --by frames.csv#group",
    "liftgate logs STUDY [-f] [--lines N]": "liftgate logs study.yaml -f --lines 3",
    "liftgate check … --page check.html": "liftgate check data.yaml --page check.html",
    "liftgate check --json": "liftgate check data.yaml --json",
    "liftgate check data.yaml --review review/ --reviewed answers.csv --json > reviewed.json": "liftgate check data.yaml --review review/ --reviewed answers.csv --json",
    "liftgate evaluate --truth data.yaml --predictions predictions.json": "liftgate evaluate --truth data.yaml --predictions on_val.json",
    "liftgate evaluate --predictions": "liftgate evaluate --truth data.yaml --split test --predictions old.json",
    "liftgate data split --groups …": "liftgate data split data.yaml --groups '^(?P<group>g.)' --out new",
    "liftgate data split frames/": "liftgate data split data.yaml --groups '^(?P<group>g.)' --out new",
    "liftgate stop STUDY --never-mind": "liftgate status study.yaml",
    "liftgate doctor RUN --predictions P --truth T": "liftgate doctor RUN --predictions on_val.json --truth data.yaml",
    "liftgate doctor RUN --truth data.yaml --predictions predictions.json": "liftgate doctor RUN --truth data.yaml --predictions on_val.json",
    "liftgate data prelabel set/data.yaml --predictions predictions.json --to cvat coco yolo --out to-label": "liftgate data prelabel set/data.yaml --predictions on_val.json --to cvat coco yolo --out to-label",
    "liftgate predict --api URL IMAGES": "liftgate predict --api URL IMAGES --out served.json",
    "liftgate plan --measure": "liftgate plan study.yaml --measure",
    "liftgate data convert person_keypoints.json --to yolo --keypoints nose left_eye … --out DIR": "liftgate data convert poses/data.yaml --to yolo --keypoints left_lamp right_lamp --out DIR",
}  # fmt: skip
"""Commands with a gap or of another folder, and one that fills it"""

SMALLER: Mapping[str, str] = {
    r"--more 300": "--more 24",
    r"--threads 4": "--threads 1",
    r"(liftgate bench ((?!--batch).)*)$": r"\1 --batch 1",
    r"(liftgate bench .*)": r"\1 --blocks 5 --seconds 0.01",
    r"--every (5|30)\b": "--every 1",
    r"--(window|newest) 60": r"--\1 2",
    r"(liftgate compare --truth data.yaml)(?! --split)": r"\1 --split test",
    r"--forecast$": "--forecast 80",
    r"category=3": "category=1",
    r"--seed 1 --name yolov8n_lbzf": "--seed 1 --name yolov8n_lbzf --version v9",
    r"\[--c eve/\]": "--c eve/",
    r"STUDY…( FOLDER…)?": "STUDY",
    r"--threats (gun,knife|gun)": "--threats red",
    r"(liftgate compare --truth data.yaml .*)--sample sample.csv": r"\1--sample drawn.csv",
    r"--json > \w+\.json": "--json",
}
"""Patterns that are made smaller, or whose brackets and dots are taken away"""


class NotRun(NamedTuple):
    """Commands that are not run here."""

    why: str
    instead: str
    """The test that does what they do"""


_DRAWN = NotRun("a minute and more: has a test of its own", "tests/demo/test_cases.py")
_TORCH = NotRun("takes torch and a checkpoint, half a minute each", "tests/services/test_exporting.py")
_STOPS = NotRun("takes a study that runs", "tests/cli/test_status.py")
_DETACHED = NotRun("leaves a process behind", "tests/cli/test_run.py")
_SHADOW = NotRun("takes a server, requests and a challenger", "tests/deploy/shadow/test_shadow.py")
NOT_RUN: Mapping[str, NotRun] = {
    r"liftgate demo": _DRAWN,
    r"liftgate export (--take|.*--on-target)": NotRun("takes a device, or 50 images", "tests/services/test_export_target.py"),
    r"liftgate export best.pt .*--prove|liftgate export best.pt --exports": NotRun(
        "takes torch and a checkpoint, half a minute each", "tests/services/test_export_proof.py"
    ),
    r"liftgate (serve --log|export --data|evaluate --threats)$": NotRun(
        "an option in a sentence", "tests/deploy/serving/test_log.py"
    ),
    r"liftgate export": _TORCH,
    r"liftgate predict best.pt": _TORCH,
    r"liftgate stop": _STOPS,
    r"liftgate run .*--detach": _DETACHED,
    r"liftgate shadow|liftgate judge shadow-v0.2": _SHADOW,
    r"liftgate data frames 'rtsp": NotRun("takes a camera", "tests/data/video_frames/test_live.py"),
    r"liftgate data (prelabel|corrections) .*--(push|pull)": NotRun("takes a CVAT server", "tests/data/prelabels/test_server.py"),
    r"liftgate models add yolov8n_today.pt": NotRun("takes a checkpoint", "tests/deploy/registry/test_registering.py"),
    r"liftgate models promote v0.1": NotRun("takes a verdict that allows it", "tests/deploy/registry/test_promotion.py"),
    r"liftgate compare .*--label-errors reviewed": NotRun("takes a review of many groups", "tests/evaluation/test_label_errors.py"),
    r"liftgate watch (?!videos)": NotRun("takes cameras", "tests/deploy/watching/test_watch.py"),
    r"liftgate evaluate .*--marks": NotRun("takes a person's marks", "tests/services/test_production_test.py"),
    r"liftgate (run|plan) .*--engine slurm": NotRun("takes Slurm", "tests/engines/test_slurm.py"),
    r"liftgate models mirror": NotRun("takes MLflow", "tests/deploy/registry/test_mirror.py"),
    r"liftgate models (sign|verify --public-key)": NotRun("takes a key and model-signing", "tests/deploy/registry/test_signing.py"),
    r"liftgate ledger (verify|show) benchmarks/": NotRun("another folder", "tests/benchmarks/test_does_it_help.py"),
    r"liftgate run examples/bccd.yaml": NotRun("takes BCCD, official weights and minutes", "tests/study/test_templates.py"),
}  # fmt: skip
"""By pattern: why not, and the test that does what they do"""

VERDICT_VERBS = ("compare", "agree", "run", "drift")
"""Their exit code is the word of a verdict, which depends on the data"""


def runnable(command: Command) -> str:
    """Return a command as it is run in the folder of `world.build`."""
    text = INSTEAD.get(command.text, command.text)
    for pattern, smaller in SMALLER.items():
        text = re.sub(pattern, smaller, text)
    return text


_MONTHS = NotRun("a loop of months, each command on what the one before wrote", "tests/services/test_months.py")


def not_run(command: Command) -> NotRun | None:
    """Return why a command is not run here; None: it is."""
    if command.page == "docs/monthly.md":
        return _MONTHS
    return next((why for pattern, why in NOT_RUN.items() if re.match(pattern, command.text)), None)
