"""liftgate run: detached, with a time limit, with words out of the environment, and when its terminal goes."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from liftgate import api
from liftgate.cli import main
from liftgate.cli.output import environment_overrides
from liftgate.errors import UsageError
from liftgate.pipeline.control.study_lock import holder
from pipeline.gated import Gate, wait_until
from processes import running

Write = Callable[..., Path]
LIFTGATE = [sys.executable, "-m", "liftgate"]
TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


def results(path: Path) -> Path:
    return path.parent / "runs" / "colours"


def epochs(path: Path) -> list[int]:
    (table,) = results(path).glob("*/results/results.csv")
    return [int(line.split(",")[0]) for line in table.read_text().splitlines()[1:]]


def detach(path: Path, *words: str) -> dict[str, object]:
    """Run `liftgate run --detach` in a shell of its own that ends at once."""
    command = [*LIFTGATE, "run", str(path), "--detach", "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, start_new_session=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said: dict[str, object] = json.loads(done.stdout)
    return said


def test_a_detached_run_outlives_its_shell_is_stopped_from_another_and_goes_on(one_arm: Write, gate: Gate) -> None:
    path = one_arm()
    said = detach(path)
    gate.wait_for_epoch(1)
    (status,) = api.status([path])
    assert (status.state, status.pid) == ("running", said["pid"])
    assert os.getsid(int(str(said["pid"]))) != os.getsid(0), "a session of its own"
    assert main(["run", str(path), "--detach"]) == 2, "it runs already"
    assert main(["stop", str(path)]) == 0
    gate.wait_until_told(to_pause=True)
    gate.open()
    wait_until(lambda: holder(results(path)) is None, "the end of the run")
    log = wait_until(lambda: (said := (results(path) / "run.log").read_text()).endswith("epoch\n") and said, "its log")
    assert "stopped after this epoch" in log
    detach(path, "--set", "seeds=[0]")
    wait_until(lambda: api.status([path])[0].state == "finished", "the end of the second run")
    assert epochs(path) == [1, 2, 3, 4, 5, 6]
    assert (results(path) / "run.log").read_text().startswith(log), "the log is appended to"


def test_a_study_with_mistakes_is_refused_before_it_is_detached(
    one_arm: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = one_arm()
    assert main(["run", str(path), "--detach", "--set", "surprise=1"]) == 2
    assert "surprise" in capsys.readouterr().err
    assert not results(path).exists()


def test_a_closed_terminal_pauses_like_sigterm_and_the_same_command_goes_on(one_arm: Write, gate: Gate) -> None:
    path = one_arm()
    here, there = pty.openpty()
    with running(
        [sys.executable, "-c", TAKE_TERMINAL, *LIFTGATE, "run", str(path)],
        stdin=there,
        stdout=there,
        stderr=there,
        start_new_session=True,
    ) as process:
        os.close(there)
        gate.wait_for_epoch(1)
        os.close(here)  # the terminal is gone: the kernel sends SIGHUP, and writing fails
        gate.wait_until_told(to_pause=True)
        gate.open()
        assert process.wait(60) == 12
    assert api.status([path])[0].state == "paused"
    assert api.run(path).exit_code == 0
    assert epochs(path) == [1, 2, 3, 4, 5, 6]


def test_nohup_is_respected(one_arm: Write, gate: Gate) -> None:
    path = one_arm()
    with running(
        ["nohup", *LIFTGATE, "run", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        gate.wait_for_epoch(1)
        process.send_signal(signal.SIGHUP)
        gate.open()
        assert process.wait(60) == 0


def test_words_of_the_environment_come_before_those_of_the_command_line(
    one_arm: Write, gate: Gate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = one_arm()
    monkeypatch.setenv("LIFTGATE_SET", "arms.long.0.recipe.epochs=2\n\n  seeds=[0, 1]\n")
    monkeypatch.setenv("LIFTGATE_SET_JOB", "seeds=[7]")
    assert main(["plan", str(path), "--json"]) == 0
    assert [s["step"] for s in json.loads(capsys.readouterr().out)["steps"] if s["kind"] == "train"] == [
        "train long seed 7"
    ]
    assert main(["plan", str(path), "--json", "--set", "seeds=[3]"]) == 0
    assert "train long seed 3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {}),
        ({"LIFTGATE_SETTINGS": "a=b", "LIFTGATE_TIME_LIMIT": "4h"}, {}),
        ({"LIFTGATE_SET": "a.b=c=d"}, {"a.b": "c=d"}),
        ({"LIFTGATE_SET_2": "a=2", "LIFTGATE_SET_1": "a=1", "LIFTGATE_SET": "a=0"}, {"a": "2"}),
    ],
)
def test_the_environment_is_read_in_the_order_of_names(environment: dict[str, str], expected: dict[str, str]) -> None:
    assert environment_overrides(environment) == expected


def test_a_line_without_a_value_names_its_variable() -> None:
    with pytest.raises(UsageError, match="LIFTGATE_SET_JOB needs KEY=VALUE"):
        environment_overrides({"LIFTGATE_SET_JOB": "seeds"})


def test_a_time_limit_of_the_environment_pauses_with_exit_code_12(
    one_arm: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = one_arm()
    monkeypatch.setenv("LIFTGATE_TIME_LIMIT", "2s")
    assert main(["run", str(path)]) == 12
    assert "time limit of 2 s" in capsys.readouterr().err
    monkeypatch.setenv("LIFTGATE_TIME_LIMIT", "soon")
    assert main(["run", str(path)]) == 2


def test_systemd_is_asked_to_keep_the_machine_awake_and_for_a_scope_where_the_user_lingers(
    one_arm: Write, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The programs on this PATH note how they are called and do what the real ones do last: run the command."""
    told = tmp_path / "told"
    program(tmp_path / "bin" / "loginctl", "echo yes")
    skip = 'while [ "${1#--}" != "$1" ]; do w="$1"; shift; [ "$w" = "--" ] && break; done; exec "$@"'
    for name in ("systemd-run", "systemd-inhibit"):
        program(tmp_path / "bin" / name, f'echo "{name} $*" >> {told}\n{skip}')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    gate.open()
    said = detach(one_arm())
    assert (said["scope"], said["awake"]) == (True, True)
    wait_until(lambda: api.status([tmp_path / "study.yaml"])[0].state == "finished", "the end")
    last = [line for line in told.read_text().splitlines() if " -m liftgate run " in line]
    assert last[0].startswith("systemd-run --user --scope --quiet --collect --unit=liftgate-colours-")
    assert "systemd-inhibit --what=sleep:idle --mode=block" in last[0]


def test_without_lingering_no_scope_is_made_that_would_end_with_the_login(
    one_arm: Write, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin" / "loginctl", "echo no")
    for name in ("systemd-run", "systemd-inhibit"):
        program(tmp_path / "bin" / name, "exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    gate.open()
    said = detach(one_arm())
    assert (said["scope"], said["awake"]) == (False, False)
    wait_until(lambda: api.status([tmp_path / "study.yaml"])[0].state == "finished", "the end")


def program(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
