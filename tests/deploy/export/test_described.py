"""Exports that others made: what their file says is used, what it does not say is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from liftgate.deploy.export.described import DescribedExport, describe_export
from liftgate.deploy.export.stated import from_metadata
from liftgate.errors import DataError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from deploy.colours import CLASSES, ULTRALYTICS, write_detector, write_images  # noqa: E402  (it needs onnx)
from liftgate.deploy.export.finish import finish_export  # noqa: E402
from liftgate.services.prediction import predict  # noqa: E402
from services.planted_exports import ORIGIN, WRITTEN, write_export  # noqa: E402


def as_openvino(source: Path, folder: Path, info: dict[str, str] | None = None) -> Path:
    openvino = pytest.importorskip("openvino")
    model = openvino.convert_model(str(source))
    for name, value in (info or {}).items():
        model.set_rt_info(value, ["model_info", name])
    folder.mkdir(parents=True, exist_ok=True)
    openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
    return folder / "model.xml"


def missing(export: DescribedExport) -> str:
    return "; ".join(export.missing)


def test_a_card_leaves_nothing_open(tmp_path: Path) -> None:
    export = describe_export(write_export(tmp_path / "onnx-fp32"))
    assert export.has_card
    assert export.missing == ()


def test_a_card_beside_another_model_is_not_its_card(tmp_path: Path) -> None:
    folder = write_export(tmp_path / "onnx-fp32")
    other = write_detector(folder / "other.onnx")
    assert not describe_export(other).has_card
    assert describe_export(folder / "model.onnx").has_card


def test_metadata_of_ultralytics_say_all_but_the_origin(tmp_path: Path) -> None:
    export = describe_export(write_detector(tmp_path / "m.onnx"))
    assert export.card.output.classes == CLASSES
    assert export.card.input.channels == "RGB"
    assert missing(export) == "the weights that it was made from, the data, and their licences"


def test_metadata_of_ultralytics_lie_beside_an_openvino_model(tmp_path: Path) -> None:
    path = as_openvino(write_detector(tmp_path / "m.onnx"), tmp_path / "ov")
    document = {name: yaml.safe_load(value) for name, value in ULTRALYTICS.items()}
    (path.parent / "metadata.yaml").write_text(yaml.safe_dump(document))
    export = describe_export(path.parent)
    assert (export.card.format, export.card.output.classes) == ("openvino", CLASSES)
    assert len(export.missing) == 1


def test_the_model_info_of_openvino_is_read_as_geti_writes_it(tmp_path: Path) -> None:
    info = {
        "model_type": "ssd",
        "labels": "red green blue",
        "resize_type": "fit_to_window_letterbox",
        "pad_value": "114",
        "scale_values": "255.0 255.0 255.0",
        "reverse_input_channels": "True",
    }
    export = describe_export(as_openvino(write_detector(tmp_path / "m.onnx", metadata={}), tmp_path / "ov", info))
    assert export.card.output.classes == CLASSES
    assert (export.card.input.letterbox, export.card.input.pad) == ("centre", 114)
    assert export.card.input.scale == pytest.approx(1 / 255)
    assert "order of channels" not in missing(export)


@pytest.mark.parametrize(
    ("info", "letterbox", "values"),
    [
        ({"resize_type": "standard"}, "stretch", (1 / 255, (), ())),
        ({"resize_type": "fit_to_window"}, "top-left", (1 / 255, (), ())),
        (
            {"mean_values": "123.675 116.28 103.53", "scale_values": "58.395 57.12 57.375"},
            "centre",
            (1.0, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
        ),
        ({"mean_values": "-1 0 1", "scale_values": "2.0 2.0 2.0"}, "centre", (1.0, (-1.0, 0.0, 1.0), (2.0, 2.0, 2.0))),
    ],
)
def test_fit_and_values_of_pixels_are_those_of_the_model_info(
    tmp_path: Path, info: dict[str, str], letterbox: str, values: tuple[float, tuple[float, ...], tuple[float, ...]]
) -> None:
    model = as_openvino(write_detector(tmp_path / "m.onnx", metadata={}), tmp_path / "ov", {"labels": "a b c", **info})
    entry = describe_export(model).card.input
    assert (entry.letterbox, entry.scale, entry.mean, entry.deviation) == (letterbox, *values)


def test_a_fit_that_liftgate_does_not_do_is_said(tmp_path: Path) -> None:
    info = {"labels": "red green blue", "resize_type": "crop", "reverse_input_channels": "True"}
    export = describe_export(as_openvino(write_detector(tmp_path / "m.onnx", metadata={}), tmp_path / "ov", info))
    assert export.card.notes == ("images are fitted by crop: Liftgate letterboxes them",)
    assert "how an image is fitted" in missing(export)


def test_boxes_and_labels_in_two_outputs_are_measured_all_the_same(tmp_path: Path) -> None:
    path = write_detector(tmp_path / "m.onnx")
    model = onnx.load(path)
    helper = onnx.helper
    number = onnx.numpy_helper.from_array

    model.graph.initializer.extend(
        [
            number(np.array([0.5], np.float32), "half"),
            number(np.array([2, 2, 3], np.int64), "parts"),
        ]
    )
    model.graph.node.extend(
        [
            helper.make_node("Transpose", ["output0"], ["rows"], perm=[0, 2, 1]),
            helper.make_node("Split", ["rows", "parts"], ["centres", "sizes", "chances"], axis=2),
            helper.make_node("Mul", ["sizes", "half"], ["halves"]),
            helper.make_node("Sub", ["centres", "halves"], ["low"]),
            helper.make_node("Add", ["centres", "halves"], ["high"]),
            helper.make_node("ReduceMax", ["chances"], ["best"], axes=[2], keepdims=1),
            helper.make_node("Concat", ["low", "high", "best"], ["places"], axis=2),
            helper.make_node("ArgMax", ["chances"], ["labels"], axis=2, keepdims=0),
        ]
    )
    del model.graph.output[:]
    model.graph.output.extend(
        [
            helper.make_tensor_value_info("places", onnx.TensorProto.FLOAT, [1, 64, 5]),
            helper.make_tensor_value_info("labels", onnx.TensorProto.INT64, [1, 64]),
        ]
    )
    onnx.save(model, path)
    export = describe_export(path)
    assert (export.card.output.layout, export.card.output.nms) == ("detections", True)
    assert "confidence below which" in missing(export)
    write_images(tmp_path / "set", 2)
    assert len(predict(path, tmp_path / "set/images/test", conf=0.25).predictions) == 10


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({**ULTRALYTICS, "names": "{0: 'red'}"}, "does not fit the classes"),
        ({**ULTRALYTICS, "task": "segment"}, "another task"),
    ],
)
def test_metadata_that_contradict_the_file_are_an_error(tmp_path: Path, metadata: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        describe_export(write_detector(tmp_path / "m.onnx", metadata=metadata))


@pytest.mark.parametrize("names", ["{0: ", "[" * 200, "!!python/object:os.system", "x" * 100_000])
def test_hostile_metadata_are_read_as_if_they_were_not_there(tmp_path: Path, names: str) -> None:
    export = describe_export(write_detector(tmp_path / "m.onnx", metadata={**ULTRALYTICS, "names": names}))
    assert "names of the classes" in missing(export)


@pytest.mark.parametrize("name", ["m.tflite", "m.pt.zip", "folder"])
def test_what_does_not_run_here_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.mkdir() if name == "folder" else path.write_bytes(b"x")
    with pytest.raises(DataError, match="not a model that Liftgate can run"):
        describe_export(path)
    with pytest.raises(DataError, match="no such model"):
        describe_export(tmp_path / "nothing")


def test_weights_beside_the_model_are_files_of_its_card(tmp_path: Path) -> None:
    path = write_detector(tmp_path / "model.onnx")
    onnx.save_model(onnx.load(path), path, save_as_external_data=True, location="model.onnx.data", size_threshold=1024)
    card = finish_export(tmp_path, WRITTEN, "onnx", "fp32", ORIGIN)
    assert [one.path for one in card.files] == ["model.onnx", "model.onnx.data"]
    assert describe_export(tmp_path).has_card
    (tmp_path / "model.onnx.data").unlink()
    with pytest.raises(DataError, match="a file of the export is missing"):
        describe_export(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("names", "{0: 'red', 'a': 'green', 2: 'blue'}"), ("names", "{1: 'red', 2: 'green', 3: 'blue'}"),
        ("names", "{0: 'red', 1: 'red', 2: 'blue'}"), ("kpt_shape", "[null, 3]"), ("kpt_shape", "[.inf, 3]"),
        ("imgsz", "[a, b]"), ("imgsz", "[1000000000, 64]"),
    ],
)  # fmt: skip
def test_metadata_that_cannot_be_are_one_error(tmp_path: Path, key: str, value: str) -> None:
    path = write_detector(tmp_path / "m.onnx", metadata={**ULTRALYTICS, key: value})
    with pytest.raises(DataError) as refused:
        describe_export(path)
    assert "m.onnx" in str(refused.value)


def test_classes_stand_in_the_order_of_their_numbers_also_where_those_are_text() -> None:
    names = {str(number): f"class{number}" for number in sorted(range(12), key=str)}
    assert from_metadata({"names": names}, Path("metadata.yaml")).classes == tuple(f"class{n}" for n in range(12))
