"""A whole study on the toy backend: real files, a real child process, a second or two."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from liftgate.testing.backends import write_tree
from pipeline.gated import Gate


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes study.yaml, with changes by top-level key, and returns its path."""
    write_tree(tmp_path / "scenes", train=24, held_out=12)
    (tmp_path / "start.yaml").write_text("nc: 2\n")

    def write(**changes: Any) -> Path:
        stage = {"weights": "start.yaml", "data": "scenes"}
        study: Mapping[str, Any] = {
            "study": "colours",
            "question": "Does a longer training lift it?",
            "backend": "toy",
            "datasets": {"scenes": {"path": "scenes/data.yaml", "licence": "CC0-1.0"}},
            "arms": {
                "short": [{**stage, "recipe": {"epochs": 1, "lr0": 0.0001}}],
                "long": [{**stage, "recipe": {"epochs": 6, "lr0": 0.5}}],
            },
            "gates": {
                "lift": {
                    "metric": "mAP50",
                    "treatment": "long",
                    "control": "short",
                    "on": "scenes.test",
                    "margin": 0.05,
                }
            },
            "flow": ["check", "train", "lift"],
        }
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump({**study, **changes}, sort_keys=False))
        return path

    return write


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Return the gate of trainings whose study says `backend: gated:Gated`."""
    monkeypatch.setenv("LIFTGATE_TEST_GATE", str(tmp_path / "gate"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    return Gate(tmp_path / "gate")


@pytest.fixture
def one_arm(write_study: Callable[..., Path], gate: Gate) -> Callable[..., Path]:
    """Return a function that writes a study of one gated training of six epochs, with changes by top-level key."""
    stage = {"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": 6, "lr0": 0.5}}
    claims = {"arm": "long", "on": "scenes.test", "claims": [{"metric": "mAP50", "at_least": 0.1}], "rule": "point"}

    def write(**changes: Any) -> Path:
        study = {"backend": "gated:Gated", "arms": {"long": [stage]}, "gates": {"enough": claims}}
        return write_study(**{**study, "flow": ["train", "enough"], **changes})

    return write
