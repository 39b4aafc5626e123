"""A study that was run once, and a registry beside it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import liftgate
from liftgate.testing.backends import write_tree

STUDY = {
    "study": "colours",
    "question": "Does a longer training lift it?",
    "backend": "toy",
    "datasets": {"scenes": {"path": "scenes/data.yaml", "licence": "CC-BY-4.0", "lock": ["test"]}},
    "arms": {
        "short": [{"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": 1, "lr0": 0.0001}}],
        "long": [{"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": 6, "lr0": 0.5}}],
    },
    "gates": {
        "lift": {"metric": "mAP50", "treatment": "long", "control": "short", "on": "scenes.test", "margin": 0.05}
    },
    "flow": ["train", "lift"],
}


def run_study(folder: Path, **changes: object) -> Path:
    """Write study.yaml with changes by top-level key, run it, and return its path."""
    study = folder / "study.yaml"
    study.write_text(yaml.safe_dump({**STUDY, **changes}, sort_keys=False))
    liftgate.run(study)
    return study


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a study whose answer is PASS, by the locked test split."""
    folder = tmp_path_factory.mktemp("finished")
    write_tree(folder / "scenes", train=24, held_out=12)
    (folder / "start.yaml").write_text("nc: 2\n")
    run_study(folder)
    return folder


@pytest.fixture
def study(finished: Path, tmp_path: Path) -> Path:
    """study.yaml of a copy of the finished study."""
    shutil.copytree(finished, tmp_path / "study", symlinks=True)
    return tmp_path / "study" / "study.yaml"


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def registered(study: Path, registry: Path) -> Callable[[int], Path]:
    """Return a function that registers so many versions of the arm `long` and returns the registry's folder."""

    def register(count: int) -> Path:
        for version in ("v0", "v0.1", "v0.2")[:count]:  # by its number: else the same is registered once
            liftgate.add_model(study, registry=registry, version=version)
        return registry

    return register
