"""Named pipes, devices and the whole disk, where a file or a folder is expected: an answer at once, never a wait."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from checks.small_set import SmallSet
from liftgate import api
from liftgate.checks.run import run
from liftgate.cli import main
from liftgate.errors import DataError
from liftgate.files import write_text


class Waited(BaseException):
    """Nobody writes to the pipe: whoever opens it waits for ever. (Not an Exception: main would report it.)"""


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    def give_up(number: int, frame: FrameType | None) -> None:
        raise Waited

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)  # a wait for ever is told from a slow machine
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("verb", ["check", "plan", "run", "report", "status"])
@pytest.mark.parametrize("name", ["study.yaml", "data.yaml"])
def test_a_pipe_for_a_study_is_refused(verb: str, name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / name)
    assert main([verb, str(tmp_path / name)]) in (1, 2)
    assert "pipe" in capfd.readouterr().err


@pytest.mark.parametrize("suffix", [".yaml", ".json", ".xml", ".zip", ".jsonl", ""])
def test_a_pipe_for_a_data_set_is_refused(suffix: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / f"d{suffix}")
    assert main(["check", str(tmp_path / f"d{suffix}")]) == 2
    assert "pipe" in capfd.readouterr().err


@pytest.mark.parametrize("key", ["path", "train", "val"])
@pytest.mark.parametrize("value", ["pipe", "/", "/dev", "/dev/zero", "/dev/tty"])
def test_no_images_come_from_a_pipe_a_device_or_the_whole_disk(key: str, value: str, small: SmallSet) -> None:
    os.mkfifo(small.root / "pipe")
    small.keys(**{key: str(small.root / "pipe") if value == "pipe" else value})
    found = run(small.subject(), select=["data"]).findings
    assert "data.path" in {finding.id for finding in found} or (key, value) == ("path", "/")


def test_pipes_among_images_and_labels_are_no_images_and_no_labels(small: SmallSet) -> None:
    small.label().unlink()
    os.mkfifo(small.label())
    os.mkfifo(small.image(number=90))
    os.mkfifo(small.label(number=91))
    found = {finding.id for finding in run(small.subject(), select=["labels", "images"]).findings}
    assert {"labels.missing", "images.unreadable"} <= found


def test_pipes_for_weights_groups_and_splits(small: SmallSet, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("w.pt", "groups.csv"):
        os.mkfifo(small.root / name)
    found = run(small.subject(weights="w.pt"), select=["weights"]).findings
    assert {finding.id for finding in found} == {"weights.missing"}
    assert main(["check", str(small.yaml), "--groups", str(small.root / "groups.csv")]) == 2
    assert "pipe" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["p.json", "p.csv", "p.jsonl", "w.pt", "run"])
def test_no_verb_opens_a_pipe_or_replaces_a_device(
    name: str, small: SmallSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / name)
    data = str(small.root / "data.yaml")
    reading = [
        ["evaluate", "--truth", data, "--predictions", name],
        ["compare", "--truth", data, "--control", name, "--treatment", name],
        ["evaluate", "--truth", name, "--predictions", name],
        ["doctor", name],
        ["predict", name, str(small.root / "images"), "--out", "o.json"],
        ["export", name, "--out", "exported"],
        ["data", "sample", str(small.root / "images"), "--budget", "1", "--out", "s.csv", "--champion", name],
        ["data", "stats", data, "--out", "/dev/null"],
        ["check", data, "--groups", name],
        ["cost", data, "--prices", name],
    ]
    for command in reading:
        assert main(command) == 2, command
        assert "a device, a pipe or a socket" in capfd.readouterr().err, command


def test_predictions_of_a_pipe_are_refused_by_the_function_too(small: SmallSet, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.json")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        api.evaluate(small.root / "data.yaml", tmp_path / "p.json")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        write_text(Path("/dev/null"), "it would be a file now")
