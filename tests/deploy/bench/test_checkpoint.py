"""A checkpoint is timed by its own framework in the sealed child process, and a gate can ask for its time."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml

import liftgate
from deploy.tiny_checkpoint import write_checkpoint
from liftgate.ledger import Ledger
from liftgate.ledger.records import StepEntry
from liftgate.testing.backends import write_tree

_ABSENT = importlib.util.find_spec("ultralytics") is None
pytestmark = [pytest.mark.train, pytest.mark.skipif(_ABSENT, reason="needs the `train` extra")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("timed")
    write_checkpoint(made)
    write_tree(made / "scenes", train=4, held_out=6)
    return made


def test_a_checkpoint_is_measured_beside_others(folder: Path) -> None:
    result = liftgate.bench(folder / "tiny.pt", batches=(1, 2), blocks=1, seconds=0.05, threads=1, imgsz=64)
    (model,) = result.models
    assert model.format == "pt" and "torch" in model.runtime and model.input == "64 × 64, batch any"
    assert [one.batch for one in model.batches] == [1, 2] and model.batches[1].calls_per_request == 1
    assert model.batches[0].inference_ms > 0 and model.missing == ()


@pytest.mark.parametrize(("name", "package"), [("torchscript", "torch"), ("executorch", "executorch")])
def test_an_export_that_takes_torchs_tensors_is_measured_too(
    folder: Path, tmp_path: Path, name: str, package: str
) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"needs {package}, in an environment of its own")
    (made,) = liftgate.export(folder / "tiny.pt", tmp_path / "out", formats=[name], imgsz=64).exports
    (model,) = liftgate.bench(made.folder, batches=(1, 2), blocks=1, seconds=0.05, threads=1).models
    assert (model.format, model.input, model.missing) == (name, "64 × 64, batch 1", ())
    assert [one.calls_per_request for one in model.batches] == [1, 2] and model.batches[0].inference_ms > 0


def test_a_gate_can_ask_for_the_time_and_gets_it_with_its_interval(folder: Path) -> None:
    study = folder / "study.yaml"
    claims = [{"metric": "ms_per_image", "at_most": 60_000.0}]
    text = {
        "study": "timed",
        "question": "Is it fast enough?",
        "device": "cpu",
        "datasets": {"scenes": {"path": "scenes/data.yaml", "licence": "CC0-1.0"}},
        "arms": {"as_is": {"weights": "tiny.pt"}},
        "gates": {"fast": {"arm": "as_is", "on": "scenes.test", "claims": claims}},
        "flow": ["fast"],
        "evaluation": {"imgsz": 64},
    }
    study.write_text(yaml.safe_dump(text, sort_keys=False))
    verdict = liftgate.run(study).verdicts["fast"]
    (row,) = verdict["evidence"]
    low, high = row["interval"]
    assert (verdict["word"], row["n_groups"]) == ("PASS", 10) and 0 < low <= row["value"] <= high
    assert "blocks of time" in row["method"] and any("holds for this machine" in one for one in verdict["caveats"])
    steps = Ledger(folder / "runs/timed/ledger.sqlite").records(StepEntry)
    assert [one.kind for one in steps] == ["predict", "evaluate", "bench", "gate"]
    assert {one.state for one in liftgate.plan(study)} == {"cached"}

    text["gates"] = {"fast": {"arm": "as_is", "on": "scenes.test", "claims": [{**claims[0], "at_most": 0.001}]}}
    study.write_text(yaml.safe_dump(text, sort_keys=False))
    assert liftgate.run(study).exit_code == 10
