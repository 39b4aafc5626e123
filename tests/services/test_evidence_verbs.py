"""liftgate evaluate, compare and size: what is printed, what is JSON, and which exit code."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from liftgate.cli import main
from liftgate.cli import size as size_verb
from liftgate.errors import UsageError
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
    [("poor", "good", "0", 0, "PASS"), ("good", "poor", "0", 10, "FAIL"), ("good", "good", "0", 11, "MARGINAL")],
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


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        (["--margin", "2"], "fails"),
        (["--margin", "-5"], "passes"),
        (["--claim", "equal", "--margin", "2"], "passes"),
        (["--treatment", "good", "--margin", "-1"], "passes"),
    ],
)
def test_a_margin_that_decides_by_itself_is_refused(
    words: list[str], outcome: str, files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Two models half the scale apart were "declared to be equal" within 2."""
    pair = ["--truth", files["truth"], "--control", files["poor"], "--treatment", files["poor"]]
    more = [files.get(word, word) for word in words]
    assert main(["compare", *pair, *more, *GROUPS]) == 2
    said = capsys.readouterr()
    assert f"with this margin {outcome} whatever is measured" in said.err and "two points are 0.02" in said.err
    assert not said.out
    assert main(["compare", *pair, *more, *GROUPS, "--metric", "false_positives_per_image"]) in (0, 10, 11)
    assert main(["size", "models", *pair, "--difference", "2", *GROUPS]) == 2
    assert "no two models differ by that much" in capsys.readouterr().err
    assert main(["size", "models", *pair, "--difference", "0.5", "--margin", "-2", *GROUPS]) == 2
    assert "whatever is measured" in capsys.readouterr().err


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


