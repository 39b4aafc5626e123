"""One study whose arms have different backends: trained and predicted by their own, measured by the same evaluator."""

from __future__ import annotations

import html
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liftgate import api
from liftgate.checks.run import run as run_rules
from liftgate.checks.subject import Subject
from liftgate.errors import UsageError
from liftgate.ledger import Ledger
from liftgate.ledger.records import StepEntry
from liftgate.study.study_file import load
from liftgate.study.weights import licence_note

Write = Callable[..., Path]
STAGE: dict[str, Any] = {"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": 4, "lr0": 0.5}}
ARMS = {"first": [STAGE], "other": {"backend": "second_backend:Second", "stages": [STAGE]}}
GATE = {"metric": "mAP50", "treatment": "other", "control": "first", "on": "scenes.test", "differ": ["backend"]}


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)


def test_each_arm_is_trained_and_predicted_by_its_own_backend(write_study: Write) -> None:
    path = write_study(arms=ARMS, gates={"lift": GATE})
    result = api.run(path)
    steps = Ledger(path.parent / "runs/colours/ledger.sqlite").records(StepEntry)
    used = {(one.kind, one.inputs["backend"]) for one in steps if one.kind in ("train", "predict")}
    assert used == {(kind, name) for kind in ("train", "predict") for name in ("toy", "second_backend:Second")}
    assert result.verdicts["lift"]["word"] != "PASS", "the same trainer under two names is not better than itself"


def test_an_arm_without_a_backend_has_the_studys_and_the_hash_that_it_had(write_study: Write) -> None:
    study = load(write_study())
    assert {study.backend_of(arm) for arm in study.arms} == {"toy"}
    other = load(write_study(arms={**ARMS, "other": {"stages": [STAGE]}}, gates={"lift": GATE}))
    plain = load(write_study(arms={"first": [STAGE], "other": [STAGE]}, gates={"lift": GATE}))
    assert other.content_hash() == plain.content_hash()


def test_another_backend_is_a_difference_that_a_gate_declares_with_its_recipe(write_study: Write) -> None:
    recipe = {"epochs": 6, "lr0": 0.2}
    arms = {**ARMS, "other": {**ARMS["other"], "stages": [{**STAGE, "recipe": recipe}]}}  # type: ignore[dict-item]
    for differ, said in ((["backend"], []), (["recipe"], ["backend"])):
        study = load(write_study(arms=arms, gates={"lift": {**GATE, "differ": differ}}))
        found = run_rules(Subject({}, study), select=["recipe.confounded"]).findings
        assert [row["undeclared"] for row in (one.data for one in found)] == ([said] if said else [])


def test_the_licence_of_each_arm_is_in_the_plan(write_study: Write, capsys: pytest.CaptureFixture[str]) -> None:
    weights = write_study().parent / "start.pt"
    weights.write_bytes(b"")
    arms = {
        "agpl": {"backend": "ultralytics", "weights": "start.pt"},
        "mit": {"backend": "libreyolo", "weights": "start.pt"},
        "own": {"backend": "toy", "weights": "start.pt"},
    }
    gates = {"lift": {**GATE, "treatment": "mit", "control": "agpl", "differ": []}}
    path = write_study(arms=arms, gates=gates, flow=["lift"])
    plan = api.plan(path)
    assert plan.licences == {"agpl": "AGPL-3.0", "mit": "MIT"}
    study = load(path)
    notes = [licence_note(study, arm) for arm in study.arms]
    assert notes == ["this arm's weights are AGPL-3.0", "this arm's weights are MIT", None]


def test_an_export_of_an_arm_that_cannot_is_refused_before_anything_is_trained(write_study: Write) -> None:
    path = write_study(arms=ARMS, gates={"lift": GATE}, flow=["train", "lift", "export"])
    with pytest.raises(UsageError, match="cannot export"):
        api.run(path)
    assert not list(path.parent.rglob("best.pt"))


@pytest.mark.slow
@pytest.mark.train
@pytest.mark.skipif(importlib.util.find_spec("libreyolo") is None, reason="needs the `libreyolo` extra")
@pytest.mark.skipif(importlib.util.find_spec("ultralytics") is None, reason="needs the `train` extra")
def test_ultralytics_and_libreyolo_are_compared_by_the_same_evaluator(
    write_study: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backends.tiny import RECIPE, write_model

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = write_study().parent
    write_model(folder / "tiny.yaml")
    (folder / "nano.yaml").write_text("libreyolo: yolox-n\n")
    recipe = {"epochs": 2, "batch": 4, "imgsz": 64, "lr0": 0.01, "no_aug_epochs": 1, "ema_decay": 0.5}
    arms = {
        "agpl": [{"weights": "tiny.yaml", "data": "scenes", "recipe": {**RECIPE, "epochs": 2}}],
        "mit": {"backend": "libreyolo", "stages": [{"weights": "nano.yaml", "data": "scenes", "recipe": recipe}]},
    }
    gates = {"lift": {**GATE, "treatment": "mit", "control": "agpl"}}
    path = write_study(
        backend="ultralytics", device="cpu", arms=arms, gates=gates, flow=["check", "train", "lift"],
        ignore=dict.fromkeys(("recipe.warmup", "recipe.lr_high"), "two epochs"),
    )  # fmt: skip
    result = api.run(path)
    assert result.verdicts["lift"]["word"] in ("FAIL", "MARGINAL", "PASS")
    ledger = Ledger(path.parent / "runs/colours/ledger.sqlite")
    ledger.verify()
    notes = html.unescape(api.report(path).read_text(encoding="utf-8"))
    assert "this arm's weights are MIT" in notes and "this arm's weights are AGPL-3.0" in notes
