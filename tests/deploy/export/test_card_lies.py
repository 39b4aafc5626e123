"""A card that lies: every value of card.json changed in turn.

Changed by hand, every verb says that the card was edited, or what contradicts it. Written so by a program, the lie is
refused when the model is loaded, or found by the proof, or the detections do not rest on it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import liftgate
from deploy.export.cards import sound_card
from liftgate.checks.subject import CheckedModel
from liftgate.deploy.export.card import CalibrationRecord, ExportCard, OutputContract, Source, TargetDevice, UseSettings
from liftgate.deploy.export.card_file import read_card, write_card
from liftgate.deploy.export.described import describe_export
from liftgate.deploy.serving.champion import FileSource, Thresholds
from liftgate.errors import DataError
from liftgate.services.checked_models import inspect_model
from liftgate.services.export_target import export_on_target

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from deploy.colours import GROUPS, write_images
from services.planted_exports import write_export


def full_card(folder: Path) -> ExportCard:
    """A card in which no value is missing."""
    card = sound_card(folder)
    contract = replace(card.input, mean=(0.1, 0.2, 0.3), deviation=(0.9, 0.8, 0.7))
    shape = (1, 300, 12)
    output = OutputContract("detections", shape, ("cat", "dog"), "xyxy", nms=True, nms_conf=0.25, keypoints=(2, 3))
    return replace(
        card,
        precision="int8",
        task="pose",
        input=contract,
        output=output,
        data=Source("cones", "cd" * 32, "MIT"),
        calibration=CalibrationRecord(Source("cones", "cd" * 32, "MIT"), "train", 128, 16, 0, "ef" * 32, "QDQ"),
        device=TargetDevice("Orin", "540.4", "TensorRT 10.9.0"),
        notes=("made on the target",),
    )


def leaves(value: object, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Return the places of all values of a document that hold no others."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [one for key, below in inside for one in leaves(below, (*place, key))]
    yield from found or [place]


def lies(value: object) -> list[object]:
    """Return other values of the same kind, and none at all."""
    match value:
        case bool():
            return [not value]
        case int():
            return [value + 1, 1, 0]
        case float():
            return [value / 2, 1.0]
        case str():
            others = ["RGB", "BGR", "NHWC", "float16", "stretch", "top-left", "cxcywh", "anchors", "fp32", "fp16"]
            return [*others, "detect", "openvino", f"{value}x", "12" * 32]
        case _:
            return [1, "x", [1.0, 1.0, 1.0]]


def changed(document: Any, place: tuple[str | int, ...], value: object) -> Any:
    copy = json.loads(json.dumps(document))
    inside = copy
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    return copy


def test_no_value_of_a_card_can_be_edited_unseen(tmp_path: Path) -> None:
    path = write_card(full_card(tmp_path), tmp_path)
    document = json.loads(path.read_text())
    assert read_card(tmp_path) == full_card(tmp_path)
    places = list(leaves(document))
    assert len(places) > 60
    for place in places:
        value = document
        for key in place:
            value = value[key]
        for lie in [*lies(value), None]:
            if lie == value and type(lie) is type(value):
                continue
            path.write_text(json.dumps(changed(document, place, lie)))
            with pytest.raises(DataError) as refused:
                read_card(tmp_path)
            assert "card" in str(refused.value), (place, lie)


def test_an_added_and_a_missing_class_are_seen_too(tmp_path: Path) -> None:
    card = replace(sound_card(tmp_path), output=OutputContract("anchors", (1, None, 8400), ("cat", "dog")))
    path = write_card(card, tmp_path)
    document = json.loads(path.read_text())
    for classes in (["dog", "cat"], ["cat"], ["cat", "dog", "bird"]):
        path.write_text(json.dumps(changed(document, ("output", "classes"), classes)))
        with pytest.raises(DataError, match="edited after it was written"):
            read_card(tmp_path)


def without_hash(folder: Path) -> Path:
    """As whoever edits a card may leave it."""
    path = folder / "card.json"
    document = json.loads(path.read_text())
    del document["card_sha256"]
    path.write_text(json.dumps(document))
    return folder


def test_whole_numbers_where_the_card_has_fractions_are_no_edit(tmp_path: Path) -> None:
    card = replace(sound_card(tmp_path), use=UseSettings(conf=0, iou=1))
    write_card(card, tmp_path)
    assert read_card(tmp_path) == card


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("set"), 24, n_groups=12, size=(160, 128))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_export(tmp_path_factory.mktemp("sound") / "onnx-fp32")


def edited_by_hand(folder: Path) -> Path:
    write_export(folder)
    path = folder / "card.json"
    path.write_text(json.dumps(changed(json.loads(path.read_text()), ("input", "channels"), "BGR")))
    return folder


def refusal(verb: Callable[[], object]) -> str:
    with pytest.raises(DataError) as refused:
        verb()
    return str(refused.value)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (edited_by_hand, "the card was edited after it was written"),
        (lambda folder: without_hash(edited_by_hand(folder)), "the card has no hash of itself"),
        (lambda folder: without_hash(write_export(folder)), "the card has no hash of itself"),
    ],
)
def test_every_verb_refuses_a_card_that_was_edited(
    tmp_path: Path, data: Path, sound: Path, damage: Callable[[Path], Path], said: str
) -> None:
    """Taking the hash out lets no edit through: an unedited card without it is refused alike."""
    folder = damage(tmp_path / "edited")
    assert said in refusal(lambda: describe_export(folder))
    assert said in refusal(lambda: describe_export(folder / "model.onnx"))
    assert said in refusal(lambda: liftgate.predict(folder, data, split="test"))
    assert said in refusal(lambda: liftgate.bench([folder], images=data.parent / "images/test"))
    registry = tmp_path / "models"
    liftgate.add_model(folder / "model.onnx", registry=registry)
    assert said in refusal(lambda: liftgate.add_export("v0", folder, registry=registry))
    assert "part of an export with a card" in refusal(
        lambda: liftgate.add_export("v0", folder / "model.onnx", registry=registry)
    )
    assert liftgate.show_model("v0", registry=registry).exports == (), "nothing is registered by half"
    assert liftgate.verify_models(registry=registry).damages == ()
    checked = inspect_model(folder)
    assert isinstance(checked, CheckedModel) and said in str(checked.unusable)
    (proof,) = liftgate.prove_exports(sound, [folder], data, split="test", groups=GROUPS).proofs
    assert proof.word == "FAIL" and said in proof.reason and proof.symptoms[0].id == "file.unusable"
    assert said in refusal(lambda: liftgate.prove_exports(folder, [sound], data, split="test", groups=GROUPS))
    assert said in refusal(lambda: export_on_target(folder, data, tmp_path / "bundle"))
    assert said in refusal(lambda: FileSource(folder, Thresholds()).load())
    assert not (tmp_path / "bundle").exists()


def of_input(**values: Any) -> Callable[[ExportCard], ExportCard]:
    return lambda card: replace(card, input=replace(card.input, **values))


def of_output(**values: Any) -> Callable[[ExportCard], ExportCard]:
    return lambda card: replace(card, output=replace(card.output, **values))


def of_use(**values: Any) -> Callable[[ExportCard], ExportCard]:
    return lambda card: replace(card, use=replace(card.use, **values))


def of_card(**values: Any) -> Callable[[ExportCard], ExportCard]:
    return lambda card: replace(card, **values)


REFUSED = {
    "height": of_input(height=160),
    "width": of_input(width=96),
    "batch": of_input(batch=2),
    "layout": of_input(layout="NHWC"),
    "type": of_input(dtype="float16"),
    "class order": of_output(classes=("green", "red", "blue")),
    "score scale, smaller": of_output(score_scale=0.5),
    "output's shape": of_output(shape=(1, 7, 65)),
    "format": of_card(format="openvino"),
}
FOUND = {
    "channels": of_input(channels="BGR"),
    "scale": of_input(scale=1 / 510),
    "mean": of_input(mean=(0.4, 0.4, 0.4), deviation=(0.3, 0.3, 0.3)),
    "letterbox, top left": of_input(letterbox="top-left"),
    "letterbox, stretched": of_input(letterbox="stretch"),
    "boxes": of_output(boxes="xyxy"),
    "score scale, larger": of_output(score_scale=2.0),
    "weights": of_card(weights=Source("other.pt", "12" * 32)),
}
NOT_RESTED_ON = {
    "precision": of_card(precision="fp16"),
    "opset": of_card(opset=7),
    "versions": of_card(versions=(("onnx", "0.1"),)),
    "notes": of_card(notes=("made by nobody",)),
    "name and licence of the weights": of_card(weights=Source("mine.pt", "ab" * 32, "MIT")),
    "data": of_card(data=Source("other", "12" * 32, "MIT")),
}


def test_a_lie_that_the_file_contradicts_is_refused(tmp_path: Path, data: Path) -> None:
    for number, (name, lie) in enumerate(REFUSED.items()):
        folder = write_export(tmp_path / f"{number}")
        write_card(lie(read_card(folder)), folder)
        assert refusal(lambda folder=folder: liftgate.predict(folder, data, split="test", conf=0.25)), name


def test_a_lie_that_changes_detections_is_found_by_the_proof(tmp_path: Path, data: Path, sound: Path) -> None:
    folders = {}
    for number, (name, lie) in enumerate(FOUND.items()):
        folders[name] = write_export(tmp_path / f"{number}")
        write_card(lie(read_card(folders[name])), folders[name])
    proofs = liftgate.prove_exports(sound, list(folders.values()), data, split="test", groups=GROUPS).proofs
    words = {name: proof.word for name, proof in zip(folders, proofs, strict=True)}
    assert words == dict.fromkeys(FOUND, "FAIL"), {one.name: one.symptoms for one in proofs}


def test_settings_of_use_are_said_with_the_detections_that_rest_on_them(tmp_path: Path, data: Path) -> None:
    for name, value in (("conf", 0.6), ("iou", 0.3), ("max_det", 2)):
        folder = write_export(tmp_path / name)
        write_card(of_use(**{name: value})(read_card(folder)), folder)
        assert liftgate.predict(folder, data, split="test").predictions.settings[name] == value


def test_detections_do_not_rest_on_what_only_describes(tmp_path: Path, data: Path, sound: Path) -> None:
    truth = liftgate.predict(sound, data, split="test").predictions
    for number, (name, lie) in enumerate(NOT_RESTED_ON.items()):
        folder = write_export(tmp_path / f"{number}")
        write_card(lie(read_card(folder)), folder)
        found = liftgate.predict(folder, data, split="test").predictions
        assert (found.boxes == truth.boxes).all() and (found.scores == truth.scores).all(), name
