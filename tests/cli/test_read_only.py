"""Folders that may not be written: what reads goes on, what writes ends in one error with its hint."""

from __future__ import annotations

import ctypes
import os
import pwd
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from liftgate import api
from liftgate.cli import main
from liftgate.testing.data import yolo_folder
from pipeline.conftest import write_study as write_study

READING = [
    ["status", "study.yaml"],
    ["plan", "study.yaml"],
    ["check", "study.yaml"],
    ["ledger", "verify", "study.yaml"],
    ["data", "stats", "scenes/data.yaml"],
]
WRITING = [
    ["run", "study.yaml"],
    ["report", "study.yaml"],
    ["data", "convert", "scenes/data.yaml", "--to", "coco", "--out", "coco"],
    ["models", "add", "study.yaml"],
    ["data", "snapshot", "scenes/data.yaml", "--out", "manifest.json"],
]


@pytest.fixture
def study(write_study: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a study that ran, in a folder that may not be written, and with caches and an index that may not be."""
    for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    path = write_study()
    api.run(path)
    folders = [tmp_path, *(each for each in tmp_path.rglob("*") if not each.is_symlink())]
    modes = {each: each.stat().st_mode for each in folders}
    for each, mode in modes.items():
        each.chmod(mode & ~0o222)
    yield path
    for each, mode in modes.items():
        each.chmod(mode)


def without_rights(work: Callable[[], None]) -> str:
    """Run the work in a fork without root's right to write everywhere, and return the traceback if it raised."""
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        raised = ""
        try:
            header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
            if os.geteuid() == 0 and ctypes.CDLL(None).capset(header, nothing):
                raise OSError("the rights of root cannot be given up")
            work()
        except BaseException:
            raised = traceback.format_exc()
        finally:
            os.write(write, raised.encode())
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        said = file.read()
    os.waitpid(pid, 0)
    return said


def test_what_reads_goes_on_and_what_writes_says_why_it_cannot(
    study: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = sorted(study.parent.rglob("*"))
    monkeypatch.chdir(study.parent)

    def work() -> None:
        for command in (*READING, *WRITING):
            code, err = main(command), capfd.readouterr().err
            if command in READING:
                assert code == 0, (command, err)
            else:
                assert code == 1, (command, err)
                assert "error: Permission denied" in err and "hint: this user may not use it" in err

    assert without_rights(work) == ""
    assert sorted(study.parent.rglob("*")) == before


def test_a_user_without_a_home_has_no_cache_and_no_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def nobody(uid: int) -> NoReturn:
        raise KeyError(uid)

    for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)  # as in a container, where the user has a number and no name
    data = yolo_folder(
        tmp_path / "set", {f"{split}/{n}.png": "0 .5 .5 .4 .4\n" for split in ("train", "val") for n in "ab"}
    )
    for command in (["check"], ["data", "stats"], ["data", "duplicates"]):
        assert main([*command, str(data)]) in (0, 3), capfd.readouterr().err
    weights = tmp_path / "study.yaml"
    weights.write_text(
        f"study: s\nquestion: q\ntask: detect\ndatasets: {{d: {{path: {data}}}}}\nflow: [check]\n"
        "arms: {a: [{weights: yolov8n.pt, data: d, recipe: {epochs: 1}}]}\n"
    )
    assert main(["plan", str(weights)]) in (0, 1, 2, 3)
    assert "Traceback" not in capfd.readouterr().err
