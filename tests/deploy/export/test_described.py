"""Exports that others made: what their file says is used, what it does not say is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from liftgate.deploy.export.described import DescribedExport, describe_export
from liftgate.deploy.export.stated import from_metadata
from liftgate.errors import DataError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from deploy.colours import CLASSES, ULTRALYTICS, write_detector  # noqa: E402  (it needs onnx)
from deploy.openvino_models import as_openvino  # noqa: E402
from liftgate.deploy.export.finish import finish_export  # noqa: E402
from services.planted_exports import ORIGIN, WRITTEN, write_export  # noqa: E402


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


def add_output(path: Path, name: str, sides: list[int]) -> Path:
    """Give a model one more output, of zeros."""
    model = onnx.load(path)
    zeros = onnx.helper.make_tensor("value", onnx.TensorProto.FLOAT, [1], [0.0])
    model.graph.initializer.append(
        onnx.helper.make_tensor(f"{name}_shape", onnx.TensorProto.INT64, [len(sides)], sides)
    )
    model.graph.node.append(onnx.helper.make_node("ConstantOfShape", [f"{name}_shape"], [name], value=zeros))
    model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sides))
    onnx.save(model, path)
    return path


def turn_output(path: Path) -> Path:
    """Give the output with its last two sides exchanged, as YOLOv5 does: (1, anchors, values)."""
    model = onnx.load(path)
    model.graph.node.append(onnx.helper.make_node("Transpose", ["output0"], ["turned"], perm=[0, 2, 1]))
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("turned", onnx.TensorProto.FLOAT, [1, 64, 7]))
    onnx.save(model, path)
    return path


def test_a_bare_file_of_another_task_or_layout_is_not_taken_for_a_detector_of_many_classes(tmp_path: Path) -> None:
    masks = add_output(write_detector(tmp_path / "seg.onnx", metadata={}), "output1", [1, 32, 32, 32])
    for path in (masks, turn_output(write_detector(tmp_path / "turned.onnx", metadata={}))):
        with pytest.raises(DataError, match="an output that Liftgate does not know"):
            describe_export(path)


@pytest.mark.parametrize("names", ["{0: ", "[" * 200, "!!python/object:os.system", "x" * 100_000])
def test_hostile_metadata_are_read_as_if_they_were_not_there(tmp_path: Path, names: str) -> None:
    export = describe_export(write_detector(tmp_path / "m.onnx", metadata={**ULTRALYTICS, "names": names}))
    assert "names of the classes" in missing(export)


@pytest.mark.parametrize("name", ["m.pte", "m.pt.zip", "folder"])
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
