"""liftgate data split, convert, merge and mix, as typed on the command line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from liftgate.cli import main
from liftgate.data.formats.read import read
from liftgate.testing.data import picture, yolo_folder

ROW = "0 .5 .5 .25 .5\n"


@pytest.fixture
def document(tmp_path: Path) -> Path:
    labels: dict[str, str | None] = {f"train/v{number % 10}_{number}.jpg": ROW for number in range(40)}
    return yolo_folder(tmp_path / "set", labels, download="echo no")


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, Any, str]:
    code = main(["data", *map(str, words), "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else None, err


def test_split_freezes_and_lists_without_copies(
    document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    code, record, _ = run(capsys, "split", document, "--groups", r"^(?P<group>v\d)_", "--out", out)
    assert code == 0
    groups = {row["split"]: row["n_groups"] for row in record["splits"]}
    assert groups["train"] == 7
    assert sorted(groups.values()) == [1, 2, 7]
    assert record["sha256"] == hashlib.sha256((out / "split.csv").read_bytes()).hexdigest()
    names = ["README.md", "data.yaml", "split.csv", "test.txt", "train.txt", "val.txt"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert "download" not in (out / "data.yaml").read_text()
    again = read(out / "data.yaml")
    assert again.faults == ()
    assert {split: len(again.split(split).images) for split in again.splits} == {
        split: 4 * n for split, n in groups.items()
    }
    assert len(again.labels) == 40


def test_a_frozen_split_is_not_made_anew(document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "split", document, "--out", tmp_path / "out")[0] == 0
    before = (tmp_path / "out/split.csv").read_bytes()
    code, _, err = run(capsys, "split", document, "--out", tmp_path / "out", "--seed", 9)
    assert code == 2
    assert "frozen split already" in err
    assert (tmp_path / "out/split.csv").read_bytes() == before


def test_new_data_joins_an_old_split_and_nothing_moves(
    document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = r"^(?P<group>v\d+)_"
    run(capsys, "split", document, "--groups", rule, "--out", tmp_path / "v0")
    before = (tmp_path / "v0/split.csv").read_text().splitlines()
    for number in range(6):
        picture(document.parent / f"images/train/v3_new{number}.jpg", seed=number)
        picture(document.parent / f"images/train/v77_{number}.jpg", seed=number)
    words = ["split", document, "--groups", rule, "--out", tmp_path / "v1", "--extend", tmp_path / "v0/split.csv"]
    assert run(capsys, *words)[0] == 0
    after = (tmp_path / "v1/split.csv").read_text().splitlines()
    assert set(before) < set(after)
    assert len(after) == len(before) + 12


def test_folds_and_a_held_out_set_that_is_apart(
    document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    night = yolo_folder(tmp_path / "night", {"test/n.jpg": ROW}, size=(80, 60))
    code, record, _ = run(capsys, "split", document, "--out", tmp_path / "out", "--folds", 4, "--apart", night)
    assert code == 0
    assert [sum(row["n_images"] for row in fold["splits"]) for fold in record["folds"]] == [40] * 4
    assert record["apart"][0]["n_images"] == 1
    assert len(read(tmp_path / "out/data-3.yaml").split("val").images) == 10
    code, _, err = run(capsys, "split", document, "--out", tmp_path / "other", "--apart", document)
    assert code == 2
    assert "not disjoint" in err
    assert not (tmp_path / "other").exists()


def test_merge_shows_its_plan_and_then_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = yolo_folder(tmp_path / "a", {"train/x.jpg": ROW}, ["Mobile phone", "0"], size=(50, 40))
    b = yolo_folder(tmp_path / "b", {"train/x.jpg": ROW}, ["phone"])
    rules = tmp_path / "rules.yaml"
    rules.write_text("rename: {Mobile phone: phone}\ndatasets: {xray: {drop: ['0']}}\n")
    words = ["merge", f"xray={a}", b, "--rules", rules]
    code, record, _ = run(capsys, *words, "--plan")
    assert code == 0
    assert [(row["dataset"], row["class"], row["becomes"]) for row in record["classes"]] == [
        ("xray", "Mobile phone", "phone"),
        ("xray", "0", None),
        ("b", "phone", "phone"),
    ]
    code, record, _ = run(capsys, *words, "--out", tmp_path / "out")
    assert code == 0
    merged = read(Path(record["files"][0]))
    assert merged.classes == ("phone",)
    assert len(merged.labels) == 2


@pytest.mark.parametrize("text", ["[a", "- a", "rename: [a]", "surprise: 1", "datasets: {a: [b]}", "order: {a: 1}"])
def test_rules_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, document: Path) -> None:
    (tmp_path / "rules.yaml").write_text(text)
    code, _, err = run(capsys, "merge", document, document, "--rules", tmp_path / "rules.yaml", "--out", tmp_path / "o")
    assert code == 2
    assert "rules.yaml" in err


def test_mix_repeats_and_holds_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = yolo_folder(tmp_path / "made", {f"train/s{n}.jpg": ROW for n in range(4)} | {"val/v.jpg": ROW}, size=(50, 40))
    b = yolo_folder(tmp_path / "real", {"train/r.jpg": ROW, "val/rv.jpg": ROW})
    words = ["mix", a, b, "--repeat", "real=8", "--held-out", "real", "--out", tmp_path / "out"]
    code, record, _ = run(capsys, *words)
    assert code == 0
    assert record["n_training_entries"] == 12
    assert record["left_out"] == {"made": 1}
    assert run(capsys, *words[:-1], tmp_path / "o", "--repeat", "8")[0] == 2


@pytest.mark.parametrize("backgrounds", [True, False])
def test_images_that_keep_no_box_are_counted(
    backgrounds: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dog = ROW.replace("0", "1", 1)
    labels = {"train/a.jpg": ROW, "train/b.jpg": dog, "train/c.jpg": ROW + dog, "train/d.jpg": "", "train/e.jpg": dog}
    source = yolo_folder(tmp_path / "set", labels)
    words = ["convert", str(source), "--to", "coco", "--out", str(tmp_path / "out"), "--keep", "cat"]
    assert main(["data", *words, *(["--backgrounds"] if backgrounds else [])]) == 0
    out, err = capsys.readouterr()
    outcome = "stay as backgrounds" if backgrounds else "are left out (--backgrounds keeps them)"
    assert f"2 images that had boxes of other classes only {outcome}" in err
    assert out.startswith("5 images" if backgrounds else "3 images")


def test_convert_says_where_and_what_is_lost(
    document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, record, _ = run(capsys, "convert", document, "--to", "coco", "--out", tmp_path / "out", "--keep", "cat")
    assert code == 0
    assert record["n_objects"] == 40
    (path,) = record["files"]
    assert len(read(Path(path)).labels) == 40
    assert main(["data", "convert", str(document), "--to", "voc", "--out", str(tmp_path / "voc")]) == 0
    out, err = capsys.readouterr()
    assert "yolo → voc" in out
    assert "not held: classes without an object (1, such as dog)" in err


@pytest.mark.parametrize(
    "words",
    [
        ["convert", "gone.yaml", "--to", "coco", "--out", "OUT"],
        ["merge", "DOCUMENT", "--out", "OUT"],
        ["split", "DOCUMENT", "--out", "OUT", "--extend", "gone.csv"],
        ["split", "DOCUMENT", "--out", "OUT", "--folds", "1"],
        ["split", "DOCUMENT", "--out", "OUT", "--groups", "nonsense"],
        ["split", "DOCUMENT", "--out", "OUT", "--ratios", "0", "0", "0"],
        ["convert", "DOCUMENT", "--to", "coco", "--out", "OUT", "--keep", "cow"],
        ["convert", "DOCUMENT", "--to", "coco", "--out", "OUT", "--split", "gone.csv"],
    ],
)
def test_bad_words_are_one_error_and_leave_nothing(
    document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    filled = [{"DOCUMENT": str(document), "OUT": str(tmp_path / "out")}.get(word, word) for word in words]
    assert main(["data", *filled]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert not (tmp_path / "out").exists()
