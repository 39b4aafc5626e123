"""A study gives the same verdict and the same ledger on every engine, with as many workers as one likes."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liftgate import api
from liftgate.engines.base import Overview
from liftgate.errors import Refused, Stopped, TrainingError, UsageError
from liftgate.ledger import Ledger
from liftgate.pipeline.control.status_file import read_overview
from liftgate.pipeline.notice import Notice
from pipeline.gated import Gate

Write = Callable[..., Path]

STAGE = {"weights": "start.yaml", "data": "scenes"}
TWO_STAGES = [{**STAGE, "recipe": {"epochs": 3, "lr0": 0.5}}, {"data": "scenes", "recipe": {"epochs": 3, "lr0": 0.3}}]
ARMS = {"short": [{**STAGE, "recipe": {"epochs": 1, "lr0": 0.0001}}], "long": TWO_STAGES}
LOCAL = {"use": "local", "workers": 2}
SUBMITIT = {"use": "slurm", "cluster": "local"}


def timeless(value: Any) -> Any:
    """Return JSON values without what no two runs share: times and the names of folders."""
    text = re.sub(r"\d{8}T\d{6}Z_", "T_", json.dumps(value, sort_keys=True))
    text = re.sub(r"Cost: .*? Measured", "Measured", text)  # in seconds
    return json.loads(re.sub(r'"(seconds|wall_seconds|hours|gpu_hours|sha256_of_log)": [0-9.e-]+', r'"\1": 0', text))


def bodies(path: Path) -> list[Any]:
    """Return kind and body of every ledger entry, without times and names of folders."""
    entries = Ledger(path.parent / "runs" / "colours" / "ledger.sqlite").entries()
    return list(timeless([[entry.kind, dict(entry.body)] for entry in entries]))


def run_in(folder: Path, write: Write, **changes: Any) -> tuple[dict[str, Any], list[Any]]:
    path = write(arms=ARMS, seeds=[0, 1], **changes)
    result = api.run(path)
    Ledger(path.parent / "runs/colours/ledger.sqlite").verify()
    ledger = bodies(path)
    (path.parent / "runs").rename(folder)
    return timeless(dict(result.verdicts)), ledger


def test_the_verdict_and_the_ledger_are_the_same_on_every_engine(write_study: Write, tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    expected = run_in(tmp_path / "none", write_study)
    assert expected[0]["lift"]["word"] in ("PASS", "MARGINAL")
    assert run_in(tmp_path / "one", write_study, engine="local") == expected
    assert run_in(tmp_path / "two", write_study, engine=LOCAL) == expected
    assert run_in(tmp_path / "submitit", write_study, engine=SUBMITIT) == expected


def overview(path: Path) -> Overview | None:
    return read_overview(path.parent / "runs" / "colours")


def agent_pids(folder: Path) -> list[int]:
    """Return the processes beside the tasks of a study, the trainer's parents."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(b"liftgate.training.worker" in word for word in words) and any(str(folder).encode() in w for w in words):
            found.append(int((process / "stat").read_text().rpartition(")")[2].split()[1]))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("engine", [LOCAL, SUBMITIT], ids=["local", "submitit"])
def test_a_worker_that_is_killed_changes_nothing(one_arm: Write, gate: Gate, tmp_path: Path, engine: Any) -> None:
    pytest.importorskip("submitit")
    undisturbed = tmp_path / "undisturbed"
    gate.open()
    path = one_arm()
    expected = timeless(dict(api.run(path).verdicts)), bodies(path)
    (path.parent / "runs").rename(undisturbed)
    (tmp_path / "gate" / "open").unlink()
    for left in (tmp_path / "gate").glob("at-*"):
        left.unlink()

    path = one_arm(engine=engine)

    def kill() -> None:
        gate.let_pass(2)
        gate.wait_for_epoch(3)
        for pid in agent_pids(path.parent):
            os.kill(pid, signal.SIGKILL)
        gate.open()

    killer = threading.Thread(target=kill)
    killer.start()
    resumed: list[int] = []

    def notify(notice: Notice) -> None:
        if notice.body.get("kind") == "started":
            resumed.append(notice.body["resumed_after"])

    result = api.run(path, notify=notify)
    killer.join()
    assert (timeless(dict(result.verdicts)), bodies(path)) == expected
    assert resumed[0] == 0
    assert resumed[-1] >= 2


