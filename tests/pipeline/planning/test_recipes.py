"""What the trainer would refuse is refused before anything is trained, also in a flow without `check`."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liftgate import api
from liftgate.errors import UsageError
from liftgate.ledger import Ledger

Write = Callable[..., Path]


def two_phases(write_study: Write, later: dict[str, Any]) -> Path:
    first = {"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": 1}}
    flow = [{"step": "train", "arms": ["first"]}, {"step": "train", "arms": ["later"], "when": {"first": "STOPPED"}}]
    arms = {"first": [first], "later": [{**first, **later}]}
    return write_study(backend="ultralytics", arms=arms, gates={}, flow=flow)


def refused(path: Path) -> UsageError:
    with pytest.raises(UsageError) as caught:
        api.run(path)
    ledger = path.parent / "runs/colours/ledger.sqlite"
    assert not ledger.exists() or not Ledger(ledger).entries("run"), "nothing was trained"
    return caught.value


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"epohcs": 3}, "did you mean epochs?"),
        ({"lr0": -1}, "lr0: expected a number from 0 to 1, got -1"),
        ({"epochs": 0}, "epochs: expected a whole number of at least 1"),
        ({"optimizer": "SGDD"}, "expected one of SGD, MuSGD"),
    ],
)
def test_an_argument_of_a_later_phase_is_refused_at_once(write_study: Write, recipe: dict[str, Any], said: str) -> None:
    error = refused(two_phases(write_study, {"recipe": recipe}))
    assert said in f"{error} {error.hint}" and "arms.later.0.recipe" in str(error)


def test_weights_of_another_task_in_a_later_phase_are_refused_before_the_first(write_study: Write) -> None:
    path = two_phases(write_study, {"weights": "keypoints.pt"})
    with zipfile.ZipFile(path.parent / "keypoints.pt", "w") as archive:
        archive.writestr("w/data.pkl", b"\x80\x02cultralytics.nn.tasks\nPoseModel\n.")
    error = refused(path)
    assert (error.expected, error.got) == ("detect", "pose")
