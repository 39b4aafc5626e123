from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import liftgate
from liftgate.cli import main
from liftgate.deploy.runtime.predict import load_model
from liftgate.errors import DataError, Refused, UsageError
from liftgate.services.prediction import predict

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from dataclasses import replace

from deploy.colours import CLASSES, GROUPS, write_detector, write_images
from liftgate.deploy.export.described import describe_export


def test_an_export_finds_the_objects_of_a_data_set(tmp_path: Path) -> None:
    data = write_images(tmp_path / "set")
    result = predict(write_detector(tmp_path / "m.onnx"), data, tmp_path / "p.json", split="test")
    found = liftgate.evaluate(data, tmp_path / "p.json", split="test", groups=GROUPS)
    assert found.metrics["mAP50-95"] > 0.95
    assert result.predictions.classes == CLASSES
    assert result.predictions.settings["weights"] == describe_export(tmp_path / "m.onnx").card.sha256


def test_images_without_labels_get_the_models_own_classes(tmp_path: Path) -> None:
    write_images(tmp_path / "set", 3)
    result = predict(write_detector(tmp_path / "m.onnx"), tmp_path / "set/images/test", tmp_path / "p.json", conf=0.25)
    assert result.dataset.classes == CLASSES
    rows = json.loads((tmp_path / "p.json").read_text())
    assert {row["category_id"] for row in rows} <= {1, 2, 3}
    assert {row["image_id"] for row in rows} <= {"g0_000.png", "g1_001.png", "g2_002.png"}
    settings = json.loads((tmp_path / "p.settings.json").read_text())
    assert {name: settings[name] for name in ("conf", "iou", "imgsz")} == {"conf": 0.25, "iou": 0.7, "imgsz": 128}


def test_boxes_come_back_into_images_of_any_size(tmp_path: Path) -> None:
    data = write_images(tmp_path / "set", size=(208, 96), noise=0)
    result = predict(write_detector(tmp_path / "m.onnx"), data, conf=0.25)
    boxes = result.predictions.boxes
    assert len(boxes)
    assert boxes.min() >= 0
    assert (boxes[:, 2] <= 208).all()
    assert (boxes[:, 3] <= 96).all()
    assert boxes[:, 2].max() > 130  # not in pixels of the input


def test_one_image_is_predicted_alone(tmp_path: Path) -> None:
    write_images(tmp_path / "set", 1)
    result = predict(write_detector(tmp_path / "m.onnx"), tmp_path / "set/images/test/g0_000.png", conf=0.25)
    assert result.predictions.images == ("g0_000.png",)
    assert len(result.predictions) == 5


def test_classes_are_matched_by_name_not_by_number(tmp_path: Path) -> None:
    data = write_images(tmp_path / "set")
    turned = {"names": "{0: 'blue', 1: 'red', 2: 'green'}", "author": "Ultralytics", "task": "detect"}
    model = write_detector(tmp_path / "m.onnx", order=(2, 0, 1), metadata=turned)
    predict(model, data, tmp_path / "p.json", split="test")
    assert liftgate.evaluate(data, tmp_path / "p.json", split="test").metrics["mAP50"] > 0.95


def test_what_an_export_does_not_say_is_said(tmp_path: Path) -> None:
    write_images(tmp_path / "set", 2)
    bare = write_detector(tmp_path / "m.onnx", metadata={})
    result = predict(bare, tmp_path / "set/images/test")
    notes = "\n".join(result.notes)
    for word in ("names of the classes", "order of channels", "scale of pixels", "padding"):
        assert word in notes
    assert result.dataset.classes == ("class 0", "class 1", "class 2")
    named = predict(bare, tmp_path / "set/images/test", classes=CLASSES)
    assert named.dataset.classes == CLASSES