def test_a_stop_pauses_what_runs_and_cancels_what_waits_and_the_same_command_goes_on(
    one_arm: Write, gate: Gate
) -> None:
    path = one_arm(engine="local", seeds=[0, 1])
    stop = threading.Event()

    def watch() -> None:
        gate.wait_for_epoch(1)
        stop.set()
        gate.wait_until_told(to_pause=True)
        gate.let_pass(1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with pytest.raises(Stopped):
        api.run(path, should_stop=stop.is_set)
    watcher.join()
    found = overview(path)
    assert found is not None
    assert dict(found.counts) == {"paused": 2}
    states = [json.loads(record.read_text())["state"] for record in path.parent.glob("runs/colours/2*/run.json")]
    assert "finished" not in states
    gate.open()
    assert api.run(path).exit_code in (0, 10, 11)


def test_a_training_that_fails_fails_the_study_with_its_own_error(write_study: Write) -> None:
    bad = {"short": [{**STAGE, "recipe": {"epochs": 1, "lr0": 0.1}}], "long": [{**STAGE, "recipe": {"epochs": "six"}}]}
    path = write_study(arms=bad, engine=LOCAL)
    with pytest.raises((TrainingError, UsageError)) as expected:
        api.run(path, overrides={"engine": "null"})
    with pytest.raises(expected.type) as got:
        api.run(path)
    assert got.value.what == expected.value.what


def test_a_worker_with_other_versions_is_refused(write_study: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liftgate.pipeline.engine.installed_version", lambda package: "0.0.1")
    with pytest.raises(UsageError, match="the worker has another liftgate"):
        api.run(write_study(engine="local"))


def test_confidential_data_go_only_to_engines_in_declared_regions(write_study: Write) -> None:
    pytest.importorskip("submitit")
    secret = {"datasets": {"scenes": {"path": "scenes/data.yaml", "licence": "CC0-1.0", "confidential": True}}}
    cloud = {**SUBMITIT, "region": "us-east-1"}
    with pytest.raises(Refused, match="the region of the engine slurm is not given"):
        api.plan(write_study(**secret, engine=SUBMITIT))
    with pytest.raises(Refused, match="may not be in us-east-1"):
        api.run(write_study(**secret, engine=cloud))
    with pytest.raises(Refused, match="may not be in us-east-1"):
        api.plan(write_study(**secret, engine=cloud, regions=["eu-1"]))
    assert api.plan(write_study(**secret, engine=cloud, regions=["us-east-1"])).engine is not None
    assert api.plan(write_study(**secret, engine="local")).engine is not None
    assert api.plan(write_study(engine=cloud)).engine is not None


def test_a_plan_says_what_the_engine_means_and_unknown_is_not_zero(write_study: Write) -> None:
    path = write_study(engine=LOCAL, budget={"usd_per_hour": 2.0, "gpu_hours": 100.0})
    before = api.plan(path).engine
    assert before is not None
    assert (before.tasks, before.slots, before.hours, before.usd) == (4, 2, None, None)
    api.run(path)
    after = api.plan(path, overrides={"seeds": "[0, 1]"}).engine
    assert after is not None
    assert after.hours is not None
    assert after.usd == pytest.approx(2.0 * after.hours)


def test_the_engine_is_no_part_of_the_question(write_study: Write) -> None:
    path = write_study()
    api.run(path)
    assert {line.state for line in api.plan(path, engine="local")} == {"cached"}
