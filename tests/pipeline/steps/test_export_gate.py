"""A gate about exports: each format and precision has to be equal to the weights that it was made from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import liftgate
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.deploy.export.agreement import compare_detections
from liftgate.deploy.export.proof import ExportProof, ProofSpec, prove
from liftgate.deploy.export.symptoms import Symptom
from liftgate.errors import StudyError
from liftgate.hashing import file_hash
from liftgate.ledger.chain import Ledger
from liftgate.ledger.last_run import read_runs
from liftgate.ledger.results import ExportedFile, GateResult
from liftgate.pipeline.steps.export_gate import judge_exports
from liftgate.reporting.content import LineageNode
from liftgate.reporting.lineage import verdict_lineage
from liftgate.study.answer import answer_of
from liftgate.study.records import FlowStep, Gate, Study
from liftgate.study.study_file import load
from liftgate.testing import data as factory

GATE = Gate(
    "same", "set.test", metric="mAP50-95", arm="ready", margin=0.05, claim="equal", formats=("onnx",),
    precisions=("fp32", "int8"),
)  # fmt: skip


def study_text(data: Path, checkpoint: Path, gate: str, flow: str = "[same]", more: str = "") -> str:
    return f"""
study: deliver
question: Does the exported model find what the weights find?
task: detect
datasets: {{set: {{path: {data}, groups: '^(?P<group>g[0-9]+)_'}}}}
arms: {{ready: {{weights: {checkpoint}}}}}
gates: {{same: {gate}}}
flow: {flow}
device: cpu
{more}
"""


def near(truth: Dataset, seed: int) -> Predictions:
    """Return detections of every object whose boxes are a little off."""
    labels = truth.labels
    sides = np.tile(labels.boxes[:, 2:] - labels.boxes[:, :2], 2)
    noise = 0.04 * np.random.default_rng(seed).normal(size=labels.boxes.shape)
    return Predictions(
        images=tuple(image.id for image in truth.images),
        classes=truth.classes,
        image=labels.image,
        cls=labels.cls,
        boxes=labels.boxes + noise * sides,
        scores=np.linspace(0.9, 0.5, len(labels)),
        settings={"imgsz": 640},
    )


# The verdict


def proofs() -> tuple[list[ExportProof], Dataset]:
    truth = factory.dataset(48, n_groups=12)
    found = near(truth, 1)
    return [prove("onnx-fp32", truth, found, found, ProofSpec(margin=0.05))], truth


def test_the_worst_export_decides_and_each_is_in_the_sentence() -> None:
    made, truth = proofs()
    agreement = compare_detections(near(truth, 1), near(truth, 2), 0.25)
    broken = ExportProof(
        "onnx-int8", "FAIL", "broken (boxes.lost): dead", 20, 12, (Symptom("boxes.lost", "dead"),), agreement
    )
    verdict = judge_exports(GATE, [*made, broken], [(), ()], truth)
    assert verdict.word == "FAIL"
    assert "onnx-fp32 PASS" in verdict.sentence and "onnx-int8 FAIL, broken (boxes.lost)" in verdict.sentence
    result = GateResult.from_body(verdict.to_dict())
    assert [(one.export, one.word) for one in result.exports] == [("onnx-fp32", "PASS"), ("onnx-int8", "FAIL")]
    assert result.exports[1].symptoms == ("boxes.lost",)
    assert [one.metric for one in result.claims] == ["mAP50-95, onnx-fp32 − weights"], "a broken export has no number"
    assert (result.claims[0].word, result.claims[0].side, result.claims[0].threshold) == ("PASS", "within ±", 0.05)
    assert json.loads(json.dumps(verdict.to_dict(), allow_nan=False))


def test_a_verdict_that_is_not_settled_says_how_many_images_would() -> None:
    truth = factory.dataset(48, n_groups=12)
    first, second = (near(truth, seed) for seed in (1, 2))
    proof = prove("onnx-int8", truth, first, second, ProofSpec(margin=0.02))
    verdict = judge_exports(GATE, [proof], [(ExportedFile("a.json", "0" * 64),)], truth)
    (claim,) = GateResult.from_body(verdict.to_dict()).claims
    assert verdict.word == "MARGINAL", verdict.sentence
    assert claim.groups_needed is not None and claim.images_needed == 4 * claim.groups_needed
    assert any("would settle" in caveat for caveat in verdict.caveats)


def test_that_a_file_equals_its_weights_is_never_the_whole_answer() -> None:
    lift = Gate("lift", "set.test", metric="mAP50", treatment="b", control="a")
    flow = tuple(map(FlowStep, ("train", "lift", "export", "same")))
    study = Study("s", "?", "detect", (), (), (lift, GATE), flow)
    answer = answer_of(study, {"lift": "FAIL", "same": "PASS"})
    assert answer is not None and (answer.word, answer.gate) == ("FAIL", "lift")
    worse = answer_of(study, {"lift": "PASS", "same": "MARGINAL"})
    assert worse is not None and (worse.word, worse.gate) == ("MARGINAL", "same")


# The keys


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("{arm: ready, on: set.test, formats: [onnx]}", "margin above 0"),
        ("{arm: ready, on: set.test, formats: [onx], margin: 0.01}", "onx"),
        ("{arm: ready, on: set.test, formats: onnx, precisions: [int4], margin: 0.01}", "int4"),
        ("{on: set.test, formats: onnx, margin: 0.01}", "`arm` is missing"),
        ("{arm: ready, on: set.test, precisions: int8, margin: 0.01}", "precisions are of `formats`"),
        ("{arm: ready, on: set.test, formats: onnx, margin: 0.01, metric: mAP50}", "`metric` has no meaning"),
        ("{arm: ready, on: set.test, formats: onnx, margin: 0.01, rule: point}", "margin above 0"),
        ("{arm: nobody, on: set.test, formats: onnx, margin: 0.01}", "nobody"),
    ],
)
def test_a_gate_about_exports_that_makes_no_sense_is_an_error_of_the_study(
    tmp_path: Path, gate: str, message: str
) -> None:
    (tmp_path / "study.yaml").write_text(study_text(tmp_path / "data.yaml", tmp_path / "any.pt", gate))
    with pytest.raises(StudyError, match=message):
        load(tmp_path / "study.yaml")


def test_formats_and_precisions_are_part_of_what_is_hashed_before(tmp_path: Path) -> None:
    hashes = set()
    for number, gate in enumerate(("formats: onnx", "formats: onnx, precisions: [int8]", "formats: [onnx, openvino]")):
        path = tmp_path / f"{number}.yaml"
        path.write_text(
            study_text(tmp_path / "d.yaml", tmp_path / "a.pt", f"{{arm: ready, on: set.test, margin: 0.01, {gate}}}")
        )
        (read,) = load(path).gates
        assert (read.claim, read.metric) == ("equal", "mAP50-95")
        hashes.add(read.content_hash())
    assert len(hashes) == 3


# The whole way


@pytest.mark.slow
@pytest.mark.train
@pytest.mark.xdist_group("exports")
def test_a_study_proves_its_exports_and_knows_the_verdict_again(tmp_path: Path) -> None:
    pytest.importorskip("ultralytics")
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from deploy.tiny_checkpoint import write_checkpoint

    checkpoint = write_checkpoint(tmp_path / "tiny")
    data = found_as_truth(tmp_path / "set", checkpoint)
    path = tmp_path / "study.yaml"
    gate = "{arm: ready, on: set.test, formats: onnx, margin: 0.01}"
    path.write_text(study_text(data, checkpoint, gate, "[export, same]"))
    done = liftgate.run(path)
    result = GateResult.from_body(done.verdicts["same"])
    assert (result.word, done.exit_code) == ("PASS", 0), result.sentence
    (row,) = result.exports
    assert row.export == "onnx-fp32" and row.agreement["identical"]
    stored = [tmp_path / "runs/deliver" / one.path for one in row.predictions]
    assert len(stored) == 2 and all(one.is_file() for one in stored)
    assert len(list((tmp_path / "runs/deliver/exports").iterdir())) == 1, "the flow's export is the gate's"
    text = done.report.read_text(encoding="utf-8")
    assert "onnx-fp32 − weights" in text.replace("<wbr>", "") and "within ±" in text
    ways = list(nodes(lineage_of(tmp_path / "runs/deliver", "same")))
    assert {row.sha256 for row in result.exports[0].predictions} <= {
        way.hash for way in ways if way.kind == "predictions"
    }
    assert file_hash(checkpoint) in {way.hash for way in ways if way.kind == "weights"}, "back to the weights"
    assert {line.state for line in liftgate.plan(path)} == {"cached"}
    stored[1].unlink()
    assert [line.step for line in liftgate.plan(path) if line.state == "run"] == ["same"]


def lineage_of(runs: Path, gate: str) -> LineageNode:
    run = read_runs(Ledger(runs / "ledger.sqlite"))[-1]
    step = run.gate(gate)
    assert step is not None
    return verdict_lineage(step, run)


def nodes(one: LineageNode) -> Iterator[LineageNode]:
    yield one
    for below in one.made_from:
        yield from nodes(below)


def found_as_truth(folder: Path, checkpoint: Path) -> Path:
    """Write images of noise whose objects are what the checkpoint finds in them, in 8 groups."""
    names = {f"test/g{number % 8}_{number}.png": None for number in range(24)}
    data = factory.yolo_folder(folder, names, size=(96, 80))
    found = liftgate.predict(checkpoint, folder / "images", conf=0.4, imgsz=64).predictions
    assert len(set(found.image.tolist())) >= 12, "the checkpoint finds something"
    for index, image in enumerate(found.images):
        rows = found.image == index
        boxes = found.boxes[rows]
        centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        table = np.column_stack([found.cls[rows], centres / (96, 80), sizes / (96, 80)])
        label = folder / "labels" / "test" / (Path(image).stem + ".txt")
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("".join(" ".join(f"{value:.6g}" for value in row) + "\n" for row in table))
    return data
