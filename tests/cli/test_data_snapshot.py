"""liftgate data snapshot at the command line."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from liftgate.cli import data_snapshot
from liftgate.errors import Refused
from liftgate.testing.data import yolo_folder


def call(*words: object) -> int:
    parser = argparse.ArgumentParser()
    data_snapshot.configure(parser)
    return data_snapshot.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return yolo_folder(tmp_path / "set", {"train/a.png": "0 .5 .5 .2 .2\n", "val/b.png": ""})


def test_write_verify_change_verify(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = tmp_path / "m.json"
    assert call(data, "--out", manifest) == 0
    assert capsys.readouterr().out.split()[0] == json.loads(manifest.read_text())["sha256"]
    assert call(data, "--verify", manifest) == 0
    (data.parent / "labels/train/a.txt").write_text("0 .5 .5 .3 .3\n")
    assert call(data, "--verify", manifest, "--json") == 3
    record = json.loads(capsys.readouterr().out.split("\n", 1)[1])
    assert record["ok"] is False and record["changed"] == ["labels/train/a.txt"]


def test_a_manifest_is_not_overwritten(data: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "m.json"
    call(data, "--out", manifest)
    before = manifest.read_bytes()
    with pytest.raises(Refused):
        call(data, "--out", manifest)
    assert manifest.read_bytes() == before
