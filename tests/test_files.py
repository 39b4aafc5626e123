"""A reader, or a crash, never meets half a file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from liftgate.files import replacing, write_bytes, write_json, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), replacing(target) as file:
        file.write("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_nobody_sees_the_file_before_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.txt"
    with replacing(target) as file:
        file.write("whole")
        assert not target.exists()
    assert target.read_text() == "whole"


def test_the_same_json_value_gives_the_same_bytes(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"b": 1, "a": "é"})
    write_json(tmp_path / "b", {"a": "é", "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_names_that_are_no_utf8_come_back_as_they_were(tmp_path: Path) -> None:
    name = os.fsdecode(b"raw\xff.jpg")
    write_json(tmp_path / "a", {"image": name})
    assert json.loads((tmp_path / "a").read_text("utf-8")) == {"image": name}
    write_text(tmp_path / "list.txt", f"{name}\n")
    assert (tmp_path / "list.txt").read_bytes() == b"raw\xff.jpg\n"
    write_text(tmp_path / "half", "half of a pair: \ud800")
    assert (tmp_path / "half").read_text("utf-8") == "half of a pair: \\ud800"


def test_nan_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(tmp_path / "a", {"mAP": float("nan")})
    assert not list(tmp_path.iterdir())


def test_written_files_are_as_readable_as_any_new_file(tmp_path: Path) -> None:
    write_text(tmp_path / "ours", "x")
    write_bytes(tmp_path / "bytes", b"x")
    (tmp_path / "plain").write_text("x")
    assert {path.stat().st_mode for path in tmp_path.iterdir()} == {(tmp_path / "plain").stat().st_mode}
