"""Three months of a model in production, played with the verbs that a person would use; its camera grows darker.

The trainer is the toy backend, so that it takes seconds; everything else is real: sample, pre-labels, CVAT's zip,
corrections, merge, study, registry, drift.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import liftgate
from data.production_log.rows import write_many
from liftgate.backends.base import PredictJob, TrainJob
from liftgate.cli import main
from liftgate.data.core.archive import pack
from liftgate.data.core.dataset import Labels
from liftgate.data.formats import cvat
from liftgate.data.formats.read import read
from liftgate.data.production_log.quality import QualityJudge, QualityRules
from liftgate.data.production_log.records import LoggedBox, LoggedImage
from liftgate.ledger.chain import Ledger
from liftgate.ledger.records import FlowEntry
from liftgate.study.templates import TemplateInputs, write
from liftgate.testing.backends import CLASSES, write_tree
from liftgate.training import launch

FRAMES = 36
GROUPS = r"^(?P<group>\d{4}-\d\d-\d\d|[a-z]+\d+)"
"""Days of production; images of the first set are independent"""


def month_of_frames(folder: Path, month: int) -> Path:
    """Make a month: frames of twelve days, each a group, darker with every month; return the tree with the truth."""
    write_tree(folder / "bright", train=FRAMES, held_out=1, size=(88 + 8 * month, 64))
    tree, frames, lines = folder / "truth", folder / "frames", ["image,group,camera,day"]
    for place in (tree / "images", tree / "labels", frames):
        place.mkdir(parents=True)
    for number, path in enumerate(sorted((folder / "bright" / "images").glob("train*.png"))):
        pixels = np.asarray(Image.open(path), dtype=np.float64) * (1 - 0.22 * month)
        day = f"2026-{9 + month:02d}-{1 + number // 3:02d}"
        name = f"{day}_{number:03d}"
        Image.fromarray(pixels.astype(np.uint8)).save(frames / f"{name}.png")
        shutil.copy(frames / f"{name}.png", tree / "images")
        shutil.copy(folder / "bright" / "labels" / f"{path.stem}.txt", tree / "labels" / f"{name}.txt")
        lines.append(f"{name}.png,{day},gate,{day}")
    (frames / "frames.csv").write_text("\n".join(lines) + "\n")
    document = {"path": str(tree), "train": "images", "val": "images", "names": dict(enumerate(CLASSES))}
    (tree / "data.yaml").write_text(yaml.safe_dump(document))
    return tree


def predicted(weights: Path, tree: Path, out: Path) -> Path:
    """Detect on a month's frames, as `liftgate predict` does with a checkpoint of Ultralytics."""
    raw = out.with_name("raw.json")
    job = PredictJob(str(weights), tree / "data.yaml", "train", "detect", raw, {"imgsz": 64})
    launch.predict(job, backend="toy", folder=out.parent / "prediction", on_event=lambda event: None)
    rows = [row | {"image_id": Path(str(row["image_id"])).name} for row in json.loads(raw.read_text())]
    out.write_text(json.dumps([row for row in rows if row["score"] >= 0.1]))
    return out


def production_log(folder: Path, frames: Path, predictions: Path, version: str) -> None:
    """Add a month to the log, as the server does: rows with their colour by the rules."""
    judge, rows = QualityJudge(QualityRules()), []
    found: dict[str, list[LoggedBox]] = {}
    for row in json.loads(predictions.read_text()):
        left, top, width, height = row["bbox"]
        box = LoggedBox(CLASSES[row["category_id"] - 1], row["score"], (left, top, left + width, top + height))
        found.setdefault(row["image_id"], []).append(box)
    for path in sorted(frames.glob("*.png")):
        day, _, number = path.stem.partition("_")
        time = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() + 60 * int(number)
        with Image.open(path) as image:
            brightness, (width, height) = float(np.asarray(image).mean()), image.size
        boxes = found.get(path.name, [])
        quality, reasons = judge.judge(time, "gate", brightness, boxes)
        rows.append(
            LoggedImage(time, "gate", path.name, version, width, height, brightness, quality, reasons, tuple(boxes))
        )
    write_many(folder, rows)


def corrected(picked: Path, truth: Path, predictions: Path, out: Path) -> Path:
    """Pre-label, let a person who knows the truth correct it in CVAT, and read the zip that CVAT exports."""
    out.mkdir()
    of_picked = [row for row in json.loads(predictions.read_text()) if (picked / row["image_id"]).is_file()]
    (out / "picked.json").write_text(json.dumps(of_picked))  # as `liftgate predict MODEL picked/` writes it
    words = [str(picked), "--predictions", str(out / "picked.json"), "--classes", *CLASSES, "--out", str(out / "task")]
    assert main(["data", "prelabel", *words]) == 0
    before = read(out / "task" / "annotations.xml", images=out / "task" / "images")
    rows = []
    for index, image in enumerate(before.images):
        for line in (truth / "labels" / f"{Path(image.id).stem}.txt").read_text().splitlines():
            cls, x, y, w, h = map(float, line.split())
            sides = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
            rows.append(
                (index, before.classes.index(CLASSES[int(cls)]), sides * np.tile([image.width, image.height], 2))
            )
    person = replace(before, labels=Labels.build([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows]))
    cvat.write(person, out / "cvat")
    pack(out / "corrected.zip", [("annotations.xml", out / "cvat" / "annotations.xml")])
    words = [str(out / "task"), str(out / "corrected.zip"), "--to", "yolo", "--out", str(out / "set")]
    assert main(["data", "corrections", *words]) == 0
    return out / "set" / "data.yaml"


