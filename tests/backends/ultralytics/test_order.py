"""Arms that are compared see the same images in the same order, whatever they differ in; another seed sees another."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

from backends.tiny import RECIPE, write_model
from liftgate.backends.base import TrainJob
from liftgate.testing.backends import write_tree
from liftgate.training import launch

_ABSENT = importlib.util.find_spec("ultralytics") is None


@pytest.mark.train
@pytest.mark.slow
@pytest.mark.skipif(_ABSENT, reason="needs the `train` extra")
def test_arms_of_one_seed_see_the_same_images_in_the_same_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=os.pathsep)
    tree = write_tree(tmp_path / "tree")
    model = write_model(tmp_path / "tiny.yaml")
    smaller = tmp_path / "smaller.yaml"
    smaller.write_text(model.read_text().replace("width_multiple: 0.125", "width_multiple: 0.0625"))

    def seen(name: str, weights: Path = model, seed: int = 0, **recipe: Any) -> str:
        out = tmp_path / name / "results"
        job = TrainJob(str(weights), tree, {**RECIPE, "epochs": 3, **recipe}, seed, "detect", out, "cpu")
        launch.train(job, backend="watched_order:Watched", folder=out.parent, on_event=lambda event: None)
        return (out / "order.txt").read_text()

    base = seen("base")
    assert len(base.splitlines()) == 3 * 4
    assert seen("augmented", mosaic=0.0, fliplr=0.5, mixup=0.5, lr0=0.001) == base
    assert seen("smaller", smaller, imgsz=96) == base
    assert seen("seed", seed=1) != base
