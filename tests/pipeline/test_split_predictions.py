"""Predictions on many images, and their evaluation, are split over an engine, and nobody can tell afterwards."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liftgate import api
from liftgate.engines.local import LocalEngine
from liftgate.engines.slurm import SlurmEngine
from liftgate.ledger import Ledger
from liftgate.ledger.records import StepEntry
from pipeline.gated import Gate, wait_until
from pipeline.test_engine_runs import STAGE, SUBMITIT, bodies, timeless

Write = Callable[..., Path]
SPLIT = {"use": "local", "workers": 2, "images_per_task": 5}
"""Into three parts, as the split that the gate is decided on has twelve images"""
ONE_ARM = {
    "arms": {"long": [{**STAGE, "recipe": {"epochs": 1, "lr0": 0.5}}]},
    "gates": {"enough": {"arm": "long", "on": "scenes.test", "claims": [{"metric": "mAP50", "at_least": 0.1}]}},
    "flow": ["train", "enough"],
    "evaluation": {"batch": 2},
}
PART = "predict long seed 0 on scenes.test, part"


def submitted(monkeypatch: pytest.MonkeyPatch, kind: type[LocalEngine | SlurmEngine] = LocalEngine) -> list[str]:
    """Return the names of all tasks that an engine gets from now on."""
    names: list[str] = []
    submit = kind.submit

    def listed(self: Any, submissions: Any) -> list[str]:
        names.extend(one.name for one in submissions)
        return submit(self, submissions)

    monkeypatch.setattr(kind, "submit", listed)
    return names


def run_in(folder: Path, write: Write, engine: Any) -> tuple[Any, list[Any], dict[str, bytes]]:
    """Return the verdicts, the ledger and the prediction files of a study."""
    path = write(**ONE_ARM, engine=engine)
    verdicts = timeless(dict(api.run(path).verdicts))
    ledger = bodies(path)
    (path.parent / "runs").rename(folder)
    files = (one for kind in ("predictions", "evaluations") for one in folder.glob(f"*/{kind}/*.json"))
    return verdicts, ledger, {one.name: one.read_bytes() for one in files}


def test_a_split_prediction_has_the_bytes_and_the_ledger_of_a_whole_one(
    write_study: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_in(tmp_path / "none", write_study, None)
    assert len(whole[2]) == 3
    names = submitted(monkeypatch)
    assert run_in(tmp_path / "one", write_study, {**SPLIT, "workers": 1}) == whole
    assert not [name for name in names if "part" in name], "one worker has nobody to share with"
    assert run_in(tmp_path / "two", write_study, SPLIT) == whole
    assert [name for name in names if "part" in name] == [f"{PART} {i} of 3" for i in (1, 2, 3)]
    assert not [*(tmp_path / "two/colours/work").glob("*")], "the parts are gone"


@pytest.mark.slow
def test_submitits_executor_predicts_the_parts_too_with_the_same_bytes_and_ledger(
    write_study: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    whole = run_in(tmp_path / "none", write_study, None)
    names = submitted(monkeypatch, SlurmEngine)
    assert run_in(tmp_path / "submitit", write_study, {**SUBMITIT, "images_per_task": 6}) == whole
    assert [name for name in names if "part" in name] == [f"{PART} {i} of 2" for i in (1, 2)]


def test_a_part_that_is_lost_is_predicted_again_alone(
    write_study: Write, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("liftgate.pipeline.steps.predicting.SPLITTING", {"gated:Lost"})
    names = submitted(monkeypatch)
    api.run(write_study(**ONE_ARM, engine=SPLIT, backend="gated:Lost"))
    assert (tmp_path / "gate" / "lost").exists()
    assert sorted(name for name in names if "part" in name) == [f"{PART} {i} of 3" for i in (1, 2, 2, 3)]


def test_a_killed_driver_finds_the_parts_that_were_predicted(
    write_study: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    path = write_study(**ONE_ARM, engine=SPLIT)
    with monkeypatch.context() as patched:
        patched.setattr("liftgate.pipeline.steps.predicting.join_predictions", die)
        with pytest.raises(Killed):
            api.run(path)
    workspace = path.parent / "runs" / "colours"
    lost = next(workspace.glob("work/*/3-of-3/part.json"))
    lost.write_text("[]")
    names = submitted(monkeypatch)
    api.run(path)
    assert names == [f"{PART} 3 of 3"]
    steps = [step.name for step in Ledger(workspace / "ledger.sqlite").records(StepEntry)]
    assert len(steps) == len(set(steps)), "nothing is recorded twice"


def cmdline(process: Path) -> list[str]:
    """Return the words of a process's command; none: it is gone."""
    try:
        return (process / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []


def test_a_split_evaluation_has_the_ledger_of_a_whole_one_also_when_a_part_is_killed(
    write_study: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_in(tmp_path / "none", write_study, None)
    names, killers = submitted(monkeypatch), list[threading.Thread]()
    submit = LocalEngine.submit

    def kill(folder: str) -> None:
        process = wait_until(lambda: [one for one in Path("/proc").glob("[0-9]*") if folder in cmdline(one)], "part 1")
        os.kill(int(process[0].name), signal.SIGKILL)

    def submit_and_kill(self: Any, submissions: Any) -> list[str]:
        for one in submissions:
            if one.name.endswith("boxes, part 1 of 3") and not killers:
                (one.folder / "attempt").unlink()  # its worker waits for it, and so cannot end before it is killed
                killers.append(threading.Thread(target=kill, args=[str(one.folder)]))
                killers[0].start()
        return submit(self, submissions)

    monkeypatch.setattr(LocalEngine, "submit", submit_and_kill)
    detections = len(json.loads(next(text for name, text in whole[2].items() if name.startswith("long-test"))))
    engine = {"use": "local", "workers": 2, "detections_per_task": -(-detections // 3)}
    assert run_in(tmp_path / "parts", write_study, engine) == whole
    killers[0].join()
    parts = [name.rpartition("part ")[2] for name in names if "boxes, part" in name]
    assert parts == ["1 of 3", "2 of 3", "3 of 3", "1 of 3"]
    assert not [*(tmp_path / "parts/colours/work").glob("*")], "the parts are gone"


@pytest.mark.slow
def test_submitits_executor_matches_the_parts_of_an_evaluation_too(
    write_study: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    whole = run_in(tmp_path / "none", write_study, None)
    names = submitted(monkeypatch, SlurmEngine)
    assert run_in(tmp_path / "submitit", write_study, {**SUBMITIT, "detections_per_task": 8}) == whole
    assert len([name for name in names if "boxes, part" in name]) > 1
