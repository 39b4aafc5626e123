"""OpenVINO's IR as Geti writes it: what its XML says is used, what it leaves open is said, and it is measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from liftgate.cli import main
from liftgate.deploy.export.described import DescribedExport, describe_export
from liftgate.deploy.export.model_info import from_model_info
from liftgate.errors import DataError
from liftgate.services.prediction import predict

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import liftgate  # noqa: E402
from deploy.colours import CLASSES, write_detector, write_images  # noqa: E402  (it needs onnx)
from deploy.openvino_models import GETI, as_openvino, geti, with_boxes_and_labels  # noqa: E402

IMAGENET = "123.675 116.28 103.53"
UNSURE = "order of channels for certain"


def missing(export: DescribedExport) -> str:
    return "; ".join(export.missing)


def test_all_that_the_xml_says_is_the_contract(tmp_path: Path) -> None:
    export = describe_export(geti(tmp_path))
    entry, output = export.card.input, export.card.output
    assert (output.classes, output.layout, output.nms) == (CLASSES, "detections", True)
    assert (entry.letterbox, entry.pad, entry.scale) == ("centre", 114, pytest.approx(1 / 255))
    assert export.limits == ("its maker uses confidence 0.35 and IoU 0.5; here --conf and --iou decide",)
    said = missing(export)
    assert UNSURE in said and "RGB is taken" in said, "which way round images are read is nowhere in the file"
    assert "confidence below which" in said and "licences" in said
    assert not any(word in said for word in ("scale", "fitted", "padding", "names of the classes"))


def test_it_is_checked_predicted_and_measured_at_every_batch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = geti(tmp_path)
    assert main(["check", str(path.parent), "--json"]) == 0, "nothing is said that stops it"
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert {one["id"] for one in findings} == {"model.contract", "model.limits"}
    assert any("its maker uses confidence 0.35" in one["message"] for one in findings)
    write_images(tmp_path / "set", 2)
    assert len(predict(path, tmp_path / "set/images/test", conf=0.25).predictions) == 10
    result = liftgate.bench(path, batches=(1, 2, 8), blocks=1, seconds=0.02, threads=1)
    (model,) = result.models
    assert [(one.batch, one.calls_per_request) for one in model.batches] == [(1, 1), (2, 2), (8, 8)]
    assert any(UNSURE in one for one in model.missing)


@pytest.mark.parametrize("reverse", ["True", "False"])
@pytest.mark.parametrize(
    ("changes", "channels", "certain"),
    [
        ({}, "RGB", False),
        ({"mean_values": IMAGENET, "scale_values": "58.395 57.12 57.375"}, "RGB", True),
        ({"mean_values": "103.53 116.28 123.675", "scale_values": "57.375 57.12 58.395"}, "BGR", True),
        ({"mean_values": "127.0 128.0 129.0", "scale_values": "1.0 1.0 1.0"}, "RGB", False),
        ({"model_type": "YOLO11"}, "RGB", True),
        ({"model_type": "YOLO"}, "RGB", True),
        ({"model_type": "YOLOX"}, "RGB", False),
    ],
)
def test_the_order_of_channels_comes_from_means_and_type_and_not_from_a_flag(
    changes: dict[str, str], channels: str, certain: bool, reverse: str
) -> None:
    """Geti reads images as RGB, ModelAPI's demos as BGR: the same flag means opposite things in their files."""
    said = from_model_info({**GETI, **changes, "reverse_input_channels": reverse})
    assert said.channels == channels
    assert any(UNSURE in one and reverse in one for one in said.unsure) is not certain


