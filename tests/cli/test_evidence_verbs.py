"""liftgate evaluate, compare and size: what is printed, what is JSON, and which exit code."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from liftgate.cli import main
from liftgate.cli import size as size_verb
from oracle import coco_sets


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A truth of 40 images in 8 videos, a good model, and the same one with half of its detections gone."""
    truth, results = coco_sets.awkward(21, images=40, decimals=3)
    for i, image in enumerate(truth["images"]):
        image |= {"file_name": f"v{i // 5}_{i}.jpg", "width": 640, "height": 640}
    worse = [row for i, row in enumerate(results) if i % 2]
    named: dict[str, Any] = {"truth": truth, "good": results, "poor": worse}
    for name, value in named.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    return {name: str(tmp_path / f"{name}.json") for name in named}


def size(words: list[str]) -> int:
    parser = argparse.ArgumentParser()
    size_verb.configure(parser)
    return size_verb.run(parser.parse_args(words))


GROUPS = ["--groups", "^(?P<group>v[0-9]+)_"]


def test_evaluate_prints_the_official_numbers_in_order(fixtures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fixtures / "evaluator"
    truth, results = folder / "instances_val2014_100.json", folder / "instances_val2014_fakebbox100_results.json"
    assert main(["evaluate", "--truth", str(truth), "--predictions", str(results)]) == 0
    out = capsys.readouterr().out
    values = [line.split()[1] for line in out.splitlines()[1:13]]
    assert values == [
        "0.505",
        "0.697",
        "0.573",
        "0.586",
        "0.519",
        "0.501",
        "0.387",
        "0.594",
        "0.595",
        "0.640",
        "0.566",
        "0.564",
    ]
    assert "100 images in 100 groups" in out and "95%" in out


def test_evaluate_as_json_names_sample_level_and_method(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--truth", files["truth"], "--predictions", files["good"], "--json", *GROUPS]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["n_images"], record["n_groups"], record["level"]) == (40, 8, 0.95)
    low, high = record["intervals"]["mAP50"]
    assert low <= record["metrics"]["mAP50"] <= high


@pytest.mark.parametrize(
    ("control", "treatment", "margin", "code", "word"),
    [("poor", "good", "0", 0, "PASS"), ("good", "poor", "0", 10, "FAIL"), ("good", "good", "0", 0, "PASS")],
)
def test_compare_exits_by_its_verdict(
    files: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    control: str,
    treatment: str,
    margin: str,
    code: int,
    word: str,
) -> None:
    words = ["compare", "--truth", files["truth"], "--control", files[control], "--treatment", files[treatment]]
    assert main([*words, "--metric", "AR_100", "--margin", margin, *GROUPS]) == code
    out = capsys.readouterr().out
    assert out.startswith(f"{word}: ")
    assert "40 images in 8 groups" in out


def test_compare_without_enough_groups_is_marginal(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "--truth", files["truth"], "--control", files["poor"], "--treatment", files["good"], "--json"]
    assert main([*words, "--groups", "^(?P<group>v)"]) == 11
    record = json.loads(capsys.readouterr().out)
    assert record["interval"] == [None, None] and record["verdict"] == "MARGINAL" and record["n_groups"] == 1


def test_size_says_in_words_what_250_frames_can_tell(capsys: pytest.CaptureFixture[str]) -> None:
    assert size(["difference", "0.92", "0.96", "--have", "250"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "0.880 to 0.948" in out and "0.928 to 0.978" in out
    assert "250 images cannot reliably tell 0.92 from 0.96" in out
    assert "553 images" in out and "539 by the arcsine" in out


def test_size_from_a_pilot_counts_groups(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["models", "--truth", files["truth"], "--control", files["poor"], "--treatment", files["good"]]
    assert size([*words, "--difference", "0.01", "--json", *GROUPS]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["groups"] > 8 and record["images"] == record["groups"] * 5


def test_size_of_a_rate_counts_alike_frames_and_of_kappa_counts_items(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["rate", "--at-least", "0.95", "--true", "0.98", "--per-group", "25", "--json"]
    assert size(words) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["independent_images"] == 312
    assert (record["images"], record["groups"]) == (1061, 43)  # 312 × (1 + 24 × 0.1) = 1060.8, 25 to a group
    assert size(["kappa", "--kappa", "0.85", "--have", "50"]) == 0
    assert "within ± 0.15" in " ".join(capsys.readouterr().out.split())
    assert main(["size", "kappa", "--kappa", "0.85", "--have", "0"]) == 2
    assert "at least one item is needed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('[{"image_id": 1, "category_id"', "cut off"),
        ('[{"image_id": 999999, "category_id": 2, "bbox": [0, 0, 1, 1], "score": 0.5}]', "unknown image_id"),
        ('[{"image_id": %d, "category_id": 77, "bbox": [0, 0, 1, 1], "score": 0.5}]', "unknown category_id"),
        ('[{"image_id": %d, "category_id": 2, "bbox": [0, 0, 1, 1], "score": NaN}]', "score"),
        ('[{"image_id": %d, "category_id": 2, "bbox": [0, 0, -1, 1], "score": 0.5}]', "negative size"),
    ],
)
def test_bad_predictions_are_one_clear_error(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, says: str
) -> None:
    image = json.loads(Path(files["truth"]).read_text())["images"][0]["id"]
    bad = tmp_path / "bad.json"
    bad.write_text(content % image if "%d" in content else content)
    assert main(["evaluate", "--truth", files["truth"], "--predictions", str(bad)]) == 2
    captured = capsys.readouterr()
    assert says in captured.err and "Traceback" not in captured.err
    assert captured.out == ""


def test_ids_of_mixed_type_are_matched_and_counted_not_silently_lost(
    fixtures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fixtures / "evaluator" / "crowd"
    words = ["--truth", str(folder / "gt_ignore_test.json"), "--predictions", str(folder / "dt_ignore_test.json")]
    assert main(["evaluate", *words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["metrics"]["mAP50"] > 0.9
    assert record["settings"]["predictions"]["image_ids_respelled"] > 0


def test_an_empty_results_file_is_zero_and_a_missing_split_is_named(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text("[]")
    assert main(["evaluate", "--truth", files["truth"], "--predictions", str(empty), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["mAP50"] == 0
    assert main(["evaluate", "--truth", files["truth"], "--predictions", files["good"], "--split", "night"]) == 2
    assert "no split 'night'" in capsys.readouterr().err


def test_damaged_truth_is_said_beside_the_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twice = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4], "area": 16, "iscrowd": 0}
    truth = {
        "images": [{"id": 1, "file_name": "a.png", "width": 9, "height": 9}],
        "categories": [{"id": 1, "name": "x"}],
        "annotations": [twice, twice],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "found.json").write_text("[]")
    words = ["evaluate", "--truth", str(tmp_path / "truth.json"), "--predictions", str(tmp_path / "found.json")]
    assert main(words) == 0
    assert "the truth was read with faults (id_twice 1)" in capsys.readouterr().err
