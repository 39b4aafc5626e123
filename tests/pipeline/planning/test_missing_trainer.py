"""Without the packages of the trainer a plan and a check say what `run` will need."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from liftgate.cli import main
from liftgate.pipeline.planning.recipes import missing_trainer
from liftgate.study.study_parser import parse

TEXT = """
study: one
question: Is it good enough as it is?
datasets: {scenes: {path: scenes/data.yaml}}
arms: {as_is: [{weights: start.yaml, data: scenes, recipe: {epochs: 1}}]}
gates: {enough: {arm: as_is, on: scenes.test, claims: [{metric: recall, at_least: 0.95}]}}
flow: [train, enough]
backend: BACKEND
"""


def test_only_a_study_of_ultralytics_needs_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    study = parse(TEXT.replace("BACKEND", "ultralytics"))
    assert missing_trainer(study) == "", "they are installed where tests run"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "needs ultralytics and torch" in missing_trainer(study) and "liftgate[train]" in missing_trainer(study)
    assert missing_trainer(parse(TEXT.replace("BACKEND", "toy"))) == ""


def test_check_finds_the_study_in_a_folder_and_says_what_a_run_would_need(
    write_study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = write_study(backend="ultralytics")
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("torch", "ultralytics") else found(name)
    )
    assert main(["check", str(study.parent), "--select", "gate,recipe", "--json"]) in (0, 3)
    said = capsys.readouterr()
    assert '"gate.vacuous"' in said.out and "pip install 'liftgate[train]'" in said.err