def test_a_card_that_is_wrong_about_its_model_is_refused(tmp_path: Path) -> None:
    export = describe_export(write_detector(tmp_path / "m.onnx"))
    wrong = replace(export.card, input=replace(export.card.input, width=64))
    with pytest.raises(DataError, match="wrong about the input"):
        load_model(wrong, tmp_path)
    wrong = replace(export.card, output=replace(export.card.output, shape=(1, 7, 65)))
    with pytest.raises(DataError, match="wrong about the output"):
        load_model(wrong, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conf": 2.0}, "conf is out of range"),
        ({"iou": 0.0}, "iou is out of range"),
        ({"max_det": 0}, "max_det is out of range"),
        ({"imgsz": 64}, "the size that it was made with"),
        ({"split": "train"}, "no split 'train'"),
        ({"out": "p.txt"}, "a .json"),
        ({"images": "nowhere"}, "no such images"),
        ({"model": "nothing.onnx"}, "no such model"),
    ],
)
def test_a_wrong_argument_is_one_error(tmp_path: Path, change: dict[str, object], message: str) -> None:
    data = write_images(tmp_path / "set", 1)
    arguments: dict[str, object] = {"model": write_detector(tmp_path / "m.onnx"), "images": data, **change}
    with pytest.raises(UsageError, match=message):
        predict(**arguments)  # type: ignore[arg-type]


def test_a_checkpoint_that_would_run_code_is_refused_before_a_child_starts(tmp_path: Path) -> None:
    import zipfile

    write_images(tmp_path / "set", 1)
    with zipfile.ZipFile(tmp_path / "evil.pt", "w") as archive:
        archive.writestr("evil/data.pkl", b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
        archive.writestr("evil/version", "3\n")
    with pytest.raises(Refused, match=r"could run code.*os\.system"):
        predict(tmp_path / "evil.pt", tmp_path / "set/images/test")


def test_the_command_prints_where_and_how_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(tmp_path / "set", 2)
    model = write_detector(tmp_path / "m.onnx")
    images, out = str(tmp_path / "set/images/test"), str(tmp_path / "p.json")
    assert main(["predict", str(model), images, "--out", out, "--conf", "0.25", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["n_images"], printed["n_detections"]) == (2, 10)
    assert main(["predict", str(tmp_path), images, "--out", out]) == 0  # the folder holds one model
    assert main(["predict", str(model), str(tmp_path / "set/labels"), "--out", out]) == 2


def test_an_image_that_cannot_be_read_stops_it_and_nothing_is_written(tmp_path: Path) -> None:
    write_images(tmp_path / "set", 2)
    (tmp_path / "set/images/test/h_1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="no image"):
        predict(write_detector(tmp_path / "m.onnx"), tmp_path / "set/images/test", tmp_path / "p.json")
    assert not (tmp_path / "p.json").exists()


def test_predictions_do_not_depend_on_other_images(tmp_path: Path) -> None:
    write_images(tmp_path / "set", 4)
    model, folder = write_detector(tmp_path / "m.onnx"), tmp_path / "set/images/test"
    together = predict(model, folder).predictions
    alone = predict(model, folder / "g2_002.png").predictions
    rows = together.image == 2
    assert np.array_equal(together.boxes[rows], alone.boxes)
    assert np.array_equal(together.scores[rows], alone.scores)


def test_a_page_shows_the_detections_and_the_labels_and_needs_nothing_else(tmp_path: Path) -> None:
    data = write_images(tmp_path / "set", 3)
    model = write_detector(tmp_path / "m.onnx")
    result = predict(model, data, tmp_path / "p.json", page=tmp_path / "look.html")
    page = (tmp_path / "look.html").read_text()
    browsed = json.loads(page.partition('class="browser-data">')[2].partition("</script>")[0])
    assert {one["name"] for one in browsed} == set(result.predictions.images)
    for one in browsed:
        rows = result.predictions.image == result.predictions.images.index(one["name"])
        assert len(one["panels"][0]["boxes"]) == (rows & (result.predictions.scores >= 0.25)).sum()
        assert one["truth"] and one["jpeg"].startswith("data:image/jpeg;base64,")
    assert "What m.onnx finds" in page and "dashed white" in page
    assert "http:" not in page and "https:" not in page and "default-src 'none'" in page
    assert len(page) < 8_000_000


def test_a_page_without_labels_says_that_nothing_there_is_known_to_be_right(tmp_path: Path) -> None:
    write_images(tmp_path / "set", 2)
    predict(
        write_detector(tmp_path / "m.onnx"), tmp_path / "set/images/test", page=tmp_path / "look.html", conf=0.99999
    )
    page = (tmp_path / "look.html").read_text()
    assert "nothing here says what is right" in page and "nothing found" in page
    assert "Found <select" in page and "Error <select" not in page
    with pytest.raises(UsageError, match=r"an \.html"):
        predict(tmp_path / "m.onnx", tmp_path / "set/images/test", page=tmp_path / "look.pdf")