def test_size_of_seeds_says_what_a_few_trainings_can_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert size(["seeds", "--have", "3", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["seeds"] == 29 and round(answer["detectable_in_seed_sds"], 2) == 3.07
    assert "29 seeds of each" in answer["text"] and "3.07 times the standard deviation over seeds" in answer["text"]
    with pytest.raises(UsageError):
        size(["seeds", "--probability", "0.5"])


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
    # 312 × (1 + 24 × 0.1) = 1061 by the exact test and a design effect, which is too few for the gate's interval.
    assert record["images"] == record["groups"] * 25 and 1400 < record["images"] < 1800
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


@pytest.fixture
def questions(files: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The same files, with the weather of each image, and a val set of its own."""
    names = [image["file_name"] for image in json.loads(Path(files["truth"]).read_text())["images"]]
    rows = "".join(f"{name},{'rain' if i % 3 else 'sun'},{i}\n" for i, name in enumerate(names))
    (tmp_path / "tags.csv").write_text("image,weather,number\n" + rows)
    val, results = coco_sets.awkward(22, images=30, decimals=3)
    for i, image in enumerate(val["images"]):
        image |= {"file_name": f"w{i}.jpg", "width": 640, "height": 640}
    (tmp_path / "val.json").write_text(json.dumps(val))
    (tmp_path / "val_good.json").write_text(json.dumps(results))
    (tmp_path / "val_poor.json").write_text(json.dumps(results[::2]))
    made = {name: str(tmp_path / name) for name in ("tags.csv", "val.json", "val_good.json", "val_poor.json")}
    return files | made


def evaluated(questions: dict[str, str], capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, Any], str]:
    """What `evaluate` says as JSON and as text."""
    line = ["evaluate", "--truth", questions["truth"], "--predictions", questions["good"], *GROUPS, *words]
    assert main(line) == 0
    text = capsys.readouterr().out
    assert main([*line, "--json"]) == 0
    return json.loads(capsys.readouterr().out), text


def test_evaluate_tells_slices_of_a_column_of_a_csv(
    questions: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    record, text = evaluated(questions, capsys, "--by", f"{questions['tags.csv']}#weather")
    assert {name: row["n_images"] for name, row in record["slices"].items()} == {"rain": 26, "sun": 14}
    assert record["slices"]["sun"]["intervals"].keys() == record["slices"]["sun"]["metrics"].keys()
    (line,) = [line for line in text.splitlines() if line.startswith("rain")]
    assert f"{record['slices']['rain']['metrics']['mAP50']:.3f}" in line and " 26 " in line


def test_evaluate_sorts_mistakes_and_says_how_sure_the_model_is(
    questions: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    record, text = evaluated(questions, capsys, "--errors")
    errors = record["errors"]
    assert set(errors["count"]) == set(errors["cost"]) == {
        "class", "location", "both", "duplicate", "background", "missed",
    }  # fmt: skip
    assert len(errors["confusion"]) == len(errors["classes"]) + 1
    assert record["calibration"]["n_detections"] == sum(record["calibration"]["n"])
    assert len(record["curves"]["best_confidence"]["value"]) == 21
    for words in ("mAP50 gained without it", "calibration error", "best confidence, quantiles", "best F1"):
        assert words in text
    assert len(text.splitlines()) < 45, "it fits a screen"


def test_evaluate_screens_whole_images_at_a_threshold_that_val_chose(
    questions: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    val = ["--val", questions["val_good.json"], "--val-truth", questions["val.json"]]
    record, text = evaluated(questions, capsys, "--threats", "class0", "--threshold", "false_alarms=0.2", *val)
    assert record["screening"]["threats"] == ["class0"]
    assert record["screening"]["chosen"] == "by false_alarms=0.2 on 30 images of val"
    for name in ("accuracy", "detection_rate", "false_alarm_rate", "AUC"):
        low, high = record["intervals"][name]
        assert low <= record["metrics"][name] <= high
    assert "detection_rate" in text and "by false_alarms=0.2 on 30 images of val" in text
    counts = record["screening"]
    assert f"{counts['n_found']} of {counts['n_with_threat']} images with a threat flagged (class0 " in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--threats", "gun", "--threshold", "0.4"], "threats are classes of the truth"),
        (["--threshold", "0.4"], "--threats gun,knife names"),
        (["--threats", "class0"], "from which score on"),
        (["--threats", "class0", "--threshold", "f1"], "with predictions of each model"),
        (["--threats", "class0", "--threshold", "f2", "--val", "val_good.json"], "got f2"),
        (["--threats", "class0", "--threshold", "f1", "--val", "good"], "images that it is judged by"),
        (["--by", "nonsense"], "not a rule for slices"),
        (["--by", "tags.csv"], "got weather, number"),
        (["--by", "tags.csv#colour"], "a column is missing"),
        (["--pck", "box=1"], "box_diagonal=0.05"),
        (["--pck", "box_diagonal=0.05"], "need keypoints"),
        (["--sigmas", "0.1"], "need keypoints"),
    ],
)
def test_a_question_that_makes_no_sense_is_one_clear_error(
    questions: dict[str, str], capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    named = [questions.get(word.partition("#")[0], word) + word[len(word.partition("#")[0]) :] for word in words]
    assert main(["evaluate", "--truth", questions["truth"], "--predictions", questions["good"], *named]) == 2
    captured = capsys.readouterr()
    assert says in captured.err and "Traceback" not in captured.err and captured.out == ""


def test_compare_several_treatments_names_each_and_exits_by_the_best(
    questions: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", "--truth", questions["truth"], "--control", questions["poor"], "--metric", "recall", *GROUPS]
    words += ["--treatment", questions["good"], "--treatment", f"again={questions['poor']}"]
    assert main([*words, "--margin", "0.01"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("PASS: recall of 2 treatments") and "max-t of 2" in text
    assert main([*words, "--margin", "0.01", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert {name: one["verdict"] for name, one in record["comparisons"].items()} == {
        "good": "PASS",
        "again": "MARGINAL",
    }
    assert main([*words[:-2], "--treatment", questions["good"]]) == 2
    assert "the same treatment twice" in capsys.readouterr().err


def test_compare_equal_slices_and_whole_images(questions: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "--truth", questions["truth"], "--control", questions["poor"], "--treatment", questions["good"]]
    words += GROUPS
    assert main([*words, "--metric", "recall", "--claim", "equal", "--margin", "0.01"]) == 10
    assert "they are not equal" in capsys.readouterr().out
    assert main([*words, "--metric", "recall", "--claim", "equal"]) == 2
    assert "differ by less than a margin" in capsys.readouterr().err
    assert main([*words, "--metric", "recall", "--by", f"{questions['tags.csv']}#weather"]) == 0
    text = capsys.readouterr().out
    assert "26 images in 8 groups" in text and "P(treatment > control)" in text and "images that got better" in text
    val = [
        "--val",
        questions["val_poor.json"],
        "--val",
        questions["val_good.json"],
        "--val-truth",
        questions["val.json"],
    ]
    screened = [*words, "--metric", "accuracy", "--threats", "class0,class1", "--threshold", "f1", *val, "--json"]
    assert main(screened) in (0, 11)
    assert json.loads(capsys.readouterr().out)["metric"] == "accuracy"
    assert main([*words, "--metric", "accuracy", "--threats", "class0", "--threshold", "f1", *val[:2]]) == 2
    assert "expected 2, got 1" in capsys.readouterr().err


def test_size_prints_a_tail_that_a_person_would_write(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["size", "rate", "--at-least", "0.95", "--true", "0.98", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tail"] == 0.025


def test_scores_that_are_no_confidences_rank_and_are_said_to_be_none(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = json.loads(Path(files["good"]).read_text())
    logits = tmp_path / "logits.json"
    logits.write_text(json.dumps([row | {"score": 10 * row["score"] - 5} for row in rows]))
    assert main(["evaluate", "--truth", files["truth"], "--predictions", files["good"], "--json"]) == 0
    usual = json.loads(capsys.readouterr().out)
    assert main(["evaluate", "--truth", files["truth"], "--predictions", str(logits), "--json"]) == 0
    ranked = json.loads(capsys.readouterr().out)
    assert ranked["metrics"]["mAP50-95"] == pytest.approx(usual["metrics"]["mAP50-95"])
    assert "are outside 0 … 1" in ranked["settings"]["remarks"] and ranked["calibration"] == {}
    assert main(["evaluate", "--truth", files["truth"], "--predictions", str(logits)]) == 0
    assert "warning: " in capsys.readouterr().err


def test_a_truth_without_any_object_is_defined_and_no_detection_at_all_has_no_interval(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare.json"
    bare.write_text(json.dumps(json.loads(Path(files["truth"]).read_text()) | {"annotations": []}))
    assert main(["evaluate", "--truth", str(bare), "--predictions", files["good"]]) == 0
    assert "undefined: no truth of that kind" in capsys.readouterr().out
    empty = tmp_path / "empty.json"
    empty.write_text("[]")
    assert main(["evaluate", "--truth", files["truth"], "--predictions", str(empty), "--json", *GROUPS]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["metrics"]["mAP50"] == 0 and record["intervals"]["mAP50"] == [None, None]
    assert "whichever groups are drawn" in record["interval_details"]["mAP50"]["note"]