@pytest.mark.parametrize(
    ("changes", "letterbox", "values"),
    [
        ({"resize_type": "standard"}, "stretch", (1 / 255, (), ())),
        ({"resize_type": "fit_to_window"}, "top-left", (1 / 255, (), ())),
        (
            {"mean_values": IMAGENET, "scale_values": "58.395 57.12 57.375"},
            "centre",
            (1.0, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
        ),
        ({"mean_values": "-1 0 1", "scale_values": "2.0 2.0 2.0"}, "centre", (1.0, (-1.0, 0.0, 1.0), (2.0, 2.0, 2.0))),
        ({"scale_values": "1.0 1.0 1.0"}, "centre", (1.0, (), ())),
        ({"scale_values": "255"}, "centre", (1 / 255, (), ())),
        ({"mean_values": IMAGENET, "embedded_processing": "True"}, "centre", (1.0, (), ())),
        ({"scale_values": "0.5 0.5 0.5"}, "centre", (1.0, (0.0, 0.0, 0.0), (0.5, 0.5, 0.5))),
    ],
)
def test_fit_and_values_of_pixels_are_those_of_the_file(
    changes: dict[str, str], letterbox: str, values: tuple[float, tuple[float, ...], tuple[float, ...]]
) -> None:
    said = from_model_info({**GETI, **changes})
    assert (said.letterbox, said.scale, said.mean, said.deviation) == (letterbox, *values)


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"resize_type": "crop"}, "images are fitted by crop: Liftgate letterboxes them"),
        ({"tile_size": "400"}, "it was made for tiles of 400 pixels: Liftgate gives it the whole image"),
        ({"input_dtype": "u16"}, "it was made for images of u16: Liftgate gives it 8 bits"),
    ],
)
def test_what_it_asks_for_and_liftgate_does_not_do_is_said(changes: dict[str, str], note: str) -> None:
    assert from_model_info({**GETI, **changes}).notes == [note]


def test_names_with_blanks_are_those_of_the_label_info(tmp_path: Path) -> None:
    """`labels` has red_car for red car, which no truth would call it."""
    names = ["red car", "green", "blue"]
    changes = {"labels": "red_car green blue", "label_info": json.dumps({"label_names": names})}
    export = describe_export(geti(tmp_path, **changes))
    assert export.card.output.classes == tuple(names) and "was a blank" not in missing(export)
    for broken in ("", "{", "[]", json.dumps({"label_names": [1]})):
        said = from_model_info({**GETI, **changes, "label_info": broken})
        assert said.classes == ("red_car", "green", "blue")
        assert any("was a blank" in one for one in said.unsure)


@pytest.mark.parametrize("task", ["instance_segmentation", "rotated_detection", "classification"])
def test_a_model_of_another_task_is_one_error(tmp_path: Path, task: str) -> None:
    with pytest.raises(DataError, match="a model of another task") as refused:
        describe_export(geti(tmp_path, task_type=task))
    assert refused.value.got == task


def test_the_same_in_onnx_is_read_from_its_metadata(tmp_path: Path) -> None:
    metadata = {f"model_info {name}": value for name, value in GETI.items()}
    path = with_boxes_and_labels(write_detector(tmp_path / "geti.onnx", metadata=metadata))
    export, openvino = describe_export(path), describe_export(geti(tmp_path / "openvino"))
    assert (export.card.output, export.card.input) == (openvino.card.output, openvino.card.input)
    assert export.missing == openvino.missing


def test_an_openvino_file_of_ultralytics_without_its_metadata_says_the_same(tmp_path: Path) -> None:
    """As Ultralytics' exporter writes model_info, where only .xml and .bin were copied."""
    info = {
        "model_type": "YOLO", "reverse_input_channels": "YES", "pad_value": "114", "scale_values": "255",
        "iou_threshold": "0.7", "labels": "red green blue", "resize_type": "fit_to_window_letterbox",
    }  # fmt: skip
    path = as_openvino(write_detector(tmp_path / "m.onnx", metadata={}), tmp_path / "ov", info)
    export = describe_export(path)
    assert missing(export) == "the weights that it was made from, the data, and their licences"
    assert (export.card.input.channels, export.card.output.classes) == ("RGB", CLASSES)


def test_three_outputs_are_an_output_that_is_not_known(tmp_path: Path) -> None:
    """Boxes, labels and scores apart, as Geti's transformers give them."""
    model = onnx.load(with_boxes_and_labels(write_detector(tmp_path / "m.onnx", metadata={})))
    scores = onnx.helper.make_node("ReduceMax", ["chances"], ["scores"], axes=[2], keepdims=0)
    corners = onnx.helper.make_node("Concat", ["low", "high"], ["corners"], axis=2)
    model.graph.node.extend([scores, corners])
    labels = model.graph.output[1]
    del model.graph.output[:]
    make, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    model.graph.output.extend([make("corners", kind, [1, 64, 4]), labels, make("scores", kind, [1, 64])])
    onnx.save(model, tmp_path / "m.onnx")
    path = as_openvino(tmp_path / "m.onnx", tmp_path / "detr", GETI)
    with pytest.raises(DataError, match="an output that Liftgate does not know") as refused:
        describe_export(path)
    assert "scores" in str(refused.value.got) and main(["check", str(path)]) == 3
