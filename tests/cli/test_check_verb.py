"""`liftgate check` and `liftgate explain`, as somebody types them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from liftgate.cli import main


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data.yaml with one box without area and one row that is out of range."""
    rng = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    for number in range(4):
        pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"images/{number}.png")
        (tmp_path / f"labels/{number}.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    (tmp_path / "labels/1.txt").write_text("0 0.5 0.5 0.0 0.4\n")
    (tmp_path / "data.yaml").write_text("train: images\nnames: [cup]\n")
    return tmp_path / "data.yaml"


def test_warnings_do_not_stop_anything(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(data), "--select", "labels"]) == 0
    shown = capsys.readouterr().out
    assert "labels.zero_area" in shown and "1.txt:1" in shown and "4 images" in shown


def test_errors_exit_with_3(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data.parent / "labels/2.txt").write_text("0 1.5 0.5 0.4 0.4\n")
    assert main(["check", str(data), "--json"]) == 3
    value = json.loads(capsys.readouterr().out)
    assert value["ok"] is False
    assert {"labels.out_of_range", "labels.dropped_image"} <= {finding["id"] for finding in value["findings"]}


def test_an_ignored_error_lets_the_run_go_on_and_is_shown(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data.parent / "labels/2.txt").write_text("0 1.5 0.5 0.4 0.4\n")
    assert main(["check", str(data), "--select", "labels", "--ignore", "labels=known since May"]) == 0
    assert "known since May" in capsys.readouterr().out


def test_a_look_may_ignore_without_a_reason_and_says_so(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data.parent / "labels/2.txt").write_text("0 1.5 0.5 0.4 0.4\n")
    assert main(["check", str(data), "--select", "labels", "--ignore", "labels", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert not value["findings"] and {one["reason"] for one in value["ignored"]} == {"no reason given"}


def test_an_id_may_be_ignored_without_a_reason_and_the_record_says_so(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data.parent / "labels/2.txt").write_text("0 1.5 0.5 0.4 0.4\n")
    words = ["--select", "labels", "--ignore", "labels.out_of_range,labels.dropped_image", "--json"]
    assert main(["check", str(data), *words]) == 0
    value = json.loads(capsys.readouterr().out)
    assert {one["reason"] for one in value["ignored"]} == {"no reason given"} and len(value["ignored"]) == 2


def test_the_answer_of_the_geometry_probe_is_told_also_where_it_is_no_finding(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(data), "--select", "labels.geometry"]) == 0
    assert "label geometry of" in (shown := capsys.readouterr().out) and "not decidable" in shown


def test_the_page_shows_what_was_found_and_is_not_written_on_bad_usage(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "out" / "check.html"
    assert main(["check", str(data), "--page", str(page), "--select", "labels.zero"]) == 2
    assert not page.exists()
    assert main(["check", str(data), "--page", str(page)]) == 0
    assert "labels.zero_area" in page.read_text() and str(page) in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--ignore", "labels.zero_area="],
        ["--select", "labels.zero"],
        ["--select", ","],
        ["--page", "."],
        ["--groups", "("],
    ],
)
def test_bad_usage_exits_with_2_and_a_hint(data: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(data), *words]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_an_image_that_is_a_text_file_is_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data.parent / "images/3.png").write_text("sorry")
    assert main(["check", str(data), "--select", "images.unreadable"]) == 3
    shown = capsys.readouterr().out
    assert "3.png" in shown and "text file" in shown


def test_nothing_there_is_one_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "nowhere")]) == 2
    assert main(["check", str(tmp_path)]) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        b"train: [images\nnames: {",
        b"",
        b"just a word",
        b"- a\n- b\n",
        b"\xff\xfe\x00\x01",
        b"train: images\n\tnames: [a]\n",
        b"train: !!python/object/apply:os.system ['true']\n",
        b"names: [a\n",
    ],
)
def test_a_broken_yaml_is_json_for_programs_too(data: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    data.write_bytes(content)
    assert main(["check", str(data), "--json"]) == 2
    value = json.loads(capsys.readouterr().out)
    assert value["ok"] is False and value["findings"][0]["severity"] == "error"


def test_explain_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "recipe.lr_ignored"]) == 0
    assert "0.7536 to 0.6278" in " ".join(capsys.readouterr().out.split())
    assert main(["explain"]) == 0
    assert "labels.geometry" in capsys.readouterr().out
    assert main(["explain", "labels.geomtry"]) == 2
    assert "did you mean labels.geometry?" in capsys.readouterr().err


def test_a_study_is_checked_with_the_changes_that_it_would_run_with(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = data.parent / "study.yaml"
    study.write_text(
        "study: s\nquestion: Is it?\ndatasets: {cups: {path: elsewhere/data.yaml}}\n"
        "arms: {as_is: {weights: yolov8n.yaml}}\nflow: [check]\n"
    )
    assert main(["check", str(study)]) == 2
    assert "datasets.cups.path" in capsys.readouterr().err
    changed = ["--set", "datasets.cups.path=data.yaml"]
    assert main(["check", str(study), "--select", "labels", *changed]) == 0
    assert "labels.zero_area" in capsys.readouterr().out
    assert main(["check", str(study), "--fix", str(data.parent / "mended"), *changed]) == 2
    assert not (data.parent / "mended").exists()
