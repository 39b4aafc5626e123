"""Off-the-shelf models are measured at the size that they were trained for too, and every figure names its size."""

from __future__ import annotations

import csv
import html
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from liftgate import api
from liftgate.checks.run import run
from liftgate.checks.subject import Subject
from liftgate.ledger import Ledger
from liftgate.ledger.records import LockboxEntry
from liftgate.pipeline.notice import Notice
from liftgate.study.records import Arm, DatasetSpec, Gate, Stage, Study

Write = Callable[..., Path]
STAGE = {"weights": "start.yaml", "data": "scenes"}
LIFT = {"metric": "recall", "treatment": "tuned", "control": "shelf", "on": "scenes.test", "differ": ["stages"]}


@pytest.fixture
def sized(write_study: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that writes a study of a shelf model against one trained at 160 pixels."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
    first = write_study(arms={"long": [{**STAGE, "recipe": {"epochs": 6, "lr0": 0.5}}]}, gates={}, flow=["train"])
    api.run(first)
    best = next(tmp_path.glob("runs/colours/**/best.pt"))
    shutil.copy(best, tmp_path / "shelf.pt")

    def write(shelf: Mapping[str, Any], **changes: Any) -> Path:
        tuned = [{**STAGE, "recipe": {"epochs": 6, "lr0": 0.5, "imgsz": 160}}]
        study = {"study": "sizes", "backend": "sized:Sized", "arms": {"shelf": shelf, "tuned": tuned}}
        study |= {"datasets": {"scenes": {"path": "scenes/data.yaml", "lock": ["test"]}}}
        return write_study(**{**study, "gates": {"lift": LIFT}, "flow": ["baseline", "train", "lift"], **changes})

    return write


def test_the_better_of_two_sizes_is_the_control(sized: Callable[..., Path], tmp_path: Path) -> None:
    target = {"arm": "tuned", "on": "scenes.test", "claims": [{"metric": "recall", "at_least": 0.2}]}
    flow = ["baseline", "train", "lift", "target"]
    study = sized({"weights": "shelf.pt"}, gates={"lift": LIFT, "target": target}, flow=flow)
    notices: list[Notice] = []
    result = api.run(study, notify=notices.append)
    warned = [one.body["message"] for one in notices if one.body.get("kind") == "warning"]
    assert any("the gate `target` asks for nothing new: `shelf` reaches it" in one for one in warned)
    verdict = result.verdicts["lift"]
    control, treatment = verdict["evidence"][0]["measured_at"]
    assert (control["imgsz"], treatment["imgsz"]) == (640, 160)
    values = dict(control["better_of"])
    assert values[640] > values[160] and verdict["comparison"]["control"] == values[640]
    assert "image size shelf 640, the better of" in verdict["sentence"] and "; tuned 160, " in verdict["sentence"]
    assert "confidence 0.25, IoU 0.5 (detections kept from confidence 0.001, NMS IoU 0.7)" in verdict["sentence"]
    assert not [line for line in verdict["comparison"]["differences"] if line.startswith("imgsz")]
    assert verdict["sentence"].partition(": ")[2] in " ".join(html.unescape(result.report.read_text()).split())
    ledger = Ledger(tmp_path / "runs/sizes/ledger.sqlite")
    assert [one.purpose for one in ledger.records(LockboxEntry)] == ["lift", "target"], "two sizes are one look"

    folder = tmp_path / "runs/sizes/report"
    row = next(csv.DictReader((folder / "verdicts.csv").read_text().splitlines()))
    assert (row["imgsz"], row["conf"], row["iou"]) == ("640 / 160", "0.25", "0.5")
    figures = csv.DictReader((folder / "lift-figures.csv").read_text().splitlines())
    recall = {one["arm"]: one for one in figures if one["metric"] == "recall"}
    assert {arm: one["imgsz"] for arm, one in recall.items()} == {"shelf": "640", "tuned": "160"}
    assert float(recall["shelf"]["value"]) == values[640]
    assert "measured at image size 640" in (folder / "report.md").read_text()

    given = sized({"weights": "shelf.pt", "imgsz": 160}, study="given")
    once = [line.step for line in api.plan(given) if line.kind == "predict"]
    assert once == ["predict shelf on scenes.test", "predict tuned seed 0 on scenes.test"]


def subject(*gates: Gate, **fields: Any) -> Subject:
    arms = (
        fields.pop("shelf", Arm("shelf", weights="yolov8n.pt")),
        Arm("tuned", (Stage("d", "y.pt", {"imgsz": 160}),)),
    )
    return Subject({}, Study("s", "?", "detect", (DatasetSpec("d", "d.yaml"),), arms, gates, (), **fields))


def test_a_model_with_a_figure_at_two_sizes_is_a_finding_unless_the_study_names_one() -> None:
    alone = Gate("enough", "d.test", arm="shelf")
    versus = Gate("lift", "d.test", metric="mAP50", treatment="tuned", control="shelf")
    (found,) = run(subject(alone, versus), select=["gate.image_sizes"]).findings
    assert "640 px by `enough`, 160 and 640 px by `lift`" in found.message
    named = Arm("shelf", weights="yolov8n.pt", imgsz=320)
    for one in (subject(alone), subject(versus), subject(alone, versus, evaluation={"imgsz": 160})):
        assert not run(one, select=["gate.image_sizes"]).findings
    assert not run(subject(alone, versus, shelf=named), select=["gate.image_sizes"]).findings
