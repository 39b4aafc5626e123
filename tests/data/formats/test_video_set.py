"""From 41 videos in 7 categories to a frozen split and a deployment set that is proved apart, as typed."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from data.video_frames.clips import write_clip
from liftgate.cli import main

pytest.importorskip("av")


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, Any, str]:
    code = main(["data", *map(str, words), "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else None, err


def labelled(folder: Path) -> Path:
    """One person on every frame: a single class, so that only the manifest knows the categories."""
    for image in folder.glob("*.jpg"):
        (folder / image.name).with_suffix(".txt").write_text("0 .5 .5 .25 .5\n")
    (folder / "data.yaml").write_text("train: .\nnames: [person]\n")
    return folder / "data.yaml"


def test_41_videos_split_29_6_6_with_every_category_spread_and_the_deployment_set_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(41):
        write_clip(tmp_path / f"videos/operation{number % 7}/v{number:02d}.mp4", 20 + 5 * (number % 4))
    for number in range(6):
        write_clip(tmp_path / f"deployed/cam{number}.mp4", 25 + number, moving=range(40), fps=12 + number)
    for source in ("videos", "deployed"):
        code, _, _ = run(capsys, "frames", tmp_path / source, "--every", "0.5", "--out", tmp_path / f"{source}-frames")
        assert code == 0
        labelled(tmp_path / f"{source}-frames")
    frames, deployed = tmp_path / "videos-frames", tmp_path / "deployed-frames"
    words = ["--groups", frames / "frames.csv", "--stratify", f"{frames}/frames.csv#category"]
    code, record, _ = run(capsys, "split", frames, *words, "--out", tmp_path / "split")
    assert code == 0
    assert {row["split"]: row["n_groups"] for row in record["splits"]} == {"train": 29, "val": 6, "test": 6}
    assert [row["stratum"] for row in record["strata"]] == [f"operation{n}" for n in range(7)]
    for row in record["strata"]:
        assert row["groups"]["train"] in (4, 5)
        assert max(row["groups"]["val"], row["groups"]["test"]) == 1
    rows = list(csv.DictReader((tmp_path / "split/split.csv").read_text().splitlines()))
    crossing = Counter(group for group, _ in {(row["group"], row["split"]) for row in rows})
    assert max(crossing.values()) == 1
    assert len(crossing) == 41

    words = ["--groups", frames / "frames.csv", "--apart", deployed]
    code, _, err = run(capsys, "split", frames, *words, "--out", tmp_path / "again")
    assert code == 2
    assert "hint: --apart-groups" in err, "the manifest of one set does not know the videos of another"
    words += ["--apart-groups", deployed / "frames.csv"]
    code, record, _ = run(capsys, "split", frames, *words, "--out", tmp_path / "again")
    assert code == 0
    assert record["apart"][0]["n_groups"] == 6
    rule = r"(?P<group>v\d\d|cam\d)_"
    write_clip(tmp_path / "more/v03.mp4", 25, moving=range(30))  # one of the 41, filmed again
    assert run(capsys, "frames", tmp_path / "more", "--every", "0.5", "--out", tmp_path / "more-frames")[0] == 0
    words = ["--groups", rule, "--apart", labelled(tmp_path / "more-frames"), "--out", tmp_path / "no"]
    code, _, err = run(capsys, "split", frames, *words)
    assert code == 2
    assert "not disjoint" in err
    assert "v03" in err
    assert not (tmp_path / "no").exists()


def test_frames_can_be_split_before_anybody_has_labelled_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(6):
        write_clip(tmp_path / f"videos/v{number}.mp4", 20, moving=range(number * 3))
    frames = tmp_path / "frames"
    run(capsys, "frames", tmp_path / "videos", "--every", "0.5", "--confidential", "--out", frames)
    for source in (frames, frames / "frames.csv"):
        out = tmp_path / f"split-{source.suffix}"
        code, record, _ = run(capsys, "split", source, "--ratios", 4, 1, 1, "--out", out)
        assert code == 0
        assert {row["split"]: row["n_groups"] for row in record["splits"]} == {"train": 4, "val": 1, "test": 1}
        assert "confidential: true" in (out / "README.md").read_text()
    code, record, _ = run(capsys, "stats", frames)
    assert (code, record["n_images"], record["n_groups"], record["n_objects"]) == (0, 24, 6, 0)
    assert run(capsys, "convert", frames, "--to", "yolo", "--out", tmp_path / "no")[0] == 2, (
        "there is nothing to convert"
    )


def test_a_rule_that_fits_nothing_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_clip(tmp_path / "a.mp4", 20)
    run(capsys, "frames", tmp_path / "a.mp4", "--every", "0.5", "--out", tmp_path / "frames")
    data = labelled(tmp_path / "frames")
    for rule, said in (("nonsense", "not a rule"), ("frames.csv#mood", "cannot read"), ("(?P<x>zzz)", "no image")):
        code, _, err = run(capsys, "split", data, "--stratify", rule, "--out", tmp_path / "out")
        assert code == 2
        assert said in err
    assert not (tmp_path / "out").exists()
