"""From a ledger to a report: what a study's runs left, all of it and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from liftgate import api
from liftgate.ledger import Ledger
from liftgate.ledger.last_run import LastRun
from liftgate.ledger.records import StepEntry
from liftgate.ledger.workspace import Workspace
from liftgate.pipeline.datasets import StudyDatasets
from liftgate.reporting import ReportContent, render_html
from liftgate.reporting.gather import gather_report
from liftgate.reporting.missing import missing
from liftgate.study.records import Study
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
    assert [one.browser is not None for one in content.gates] == [True, False], "images of the answer alone"
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


def test_figures_beyond_the_metrics_are_those_of_the_recorded_evaluation(write_study: Callable[..., Path]) -> None:
    scenes = {"path": "scenes/data.yaml", "licence": "CC0-1.0", "groups": r"^(?P<group>[a-z]+\d\d)"}
    content, study = _content(write_study(datasets={"scenes": scenes}))
    (gate,) = content.gates
    for curve, arm in zip(gate.thresholds, gate.arms, strict=True):
        assert arm.evaluation is not None and curve.arm == arm.name
        at = curve.conf.index(0.25)
        assert curve.n_right[at] == sum(row["tp"] for row in arm.evaluation.images)
        assert curve.n_detections[at] - curve.n_right[at] == sum(row["fp"] for row in arm.evaluation.images)
        assert curve.n_objects - curve.n_right[at] == sum(row["fn"] for row in arm.evaluation.images)
        bins = gate.confidences[arm.name]
        assert sum(one.n for one in bins) == arm.evaluation.calibration["n_detections"]
    assert [one.arm for one in gate.confusions] == ["short", "long"]
    for matrix, arm in zip(gate.confusions, gate.arms, strict=True):
        found = sum(matrix.rows[k][k] for k in range(len(matrix.classes)))
        assert arm.evaluation is not None and found == sum(row["tp"] for row in arm.evaluation.images)
    assert gate.slices is not None and gate.slices.by == "group" and len(gate.slices.rows) > 1
    assert study.name == content.study


def test_what_was_deleted_is_named_and_the_rest_is_shown(write_study: Callable[..., Path]) -> None:
    path = write_study()
    api.run(path)
    folder = Workspace(load(path)).folder
    for weights in folder.rglob("best.*"):
        weights.unlink()
    short = next(folder.glob("2*_short-*"))
    for name in ("run.json", "results/results.csv"):
        (short / name).unlink()
    for name in ("predictions", "evaluations"):
        for file in (folder / name).iterdir():
            file.unlink()
    (path.parent / "scenes").rename(path.parent / "moved")
    page = api.report(path).read_text()
    assert "Missing or not finished" in page
    assert "Dataset scenes cannot be read any more" in page
    assert "The weights of short seed 0 are gone" in page
    assert "run.json and results/results.csv of short seed 0 are gone" in page
    assert "run.json and results/results.csv of long" not in page
    assert "The detections of long seed 0 on scenes.test are gone" in page
    assert "The evaluation of long seed 0 on scenes.test image by image is gone" in page
    assert re.search(r'<p class="plain">.*(Yes|No|Not settled)[^<:]*: ', page)


def test_a_run_that_was_killed_before_its_end_shows_what_it_recorded(write_study: Callable[..., Path]) -> None:
    path = write_study()
    api.run(path)
    study = load(path)
    workspace = Workspace(study)
    steps = [entry for entry in Ledger(workspace.ledger).records(StepEntry) if entry.kind != "gate"]
    lines = list(missing(workspace, Ledger(workspace.ledger), LastRun(None, tuple(steps)), {}))
    assert lines == ["No run has come to its end: it was killed, or is still going. What it had recorded is shown."]


def test_a_gate_that_answers_and_was_skipped_leaves_no_answer(write_study: Callable[..., Path]) -> None:
    gates = {
        "enough": {"arm": "long", "on": "scenes.test", "claims": [{"metric": "mAP50", "at_least": 0.0001}]},
        "lift": {"metric": "mAP50", "treatment": "long", "control": "short", "on": "scenes.test"},
    }
    flow = ["train", "enough", {"step": "lift", "when": {"long": ["STOPPED"]}}]
    content, _ = _content(write_study(gates=gates, flow=flow, answer="lift"))
    assert [gate.gate.name for gate in content.gates] == ["enough"]
    assert content.unanswered.startswith("the gate that answers it, lift, was skipped")
    page = render_html(content)
    assert "No answer yet: the gate that answers it, lift, was skipped" in page
    assert "<title>colours</title>" in page


def test_a_gate_that_made_the_answering_one_superfluous_answers_in_its_place(write_study: Callable[..., Path]) -> None:
    gates = {
        "enough": {"arm": "long", "on": "scenes.test", "claims": [{"metric": "mAP50", "at_least": 0.0001}]},
        "lift": {"metric": "mAP50", "treatment": "long", "control": "short", "on": "scenes.test"},
    }
    flow = ["train", "enough", {"step": "lift", "when": {"enough": ["FAIL"]}}]
    content, _ = _content(write_study(gates=gates, flow=flow, answer="lift"))
    assert content.gates[0].gate.name == "enough" and content.unanswered == ""


def _content(path: Path) -> tuple[ReportContent, Study]:
    api.run(path)
    study = load(path)
    workspace = Workspace(study)
    datasets = StudyDatasets(study, workspace).all()
    return gather_report(study, workspace, Ledger(workspace.ledger), datasets), study
