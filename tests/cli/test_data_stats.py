"""liftgate data stats at the command line."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from liftgate.cli import data_stats
from liftgate.errors import UsageError
from liftgate.testing.data import yolo_folder


def call(*words: object) -> int:
    parser = argparse.ArgumentParser()
    data_stats.configure(parser)
    return data_stats.run(parser.parse_args([str(word) for word in words]))


def some(folder: Path) -> Path:
    row = "0 .5 .5 .2 .2\n1 .2 .2 .1 .1\n"
    return yolo_folder(folder, {"train/a.png": row, "train/b.png": row, "val/c.png": ""})


def test_a_table_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(some(tmp_path / "set")) == 0
    out, err = capsys.readouterr()
    assert "3 images in 3 groups, 4 objects" in out and "train" in out and "dog" in out
    assert "licence is unknown" in err


def test_json_for_programs_with_the_talk_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert call(some(tmp_path / "set"), "--out", page, "--json", "--imgsz", 320) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["n_objects"] == 4 and record["imgsz"] == 320 and record["classes"] == ["cat", "dog"]
    assert {d["name"] for d in record["distributions"]} >= {"box_size", "box_aspect", "brightness"}
    assert page.read_text().startswith("<!doctype html>")


def test_two_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(some(tmp_path / "one"), "--against", some(tmp_path / "two"), "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["against"]["n_images"] == 3
    assert len(record["difference"]["shared_images"]) == 3  # the same seeds made the same pictures
    assert call(some(tmp_path / "one"), "--against", some(tmp_path / "two")) == 0
    out, err = capsys.readouterr()
    assert "0 the same, 1 nothing in common" in out
    assert "images of the first" in out
    assert "note: two: The licence is unknown." in err


def test_three_in_one_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words: list[object] = [some(tmp_path / "one")]
    words += ["--against", some(tmp_path / "two")]
    words += ["--against", yolo_folder(tmp_path / "three", {"train/x.png": "0 .5 .5 .5 .5\n"}, size=(40, 40))]
    assert call(*words, "--json") == 0
    rows = json.loads(capsys.readouterr().out)["comparison"]
    assert [row["name"] for row in rows] == ["one", "two", "three"]
    assert [row["shared_images"] for row in rows] == [None, 3, 0]
    assert [row["n_objects"] for row in rows] == [4, 4, 1]
    assert rows[1]["distances"]["classes"] == 0
    assert rows[2]["distances"]["classes"] == 0.5
    assert call(*words) == 0
    assert "three" in capsys.readouterr().out
    with pytest.raises(UsageError, match="two side by side"):
        call(*words, "--out", tmp_path / "page.html")
