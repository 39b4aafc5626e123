"""liftgate data agree at the command line."""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import pytest

from liftgate.cli import data_agree
from liftgate.errors import UsageError
from liftgate.testing.data import yolo_folder


def call(*words: object) -> int:
    parser = argparse.ArgumentParser()
    data_agree.configure(parser)
    return data_agree.run(parser.parse_args([str(word) for word in words]))


def labels(folder: Path, drop: float, seed: int = 0) -> Path:
    """40 frames of 8 videos with three boxes each, of which a share is dropped."""
    rng = random.Random(seed)
    rows = ["0 .2 .2 .2 .2", "1 .5 .5 .2 .2", "1 .8 .8 .2 .2"]
    texts = {
        f"train/v{n % 8}_{n:02d}.png": "".join(row + "\n" for row in rows if rng.random() >= drop) for n in range(40)
    }
    return yolo_folder(folder, texts)


@pytest.fixture
def ann(tmp_path: Path) -> Path:
    return labels(tmp_path / "ann", 0.0)


def test_json_has_the_names_that_programs_rely_on(
    ann: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--a", ann, "--b", labels(tmp_path / "ben", 0.1), "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert {"kappa", "kappa_interval", "f1_50", "mean_iou", "n_images", "n_matched"} <= record.keys()
    assert (record["a"], record["b"], record["n_images"]) == ("ann", "ben", 40)
    assert record["mean_iou"] == pytest.approx(1)


@pytest.mark.parametrize(("drop", "code", "word"), [(0.0, 0, "PASS"), (0.5, 10, "FAIL"), (0.07, 11, "MARGINAL")])
def test_the_gate_is_the_exit_code(
    ann: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], drop: float, code: int, word: str
) -> None:
    ben = labels(tmp_path / "ben", drop, seed=3)
    # Without an error in 40 frames the bound is exact: 0.025^(1/40) of observed agreement, corrected for chance.
    assert call("--a", ann, "--b", ben, "--gate", 0.8) == code
    assert word in capsys.readouterr().out


def test_groups_make_frames_of_one_video_count_as_one(
    ann: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = r"(?P<group>v\d)_"
    assert call("--a", ann, "--b", labels(tmp_path / "ben", 0.1), "--groups", rule, "--json") == 0
    assert json.loads(capsys.readouterr().out)["n_groups"] == 8


def test_three_annotators_and_a_page(ann: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ben, eve, out = labels(tmp_path / "ben", 0.1), labels(tmp_path / "eve", 0.4, 5), tmp_path / "page.html"
    assert call("--a", ann, "--b", ben, "--c", eve, "--out", out, "--gate", 0.85) == 10
    assert out.read_text().startswith("<!doctype html>")
    text = capsys.readouterr().out
    assert "ann and ben" in text and "ben and eve" in text and "agrees least" in text


def test_the_overlap_is_drawn_before_anybody_labels(
    ann: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "overlap.csv"
    rule = r"(?P<group>v\d)_"
    assert call("--a", ann, "--overlap", 10, "--seed", 1, "--groups", rule, "--out", out) == 0
    first = out.read_bytes()
    lines = first.decode().splitlines()
    assert lines[0] == "image,group" and len(lines) == 11
    assert len({line.split(",")[1] for line in lines[1:]}) == 8
    call("--a", ann, "--overlap", 10, "--seed", 1, "--groups", rule, "--out", out)
    assert out.read_bytes() == first


def test_a_second_label_set_or_the_overlap_is_needed(ann: Path) -> None:
    with pytest.raises(UsageError, match="--b is missing"):
        call("--a", ann)


@pytest.mark.parametrize(("option", "value"), [("--iou", "0"), ("--level", "1"), ("--gate", "1.5")])
def test_settings_out_of_range_are_refused(ann: Path, option: str, value: str) -> None:
    with pytest.raises(UsageError, match="out of range"):
        call("--a", ann, "--b", ann, "--names", "x", "y", option, value)
