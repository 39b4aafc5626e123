"""From a ledger to a report: what a study's runs left, all of it and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from liftgate import api
from liftgate.ledger import Ledger
from liftgate.ledger.workspace import Workspace
from liftgate.pipeline.materials import Materials
from liftgate.report.gather import gather
from liftgate.study.document import load
from pipeline.conftest import write_study as write_study


def test_a_report_has_every_seed_of_every_arm_and_stage(write_study: Callable[..., Path]) -> None:
    stage = {"data": "scenes", "recipe": {"epochs": 2, "lr0": 0.5}}
    short = [{"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": 1, "lr0": 0.0001}}]
    arms = {"short": short, "long": [{"weights": "start.yaml", **stage}, stage]}
    path = write_study(seeds=[0, 4], arms=arms, flow=["train", "lift"])
    api.run(path)

    study = load(path)
    workspace = Workspace(study)
    ledger = Ledger(workspace.ledger)
    content = gather(study, workspace, ledger, Materials(study, workspace).datasets())

    (gate,) = content.gates
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

    folder = workspace.folder / "report"
    assert (folder / "lift-seeds.tex").is_file() and (folder / "report.md").is_file()
