from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.export.cards import sound_card
from liftgate.deploy.export.card import CARD, CalibrationRecord, OutputContract, Source, TargetDevice
from liftgate.deploy.export.card_file import card_files, find_card, read_card, write_card
from liftgate.errors import DataError


def test_a_card_survives_writing_and_reading(tmp_path: Path) -> None:
    card = replace(
        sound_card(tmp_path),
        precision="int8",
        data=Source("cones", "cd" * 32),
        calibration=CalibrationRecord(Source("cones", "cd" * 32), "train", 128, 16, 0, "ef" * 32, "QDQ"),
        device=TargetDevice("Orin", "540.4", "TensorRT 10.9.0"),
        notes=("made on the target",),
    )
    write_card(card, tmp_path)
    assert read_card(tmp_path) == card


@pytest.mark.parametrize("name", ["", CARD, "model.onnx"])
def test_a_card_is_found_from_the_folder_itself_and_the_model(tmp_path: Path, name: str) -> None:
    card = sound_card(tmp_path)
    write_card(card, tmp_path)
    assert read_card(tmp_path / name) == card


def test_the_card_of_a_model_that_is_a_folder_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "model_openvino").mkdir()
    for name in ("model.xml", "model.bin"):
        (tmp_path / "model_openvino" / name).write_text(name)
    files = card_files(tmp_path, "model_openvino")
    card = replace(sound_card(tmp_path), format="openvino", model="model_openvino", files=files)
    write_card(card, tmp_path)
    assert read_card(tmp_path / "model_openvino") == card
    assert read_card(tmp_path / "model_openvino" / "model.xml") == card, "of a file of it, too"
    (tmp_path / "model_openvino" / "added.bin").write_text("x")
    with pytest.raises(DataError, match="a file that its card does not name"):
        read_card(tmp_path)


@pytest.mark.parametrize("place", ["another", "another/model.onnx", "another.onnx", "nothing"])
def test_a_card_that_lies_beside_something_else_is_not_its_card(tmp_path: Path, place: str) -> None:
    """A registry or a folder of exports may hold folders and files that no card is about."""
    write_card(sound_card(tmp_path), tmp_path)
    (tmp_path / "another").mkdir()
    (tmp_path / "another" / "model.onnx").write_bytes(b"a model")
    (tmp_path / "another.onnx").write_bytes(b"a model")
    assert find_card(tmp_path / place) is None
    with pytest.raises(DataError, match="has no card"):
        read_card(tmp_path / place)


def test_a_damaged_card_beside_a_model_is_an_error_and_not_no_card(tmp_path: Path) -> None:
    write_card(sound_card(tmp_path), tmp_path)
    (tmp_path / CARD).write_text("{")
    with pytest.raises(DataError, match="the card is no JSON"):
        read_card(tmp_path / "model.onnx")


def test_the_readme_says_what_the_card_says(tmp_path: Path) -> None:
    write_card(sound_card(tmp_path), tmp_path)
    text = (tmp_path / "README.md").read_text()
    for words in ("640 × 640 px", "NMS | outside the file", "0. cat", "1. dog", "opset 18", "licence AGPL-3.0"):
        assert words in text, words


def test_a_limit_of_confidence_inside_the_file_is_said(tmp_path: Path) -> None:
    output = OutputContract("detections", (1, 300, 6), ("cat", "dog"), boxes="xyxy", nms=True, nms_conf=0.25)
    write_card(replace(sound_card(tmp_path), output=output), tmp_path)
    assert "nothing below confidence 0.25" in (tmp_path / "README.md").read_text()


def test_no_card_is_an_error_that_says_who_writes_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no card"):
        read_card(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card["input"].pop("height"), "height"),
        (lambda card: card["input"].update(height="640"), "height"),
        (lambda card: card["input"].update(heigth=640), "did you mean height"),
        (lambda card: card.update(format="onx"), "onx"),
        (lambda card: card.update(card_version=2), "newer Liftgate"),
        (lambda card: card.pop("card_version"), "another version"),
        (lambda card: card["output"].update(classes=["cat"]), "another number of values"),
        (lambda card: card["output"].update(classes=["cat", "cat"]), "each once"),
        (lambda card: card["output"].update(score_scale=0), "score scale"),
        (lambda card: card["output"].update(layout="detections", shape=[1, 300, 6]), "after NMS"),
        (lambda card: card["output"].update(nms=True), "raw anchors before it"),
        (lambda card: card["output"].update(nms_conf=0.25), "where suppression cuts"),
        (lambda card: card["input"].update(scale=0), "pixel values"),
        (lambda card: card["input"].update(width=0), "size is not possible"),
        (lambda card: card.update(task="pose"), "keypoints"),
        (lambda card: card.update(model="../model.onnx"), "below the card's folder"),
        (lambda card: card.update(model="other.onnx"), "not among its files"),
        (lambda card: card["files"][0].update(sha256="12"), "64 hex digits"),
        (lambda card: card.update(files=[]), "at least one"),
        (lambda card: card["use"].update(conf=2), "settings of use"),
    ],
)
def test_a_damaged_or_contradictory_card_is_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    path = write_card(sound_card(tmp_path), tmp_path)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=message):
        read_card(tmp_path)


@pytest.mark.parametrize("text", ["", "[1]", "{", "null", '{"card_version": 1}', "[" * 100])
def test_what_is_no_card_is_one_error(tmp_path: Path, text: str) -> None:
    (tmp_path / CARD).write_text(text)
    with pytest.raises(DataError, match="card"):
        read_card(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "missing"), (b"a mod", "cut short"), (b"A model", "not the file"), (b"a model!", "not the")],
)
def test_files_are_compared_with_the_card(tmp_path: Path, content: bytes | None, message: str) -> None:
    write_card(sound_card(tmp_path), tmp_path)
    path = tmp_path / "model.onnx"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_card(tmp_path)
    assert read_card(tmp_path, check_files=False).format == "onnx"


def test_a_card_that_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    card = replace(sound_card(tmp_path), task="pose")
    with pytest.raises(DataError, match="contradicts itself"):
        write_card(card, tmp_path)
    assert not (tmp_path / CARD).exists()
    assert not (tmp_path / "README.md").exists()