def play(folder: Path, month: int, champion: Path, labelled: Path | None) -> tuple[int, Path]:
    """One month, from its frames to a verdict; return the exit code of `run` and the merged labels."""
    here, study, log = folder / f"month{month}", folder / "loop" / "study.yaml", folder / "log"
    truth = month_of_frames(here, month)
    predictions = predicted(champion, truth, here / "champion.json")
    production_log(log, here / "frames", predictions, f"v0.{month}")
    halves, frames = here / "halves" / "split.csv", here / "frames"
    assert main(["data", "split", str(frames), "--out", str(halves.parent), "--ratios", "0.5", "0", "0.5"]) == 0
    picks = {"doubted": ["--champion", str(log), "--never", f"{halves}:test"],
             "random": ["--share", "random=1", "--never", f"{halves}:train"]}  # fmt: skip
    sets = {}
    for name, words in picks.items():
        out = ["--budget", "14", "--out", str(here / f"{name}.csv"), "--copy", str(here / name)]
        assert main(["data", "sample", str(frames), *words, *out]) == 0
        sets[name] = corrected(here / name, truth, predictions, here / f"{name}-labels")
    merged = sets["doubted"]
    if labelled is not None:
        words = [f"before={labelled}", f"new={merged}", "--to", "yolo", "--out", str(here / "labelled")]
        assert main(["data", "merge", *words]) == 0
        merged = here / "labelled" / "data.yaml"
    first = (folder / "template.yaml").read_text()
    for path, now in (("labelled/data.yaml", merged), ("month/data.yaml", sets["random"]), ("CHAMPION", champion)):
        first = first.replace(path, str(now))
    names = {"labelled:": f"labelled{month}:", "dataset: labelled": f"dataset: labelled{month}",
             "  month:": f"  month{month}:", "month.test": f"month{month}.test"}  # fmt: skip
    for name, now in names.items():
        first = first.replace(name, now)
    study.write_text(first)  # as a person edits names and paths
    code = main(["run", str(study)])
    return code, merged


def first_version(folder: Path) -> Path:
    """Return weights that were hardly trained, on the set that is frozen from now on."""
    write_tree(folder / "frozen", train=24, held_out=12)
    (folder / "start.yaml").write_text("nc: 2\n")
    job = TrainJob(
        weights=str(folder / "start.yaml"), data=folder / "frozen" / "data.yaml", recipe={"epochs": 1, "lr0": 0.0001},
        seed=0, task="detect", out=folder / "v0" / "results",
    )  # fmt: skip
    return launch.train(job, backend="toy", folder=folder / "v0", on_event=lambda event: None).best


@pytest.mark.slow
def test_three_months_of_one_study_are_played_and_shown_beside_each_other(tmp_path: Path) -> None:
    champion = first_version(tmp_path)
    filling = TemplateInputs(data=tmp_path / "frozen" / "data.yaml", weights=str(champion), groups=GROUPS)
    study = write(tmp_path / "loop", "monthly", filling)
    text = study.read_text().replace("task: detect", "task: detect\nbackend: toy\nevaluation: {imgsz: 64}")
    text = text.replace("epochs: 50, imgsz: 640, batch: 32, optimizer: SGD, lr0: 0.001, cos_lr: true, patience: 10",
                        "epochs: 6, lr0: 0.5")  # fmt: skip
    text += "ignore:\n  weights.unreadable: the toy backend has weights of its own kind\n"
    # Twelve images of a frozen test cannot show a point; and the weights of the champion are filled in each month.
    text = text.replace("margin: -0.01", "margin: -0.25").replace(str(champion), "CHAMPION")
    (tmp_path / "template.yaml").write_text(text)
    split_before = (tmp_path / "frozen" / "test.txt").read_bytes()
    registry, labelled, codes, words, weights = tmp_path / "models", None, [], [], champion
    for month in (1, 2, 3):
        code, labelled = play(tmp_path, month, weights, labelled)
        codes.append(code)
        if month > 1:
            drift = ["drift", str(tmp_path / "log"), "--since", f"2026-{9 + month:02d}-01", "--study", str(study)]
            words.append(main(drift))
        added = liftgate.add_model(study, registry=registry)
        if code == 0:
            liftgate.promote(added.version, registry=registry)
            weights = added.weights
    page = liftgate.months(study, registry=registry)
    flows = Ledger(page.parent / "ledger.sqlite").records(FlowEntry)
    assert codes == [0, 11, 10], "promoted, then twice kept: not settled, and not better"
    assert words[0] == 3, "the second month is darker than the first"
    assert [one.version for one in liftgate.list_models(registry=registry) if one.is_champion] == ["v0"]
    text = page.read_text()
    assert text.count('<th scope="col">') == 3
    for shown in ("frozen.test", "month3.test", "labelled3", "drift in log against the days before: "):
        assert shown in text, shown
    assert str(tmp_path) not in text, "where folders lie means nothing on a page"
    assert len(flows) == 3 and len({one.study for one in flows}) == 3, "one ledger, three months"
    assert (tmp_path / "frozen" / "test.txt").read_bytes() == split_before
