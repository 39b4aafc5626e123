"""The LibreYOLO backend: keeps the contract, exact across kills, and errors where LibreYOLO goes on without a word."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from liftgate.backends.base import Paused, PredictJob, TrainJob
from liftgate.backends.events import EpochReport, Event, StartedEvent
from liftgate.backends.recipe_arguments import known_arguments
from liftgate.errors import TrainingError, UsageError
from liftgate.testing.backends import BackendContract, write_tree
from liftgate.training import launch

# Looked for, not imported: it brings torch into this process.
_ABSENT = importlib.util.find_spec("libreyolo") is None or importlib.util.find_spec("torch") is None
pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(_ABSENT, reason="needs the `libreyolo` extra"),
    pytest.mark.skipif("LIFTGATE_LIBREYOLO" not in os.environ, reason="a job of its own: minutes of training"),
]

RECIPE = {"epochs": 3, "batch": 4, "imgsz": 64, "lr0": 0.01, "warmup_epochs": 0, "no_aug_epochs": 1, "ema_decay": 0.5}


def describe_model(folder: Path, name: str) -> str:
    """Write the description of a model to train from scratch."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(f"libreyolo: {name}\n")
    return str(path)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tensors: more threads only wait for each other."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.slow
@pytest.mark.promise
class TestYOLOXKeepsTheContract(BackendContract):
    backend = "libreyolo"
    recipe: ClassVar = RECIPE
    settings: ClassVar = {"imgsz": 64, "conf": 1e-6}  # after 3 epochs from scratch every score is low

    def weights(self, tree: Path) -> str:
        return describe_model(tree.parent, "yolox-n")


def _job(folder: Path, model: str = "yolox-n", **recipe: Any) -> TrainJob:
    tree = folder / "tree" / "data.yaml"
    if not tree.exists():
        write_tree(tree.parent, train=8, held_out=4)
    weights = describe_model(folder, model)
    return TrainJob(weights, tree, {**RECIPE, **recipe}, 0, "detect", folder / "results", "cpu")


class _Killed(Exception):
    """Raised to end the child at once, in the middle of an epoch."""


def _train(job: TrainJob, on_event: Any = lambda event: None, stop: Any = launch.never) -> launch.TrainOutcome:
    return launch.train(job, backend="libreyolo", folder=job.out.parent, on_event=on_event, stop=stop)


@pytest.mark.slow
@pytest.mark.promise
def test_a_killed_training_goes_on_to_the_same_bits_with_augmentation_on(tmp_path: Path) -> None:
    whole = _train(_job(tmp_path / "whole"))
    job, events = _job(tmp_path / "killed"), list[Event]()
    shutil.rmtree(job.data.parent)
    shutil.copytree(tmp_path / "whole" / "tree", job.data.parent)

    def kill_after_the_second() -> bool:
        if any(isinstance(event, EpochReport) and event.epoch == 2 for event in events):
            raise _Killed
        return False

    with pytest.raises(_Killed):
        _train(job, events.append, kill_after_the_second)
    again = _train(job, events.append)
    begun = [event.resumed_after for event in events if isinstance(event, StartedEvent)]
    assert begun[0] == 0 and begun[-1] >= 2
    assert [event.epoch for event in events if isinstance(event, EpochReport)] == [1, 2, 3]
    assert _tensors(again.last) == _tensors(whole.last)
    assert again.facts["exact_resume"]


def _tensors(path: Path) -> dict[str, bytes]:
    """Return the weights of a checkpoint, read in a process of its own: torch stays out of this one."""
    script = (
        "import json, sys, torch, hashlib; state = torch.load(sys.argv[1], weights_only=True)['model']; "
        "print(json.dumps({k: hashlib.sha256(v.numpy().tobytes()).hexdigest() for k, v in state.items()}))"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    found: dict[str, bytes] = json.loads(ran.stdout)
    return found


@pytest.mark.slow
def test_a_transformer_trains_resumes_and_predicts(tmp_path: Path) -> None:
    """D-FINE at the smallest size that holds its 300 queries: an epoch, a pause, another, and predictions."""
    job, events = _job(tmp_path, "dfine-n", imgsz=256, epochs=3, lr0=0.0002, batch=2), list[Event]()
    with pytest.raises(Paused):
        _train(job, events.append, lambda: any(isinstance(event, EpochReport) for event in events))
    outcome = _train(job, events.append)
    assert [event.epoch for event in events if isinstance(event, EpochReport)] == [1, 2, 3]
    assert [event.resumed_after for event in events if isinstance(event, StartedEvent)][1] in (1, 2)
    out = tmp_path / "test.json"
    predict = PredictJob(str(outcome.best), job.data, "test", "detect", out, {"imgsz": 256}, "cpu")
    used = launch.predict(predict, backend="libreyolo", folder=tmp_path, on_event=events.append)
    assert used["model"] == "dfine-n" and used["n_images"] == 4


def test_a_transformer_on_images_with_fewer_cells_than_queries_fails_as_check_says(tmp_path: Path) -> None:
    """What `recipe.queries` is about: one size less than the smallest that the test above trains at."""
    with pytest.raises(TrainingError, match="out of range"):
        _train(_job(tmp_path, "dfine-n", imgsz=224, epochs=3, lr0=0.0002, batch=2))


def test_what_another_trainer_wrote_is_refused_by_name(tmp_path: Path) -> None:
    job = _job(tmp_path)
    (tmp_path / "other.pt").write_bytes(b"no checkpoint")
    for weights, said in (("other.pt", "cannot be loaded"), ("nothing.pt", "no such weights")):
        with pytest.raises(UsageError, match=said):
            _train(replace(job, weights=str(tmp_path / weights), out=tmp_path / weights.partition(".")[0] / "results"))


def test_a_metric_or_family_or_task_that_it_does_not_have_is_refused(tmp_path: Path) -> None:
    job = _job(tmp_path)
    for number, (changes, said) in enumerate(
        (
            ({"select": "pose_mAP50"}, "no such metric"),
            ({"weights": describe_model(tmp_path, "rtmdet-s")}, "family"),
            ({"task": "pose"}, "boxes only"),
        )
    ):
        with pytest.raises(UsageError, match=said):
            _train(replace(job, out=tmp_path / str(number) / "results", **changes))  # type: ignore[arg-type]


def test_the_arguments_of_a_recipe_are_read_without_importing_it() -> None:
    known = known_arguments("libreyolo")
    assert {"epochs", "batch", "imgsz", "lr0", "no_aug_epochs", "mosaic_prob"} <= known
    assert not {"distill_model", "classes", "num_classes"} & known
