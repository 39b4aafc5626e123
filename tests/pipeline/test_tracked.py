"""A study's `log`: where else its epochs go, and where they may not."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from liftgate import api
from liftgate.errors import StudyError, UsageError
from training.test_tracking import _scalars

Write = Callable[..., Path]


def _runs(path: Path) -> list[Path]:
    return sorted((path.parent / "runs" / "colours").glob("2*"))


def test_every_epoch_of_every_run_is_in_its_own_tensorboard_folder(write_study: Write) -> None:
    path = write_study(log=["tensorboard"], flow=["train"])
    api.run(path)
    epochs = {run.name.partition("_")[2]: _scalars(run / "tensorboard") for run in _runs(path)}
    steps = {name: {step for tag, step in scalars if tag == "metrics/mAP50"} for name, scalars in epochs.items()}
    assert steps == {"short-seed-0": {1}, "long-seed-0": {1, 2, 3, 4, 5, 6}}


def test_where_epochs_go_does_not_make_it_another_run(write_study: Write) -> None:
    path = write_study(flow=["train"])
    api.run(path)
    again = write_study(log=["tensorboard"], flow=["train"])
    api.run(again)
    assert len(_runs(path)) == 2, "it was cached: nothing is trained to fill somebody's dashboard"


@pytest.mark.parametrize("verb", [api.plan, api.run])
def test_a_missing_package_is_said_before_anything_is_trained(
    write_study: Write, monkeypatch: pytest.MonkeyPatch, verb: Callable[[Path], object]
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "mlflow" else there(name, *a))
    path = write_study(log=["mlflow"], flow=["train"])
    with pytest.raises(UsageError, match="needs the package mlflow"):
        verb(path)
    assert _runs(path) == []


def test_numbers_about_confidential_data_do_not_go_to_another_machine(
    write_study: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = {"scenes": {"path": "scenes/data.yaml", "confidential": True}}
    with pytest.raises(StudyError, match=r"log\.1: `scenes` is confidential"):
        api.run(write_study(log=["tensorboard", "wandb"], datasets=secret))
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: object() if name == "mlflow" else there(name, *a))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracking.example")
    path = write_study(log=["mlflow"], datasets=secret, flow=["train"])
    with pytest.raises(UsageError, match="not on this machine"):
        api.run(path)
    assert _runs(path) == []
