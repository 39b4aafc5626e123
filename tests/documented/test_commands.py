"""Every command of README and documentation is run on small data, or says why not and what tests it instead."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("av")
pytest.importorskip("starlette")

from deploy.remote_predictions.model_server import ModelServer
from deploy.serving.running import running
from documented.extract import ROOT, Command, commands
from documented.table import PLACEHOLDERS, VERDICT_VERBS, not_run, runnable
from liftgate.cli import main

WALKS = ("docs/cases.md", "docs/tutorial.md")
"""Their commands in order are run by tests/test_cases.py and tests/test_tutorial.py"""
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("documented")]


def walked() -> set[str]:
    lines = "\n".join((ROOT / page).read_text("utf-8") for page in WALKS).splitlines()
    return {line.removeprefix("$ ").split("    #")[0].strip() for line in lines if line.startswith("$ liftgate ")}


def to_run() -> Iterator[Command]:
    done = walked()
    for command in commands():
        if command.text not in done and not_run(command) is None:
            done.add(command.text)
            yield command


SERVERS = ("liftgate serve", "liftgate board")
SERVED = [one for one in to_run() if re.match(r"liftgate (predict|evaluate) .*--api", one.text)]
"""They ask a server of Liftgate's own"""
COMMANDS = [one for one in to_run() if not one.text.startswith(SERVERS) and one not in SERVED]
STARTED = [one for one in to_run() if one.text.startswith(SERVERS)]


@pytest.fixture
def here(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the world, as working folder."""
    shutil.copytree(world, tmp_path / "here", symlinks=True)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_what_is_not_run_here_has_a_test_of_its_own() -> None:
    left_out = [(command, why) for command in commands() if (why := not_run(command)) is not None]
    assert left_out
    assert [f"{command}: {why.instead}" for command, why in left_out if not (ROOT / why.instead).is_file()] == []
    assert len(COMMANDS) + len(STARTED) + len(SERVED) > len({command.text for command, _ in left_out})


@pytest.fixture
def server(here: Path) -> Iterator[ModelServer]:
    found = {"predictions": [{"bbox": [1, 2, 30, 40], "confidence": 0.9, "class": "red"}]}
    made = ModelServer()
    for image in (here / "images").rglob("*.png"):
        made.knows(image, found)
    mapping = {"send": {"as": "body"}, "boxes": "predictions.*.bbox", "scores": "predictions.*.confidence",
               "classes": "predictions.*.class", "format": "xyxy", "unit": "pixels"}  # fmt: skip
    (here / "api.yaml").write_text(yaml.safe_dump(mapping))
    yield made
    made.close()


def make_words(command: Command, url: str, here: Path) -> list[str]:
    text = runnable(command)
    words = [PLACEHOLDERS.get(word, word) for word in shlex.split(text)[1:]]
    if "HASH" in words:
        main(["ledger", "show", "study.yaml", "--json"])
        words[words.index("HASH")] = hash_of(here)
    return [url if word == "URL" else word for word in words]


def hash_of(here: Path) -> str:
    from liftgate.ledger.chain import Ledger

    return Ledger(here / "runs" / "sizes" / "ledger.sqlite").head


def make_room(words: list[str], here: Path) -> None:
    """Take away what a command is about to write, and lay the predictions there that it means."""
    for option in ("--out", "--picture", "--page", "--mend"):
        if option in words:
            target = here / words[words.index(option) + 1]
            shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
    if "--review" in words and "--reviewed" not in words:
        shutil.rmtree(here / "review")
    if "--reviewed" in words:
        shutil.copy(here / "reviewed.csv", here / "answers.csv")
    if words[0] == "judge" or "--judgements" in words or words[:3] == ["data", "sample", "frames/"]:
        kind = "in_folders" if "folder" in words else "frames"
        for name in ("old", "new"):
            for end in (".json", ".settings.json"):
                shutil.copy(here / f"{kind}_{name}{end}", here / f"{name}{end}")
        if "folder" in words:
            shutil.rmtree(here / "frames")
            (here / "in_folders").rename(here / "frames")


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_it_runs_as_it_stands(
    command: Command,
    here: Path,
    server: ModelServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MODEL_KEY", "a-key")
    words = make_words(command, server.url, here)
    make_room(words, here)
    capsys.readouterr()
    code = main(words)
    allowed = command.codes | ({0, 10, 11} if set(words[:2]) & set(VERDICT_VERBS) else set())
    streams = capsys.readouterr()
    assert code in allowed, f"{' '.join(words)}: exit {code}\n{streams.err[-800:]}\n{streams.out[-300:]}"


@pytest.mark.parametrize("command", SERVED, ids=str)
def test_it_runs_beside_a_server(command: Command, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running() as served:
        words = make_words(command, f"http://{served.host}:{served.port}", here)
        make_room(words, here)
        code = main(words)
    assert code in command.codes, f"{' '.join(words)}: exit {code}\n{capsys.readouterr().err[-800:]}"


@pytest.mark.parametrize("command", STARTED, ids=str)
def test_it_starts_and_ends_by_ctrl_c(command: Command, here: Path) -> None:
    words = [PLACEHOLDERS.get(word, word) for word in shlex.split(runnable(command))[1:]]
    if words[0] == "serve":
        with running(*words[1:]) as served:
            assert served.ask("GET", "/health").status == 200
            assert served.stop(signal.SIGINT) in (0, 130)
        return
    command_line = [sys.executable, "-m", "liftgate", *words, "--port", "0", "--json"]
    with subprocess.Popen(command_line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "127.0.0.1" in process.stdout.readline() + process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) in (0, 130)
