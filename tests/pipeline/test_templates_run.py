"""The templates of cases H, K and X, as `liftgate init` writes them, run to their verdicts on small data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from liftgate import api
from liftgate.backends.base import TrainJob
from liftgate.ledger import Ledger
from liftgate.study.templates import TemplateInputs, write
from liftgate.testing.backends import write_tree
from liftgate.training import launch

Written = Callable[..., tuple[Path, dict[str, str]]]
_SHORT = "{epochs: 4, lr0: 0.5}"
_NOT_LEARNING = "{epochs: 4, lr0: 0.000001}"


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Return a function that writes a template for the toy backend: its path and the overrides that make it small."""
    write_tree(tmp_path / "first", train=24, held_out=12)
    write_tree(tmp_path / "second", train=12, held_out=6, size=(80, 80))
    (tmp_path / "scratch.yaml").write_text("{}\n")
    job = TrainJob(
        weights=str(tmp_path / "scratch.yaml"),
        data=tmp_path / "first" / "data.yaml",
        recipe={"epochs": 1, "lr0": 0.0001},
        seed=5,
        task="detect",
        out=tmp_path / "v1" / "results",
    )
    start = launch.train(job, backend="toy", folder=tmp_path / "v1", on_event=lambda event: None).best

    def make(template: str, recipes: Mapping[str, str], **overrides: Any) -> tuple[Path, dict[str, str]]:
        filling = TemplateInputs(tmp_path / "first/data.yaml", tmp_path / "second/data.yaml", weights=str(start))
        path = write(tmp_path / template, template, filling)
        changes = {"backend": "toy", "task": "detect", "evaluation": "{imgsz: 64}"}
        changes["ignore.weights.unreadable"] = "the toy backend has weights of its own kind"
        changes |= {f"arms.{arm}.0.recipe": recipe for arm, recipe in recipes.items()}
        return path, {**changes, **{key.replace("__", "."): value for key, value in overrides.items()}}

    return make


def arms_trained(path: Path, name: str) -> list[str]:
    entries = Ledger(path.parent / "runs" / name / "ledger.sqlite").entries("run")
    return [entry.body["arm"] for entry in entries]


def improve(written: Written, recipe: str, at: str) -> tuple[Path, dict[str, str]]:
    path, changes = written("improve", dict.fromkeys(("phase1", "phase2", "smaller"), recipe))
    point = f"[{{at: 2, continue_if: mAP50 > {at}}}]"
    changes |= {f"arms.{arm}.0.decide": point for arm in ("phase1", "phase2")}
    changes |= {"arms.phase1.0.expect": "{2: [0.1, 0.2]}", "arms.smaller.0.weights": "../scratch.yaml"}
    return path, changes


def test_improve_stays_with_the_first_phase_that_helps(written: Written) -> None:
    path, changes = improve(written, _SHORT, "0.0")
    result = api.run(path, overrides=changes)
    assert {name: verdict["word"] for name, verdict in result.verdicts.items()} == {"lift1": "PASS"}
    assert arms_trained(path, "improve") == ["phase1"]


def test_improve_goes_through_all_phases_when_none_helps(written: Written) -> None:
    path, changes = improve(written, _NOT_LEARNING, "0.99")
    result = api.run(path, overrides=changes)
    assert arms_trained(path, "improve") == ["phase1", "phase2", "smaller"]
    assert list(result.verdicts) == ["lift3"]


def kill_switch(written: Written, recipes: Mapping[str, str], published: float) -> Mapping[str, Any]:
    path, changes = written("kill-switch", recipes)
    changes |= {"select": "mAP50", "arms.a.0.data.1.take": "6", "arms.b.0.data.0.take": "6"}
    for gate in ("kill", "learnable"):
        changes[f"gates.{gate}.claims.0.metric"] = "mAP50"
    for gate in ("over_v1", "synthetic"):
        changes[f"gates.{gate}.metric"] = "mAP50"
    changes["gates.kill.claims.0.at_least"] = str(published)
    return api.run(path, overrides=changes).verdicts


def test_a_gate_that_passes_is_failed_when_the_control_explains_it(written: Written) -> None:
    verdicts = kill_switch(written, {"a": _NOT_LEARNING, "b": _SHORT, "made_only": _SHORT}, published=0.0)
    assert "the control explains it" in verdicts["kill"]["sentence"]
    assert verdicts["kill"]["word"] == "FAIL"
    assert verdicts["learnable"]["word"] == "PASS"


def test_a_gate_that_passes_stands_when_the_treatment_beats_its_control(written: Written) -> None:
    recipes = {"a": _SHORT, "made_only": _SHORT, "b": _NOT_LEARNING}
    verdicts = kill_switch(written, recipes, published=0.1)
    assert verdicts["kill"]["word"] == verdicts["synthetic"]["word"] == "PASS"
    assert any("confounded" in caveat for caveat in verdicts["synthetic"]["caveats"]), "b had another recipe"


def test_the_ladder_ends_with_one_long_training(written: Written) -> None:
    arms = ("smoke", "at_640", "at_416", "long_640", "long_416")
    path, changes = written("runbook", {arm: f"{{epochs: {3 + n}, lr0: 0.5}}" for n, arm in enumerate(arms)})
    result = api.run(path, overrides={**changes, "datasets.data.ratios": "[0.5, 0.25, 0.25]"})
    longest = "long_640" if result.verdicts["size"]["word"] == "PASS" else "long_416"
    assert arms_trained(path, "runbook") == ["smoke", "at_640", "at_416", longest]
