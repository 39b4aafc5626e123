"""From a ledger to a report: what a study's runs left, all of it and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from liftgate import api
from liftgate.ledger import Ledger
from liftgate.ledger.workspace import Workspace
from liftgate.pipeline.datasets import StudyDatasets
from liftgate.reporting.gather import gather_report
from liftgate.study.study_file import load
from pipeline.conftest import write_study as write_study


def test_a_report_has_every_seed_of_every_arm_and_stage(write_study: Callable[..., Path], tmp_path: Path) -> None:
    stage = {"data": "scenes", "recipe": {"epochs": 2, "lr0": 0.5}}
    short = [{"weights": str(tmp_path / "start.yaml"), "data": "scenes", "recipe": {"epochs": 1, "lr0": 0.0001}}]
    arms = {"short": short, "long": [{"weights": "start.yaml", **stage}, stage]}
    gates = {
        "enough": {"arm": "long", "on": "scenes.test", "claims": [{"metric": "mAP50", "at_least": 0.1}]},
        "lift": {"metric": "mAP50", "treatment": "long", "control": "short", "on": "scenes.test"},
    }
    path = write_study(seeds=[0, 4], arms=arms, gates=gates, flow=["train", "enough", "lift"])
    api.run(path)

    study = load(path)
    workspace = Workspace(study)
    ledger = Ledger(workspace.ledger)
    content = gather_report(study, workspace, ledger, StudyDatasets(study, workspace).all())

    gate = next(one for one in content.gates if one.comparison is not None)
    (enough,) = (one for one in content.gates if one.comparison is None)
    assert gate.arms[0].description.startswith("start.yaml → scenes")  # and not where this machine keeps it
    steps = [entry.body for entry in ledger.entries("step")]
    for arm in gate.arms:
        assert list(arm.by_seed) == [0, 4]
        for seed, evaluation in arm.by_seed.items():
            (step,) = (s for s in steps if s["name"] == f"evaluate {arm.name} seed {seed} on scenes.test")
            assert evaluation.metrics == step["result"]["metrics"]
    runs = [step for step in steps if step["kind"] == "train"]
    for chart in content.charts:
        assert len(chart.series) == len(runs) == 6
        assert {(line.label, line.note) for line in chart.series} == {
            (label, f"seed {seed}") for label in ("short", "long, stage 1", "long, stage 2") for seed in (0, 4)
        }
    slots = {line.label: line.slot for chart in content.charts for line in chart.series}
    assert len(set(slots.values())) == 3
    assert {line.slot for line in gate.charts[0].series} == {slots["short"], slots["long, stage 2"]}

    assert {line.slot for line in enough.charts[0].series} == {slots["long, stage 2"]}  # the same look in every chart
    assert any("one seed" in caveat for caveat in enough.verdict.caveats)  # a claim is asked of the first seed alone

    folder = workspace.folder / "report"
    assert (folder / "lift-seeds.tex").is_file() and (folder / "report.md").is_file()


def test_findings_are_those_of_the_last_run_also_when_the_study_has_other_words_since(
    write_study: Callable[..., Path],
) -> None:
    path = write_study()
    api.run(path, overrides={"question": "Asked in other words?"})
    study = load(path)
    workspace = Workspace(study)
    content = gather_report(study, workspace, Ledger(workspace.ledger), StudyDatasets(study, workspace).all())
    assert content.checked


def test_a_gate_that_was_changed_after_its_verdict_is_not_said_to_be_older_than_the_numbers(
    write_study: Callable[..., Path],
) -> None:
    path = write_study()
    said = "written and hashed before the numbers"
    assert said in api.run(path).report.read_text()
    changed = api.run(path, overrides={"gates.lift.margin": "0.01"}).report.read_text()
    assert said not in changed and "known already" in changed
    assert said in api.run(path).report.read_text()
