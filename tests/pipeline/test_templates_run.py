"""The templates, as `liftgate init` writes them, run to their verdicts on small data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from liftgate import api
from liftgate.backends.base import TrainJob
from liftgate.errors import EXIT_CODES
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

    def make(
        template: str, recipes: Mapping[str, str], held_out: str | None = None, **overrides: Any
    ) -> tuple[Path, dict[str, str]]:
        first, second = tmp_path / "first/data.yaml", tmp_path / "second/data.yaml"
        apart: tuple[tuple[str, Path], ...] = ()
        if held_out is not None:
            apart = ((held_out, write_tree(tmp_path / held_out, train=2, held_out=10, size=(104, 64))),)
        filling = TemplateInputs(first, second, weights=str(start), cls="red", held_out=apart)
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
    changes |= {"datasets.data.ratios": "[0.4, 0.3, 0.3]", "gates.production.rule": "point"}
    return path, changes


def test_improve_stays_with_the_first_phase_that_helps(written: Written) -> None:
    path, changes = improve(written, _SHORT, "0.0")
    result = api.run(path, overrides=changes)
    words = {name: verdict["word"] for name, verdict in result.verdicts.items()}
    assert words == {"lift1": "PASS", "production": "PASS"}
    assert arms_trained(path, "improve") == ["phase1"]
    won = result.verdicts["production"]["caveats"][0]
    assert won.startswith("phase1 won") and "phase2 was not trained" in won


def test_improve_goes_through_all_phases_when_none_helps(written: Written) -> None:
    path, changes = improve(written, _NOT_LEARNING, "0.99")
    result = api.run(path, overrides=changes)
    assert arms_trained(path, "improve") == ["phase1", "phase2", "smaller"]
    assert list(result.verdicts) == ["lift3", "production"]
    assert result.verdicts["production"]["word"] == "FAIL" and result.exit_code == 10, "the model in use stays"
    assert "phase1 was stopped, phase2 was stopped" in result.verdicts["production"]["caveats"][0]


def kill_switch(written: Written, recipes: Mapping[str, str], published: float) -> Mapping[str, Any]:
    path, changes = written("kill-switch", recipes)
    changes |= {"select": "mAP50", "arms.a.0.data.1.take": "6", "arms.b.0.data.0.take": "6"}
    changes["gates.kill.claims.0.metric"] = "mAP50"
    changes["gates.learnable.claims"] = "[{metric: mAP50, at_least: 0.5}]"  # PCK is of keypoints, and the toy has none
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


def test_the_ladder_ends_with_one_long_training_judged_on_the_theme(written: Written) -> None:
    arms = ("smoke", "at_640", "at_416", "long_640", "long_416")
    recipes = {arm: f"{{epochs: {3 + n}, lr0: 0.5}}" for n, arm in enumerate(arms)}
    path, changes = written("runbook", recipes, held_out="winter")
    result = api.run(path, overrides={**changes, "datasets.data.ratios": "[0.5, 0.25, 0.25]"})
    longest = "long_640" if result.verdicts["size"]["word"] == "PASS" else "long_416"
    assert arms_trained(path, "runbook") == ["smoke", "at_640", "at_416", longest]
    assert f"{longest} won" in result.verdicts["winter"]["caveats"][0]
    assert result.exit_code == EXIT_CODES[result.verdicts["size"]["word"]], "winter does not answer the question"


def test_a_prepared_ladder_waits_for_its_verdict(written: Written) -> None:
    arms = ("smoke", "at_640", "at_416", "long_640", "long_416")
    path, changes = written("runbook", {arm: f"{{epochs: {3 + n}, lr0: 0.5}}" for n, arm in enumerate(arms)})
    prepared = api.prepare(path, overrides={**changes, "datasets.data.ratios": "[0.5, 0.25, 0.25]"})
    assert [run.step.split()[1] for run in prepared.runs] == ["smoke", "at_640", "at_416"]
    assert [step for step, _ in prepared.waiting] == ["train long_640", "train long_416"]


def measure_first(written: Written, recall: float, tuned: str) -> tuple[Path, dict[str, str]]:
    path, changes = written("measure-first", {}, held_out="deployment")
    changes["arms.tuned.stages.0.recipe"] = tuned
    changes["arms.tuned.ablate"] = "{lr0: [0.1]}"
    changes["gates.good_enough"] = (
        f"{{arm: off_the_shelf, on: sample.test, rule: point, claims: [{{metric: recall, at_least: {recall}}}]}}"
    )
    changes["gates.lift.rule"] = changes["gates.lift_deployment.rule"] = "point"
    experiments = "{step: train, arms: [tuned-lr0-0.1], when: {lift: PASS}}"
    needed = "when: {good_enough: [FAIL, MARGINAL]}"
    changes["flow"] = (
        f"[check, baseline, good_enough, {{step: train, arms: [tuned], {needed}}}, {{step: lift, {needed}}}, "
        f"{{step: lift_deployment, {needed}}}, {experiments}, {{step: settings, when: {{lift: PASS}}}}, report]"
    )
    return path, changes


def test_measure_first_trains_nothing_where_the_model_is_good_enough(written: Written) -> None:
    path, changes = measure_first(written, recall=0.0, tuned=_SHORT)
    result = api.run(path, overrides=changes)
    assert list(result.verdicts) == ["good_enough"]
    assert arms_trained(path, "measure-first") == []
    assert result.exit_code == 0, "the answer is that nothing has to be trained"


def test_measure_first_trains_judges_on_both_held_out_sets_and_then_tries_its_settings(written: Written) -> None:
    path, changes = measure_first(written, recall=1.0, tuned=_SHORT)
    result = api.run(path, overrides=changes)
    assert list(result.verdicts)[:3] == ["good_enough", "lift", "lift_deployment"]
    assert result.verdicts["lift"]["word"] == "PASS" == result.verdicts["lift_deployment"]["word"]
    assert arms_trained(path, "measure-first") == ["tuned", "tuned-lr0-0.1"]
    assert "settings-lr0-0.1" in result.verdicts
    assert result.exit_code == 0, "lift answers, whatever the settings"


def two_stage(written: Written, single: str, second: str) -> Mapping[str, Any]:
    path, changes = written("two-stage", {}, held_out="car")
    changes |= {
        "arms.single.0.recipe": single,
        "arms.two_stage.0.recipe": _SHORT,
        "arms.two_stage.1.recipe": second,
        "seeds": "[0]",
    }
    return api.run(path, overrides=changes).verdicts


def test_two_stages_that_bring_nothing_are_asked_whether_they_are_equal(written: Written) -> None:
    verdicts = two_stage(written, single="{epochs: 8, lr0: 0.5}", second="{epochs: 4, lr0: 0.05}")
    assert list(verdicts) == ["lift", "same", "lift_car"]
    assert verdicts["lift"]["word"] != "PASS"
    assert verdicts["same"]["evidence"][0]["claim"] == "equal"
    assert "Cost: single" in verdicts["same"]["sentence"], "the hours of each arm stand beside it"


def test_two_stages_that_help_are_not_asked_and_the_held_out_set_has_its_own_verdict(written: Written) -> None:
    verdicts = two_stage(written, single=_NOT_LEARNING, second=_SHORT)
    assert list(verdicts) == ["lift", "lift_car"]
    assert verdicts["lift"]["word"] == "PASS"
    assert any("forgetting on big.val" in caveat for caveat in verdicts["lift"]["caveats"])
