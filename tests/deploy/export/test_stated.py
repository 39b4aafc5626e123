"""Files beside a model: those of its maker count, a stranger's of the same name change nothing, and differences are
said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from liftgate.deploy.export.described import DescribedExport, describe_export
from liftgate.errors import DataError

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from deploy.colours import CLASSES, ULTRALYTICS, write_detector
from deploy.openvino_models import as_openvino, geti

BARE: dict[str, str] = {}
RESIZED = {"resize": {"format": "Fit (black edges) in", "width": 128, "height": 128, "enabled": True}}
STRANGERS = {
    "environment.json": ['{"python": "3.11"}', '{"dependencies": ["torch"]}', '["torch", "numpy"]', '"text"', "{}"],
    "inference_config.json": ['{"batch_size": 8, "conf": 0.5}', "[1, 2]", '{"post_processing": {"fused": true}}'],
    "model_type.json": ['{"task_type": "instance-segmentation"}', "[1]", "{"],
    "model_config.json": ['{"task_type": "CAUSAL_LM", "architectures": []}', "[1]", "{"],
}
UNREADABLE = {
    "environment.json": ["{", '{"PREPROCESSING": "{"}', '{"CLASS_MAP": {"5": "red"}}', '{"PREPROCESSING": 7}'],
    "inference_config.json": ["{", '{"network_input": [1, 2]}'],
    "class_names.txt": ["\udcff\udcfe"],
}


def beside(model: Path, name: str, text: str) -> DescribedExport:
    (model.parent / name).write_text(text, errors="surrogateescape")
    return describe_export(model)


def all_of(files: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(name, text) for name, texts in files.items() for text in texts]


def open_(export: DescribedExport) -> str:
    return "; ".join(export.missing)


@pytest.mark.parametrize("metadata", [ULTRALYTICS, BARE], ids=["Ultralytics", "bare"])
@pytest.mark.parametrize(("name", "text"), all_of(STRANGERS))
def test_a_strangers_file_changes_nothing(tmp_path: Path, metadata: dict[str, str], name: str, text: str) -> None:
    model = write_detector(tmp_path / "m.onnx", metadata=metadata)
    alone = describe_export(model)
    assert beside(model, name, text) == alone
    assert alone.card.input.letterbox == "centre" and alone.card.weights.name != "Roboflow"


@pytest.mark.parametrize(("name", "text"), all_of(UNREADABLE))
def test_an_unreadable_file_is_said_beside_a_model_that_says_all_itself(tmp_path: Path, name: str, text: str) -> None:
    model = write_detector(tmp_path / "m.onnx")
    alone = describe_export(model)
    found = beside(model, name, text)
    assert found.card == alone.card
    assert set(found.missing) - set(alone.missing) == {
        f"what {name} beside it means: it cannot be read, and nothing of it is taken"
    }
    write_detector(model, metadata=BARE)
    with pytest.raises(DataError, match=r"cannot be read|not numbered from 0"):
        describe_export(model)


def test_an_environment_of_roboflow_counts_and_differences_are_said(tmp_path: Path) -> None:
    model = write_detector(tmp_path / "m.onnx")
    environment = {"PREPROCESSING": json.dumps(RESIZED), "CLASS_MAP": {"0": "blue", "1": "green", "2": "red"}}
    found = beside(model, "environment.json", json.dumps(environment))
    assert (found.card.input.letterbox, found.card.input.pad) == ("centre", 0)
    assert found.card.output.classes == CLASSES and found.card.weights.name == "Ultralytics"
    assert "padding's value for certain: environment.json says 0, elsewhere it is 114; 0 is taken" in open_(found)
    assert "environment.json has others than the model, whose names are taken" in open_(found)
    assert "fitted" not in open_(found)
    found = beside(model, "model_type.json", '{"project_task_type": "instance-segmentation"}')
    assert "model_type.json says instance-segmentation, elsewhere it is detect; that is taken" in open_(found)


@pytest.mark.parametrize("steps", [{}, {"auto-orient": {"enabled": True}}, {"resize": {"enabled": False}}])
def test_without_a_resize_the_fit_is_the_models_or_open(tmp_path: Path, steps: dict[str, object]) -> None:
    text = json.dumps({"PREPROCESSING": json.dumps(steps)})
    model = write_detector(tmp_path / "m.onnx")
    assert replace(beside(model, "environment.json", text), missing=()) == replace(describe_export(model), missing=())
    assert "fitted" not in open_(describe_export(model))
    write_detector(model, metadata=BARE)
    assert "how an image is fitted: centred letterbox is taken" in open_(describe_export(model))
    assert describe_export(model).card.weights.name == "Roboflow"


def test_a_configuration_of_roboflow_says_where_it_differs_from_the_model(tmp_path: Path) -> None:
    model = write_detector(tmp_path / "m.onnx")
    alone = describe_export(model)
    same = {"color_mode": "rgb", "resize_mode": "letterbox", "padding_value": 114, "scaling_factor": 255}
    same = {**same, "normalization": [[0, 0, 0], [1, 1, 1]]}
    assert beside(model, "inference_config.json", json.dumps({"network_input": same})) == alone
    other = {"color_mode": "bgr", "resize_mode": "stretch", "normalization": [[0.5, 0.5, 0.5], [0.2, 0.2, 0.2]]}
    found = beside(model, "inference_config.json", json.dumps({"network_input": other}))
    assert (found.card.input.channels, found.card.input.letterbox) == ("BGR", "stretch")
    for text in ("says BGR, elsewhere it is RGB; BGR", "says stretch, elsewhere it is centre", "mean of pixels"):
        assert text in open_(found)


def test_names_that_were_given_and_are_not_the_models_are_said(tmp_path: Path) -> None:
    model = write_detector(tmp_path / "m.onnx")
    assert "that were given" not in "; ".join(describe_export(model, CLASSES).missing)
    assert "names that were given: it has others" in "; ".join(describe_export(model, ("a", "b", "c")).missing)


# metadata.yaml beside OpenVINO's IR

THEIRS = {name: yaml.safe_load(value) for name, value in ULTRALYTICS.items()}
OF_ULTRALYTICS = {"model_type": "YOLO", "labels": " ".join(CLASSES), "resize_type": "fit_to_window_letterbox"}


@pytest.mark.parametrize("text", ["title: frames\n", "names: [cat, dog, bird]\ntask: segment\n", "- 1\n", "a: [\n"])
def test_a_strangers_metadata_leave_a_model_of_geti_as_it_is(tmp_path: Path, text: str) -> None:
    model = geti(tmp_path)
    alone = describe_export(model)
    found = beside(model, "metadata.yaml", text)
    assert found.card == alone.card
    assert ("metadata.yaml beside it means: it cannot be read" in open_(found)) == (text == "a: [\n")
    found = beside(model, "metadata.yaml", yaml.safe_dump({**THEIRS, "names": {0: "cat", 1: "dog", 2: "bird"}}))
    assert found.card == alone.card and "its XML is not Ultralytics', and is taken" in open_(found)


def test_names_that_were_changed_in_ultralytics_metadata_are_taken_and_said(tmp_path: Path) -> None:
    model = as_openvino(write_detector(tmp_path / "m.onnx"), tmp_path / "ov", OF_ULTRALYTICS)
    assert "which classes" not in open_(beside(model, "metadata.yaml", yaml.safe_dump(THEIRS)))
    found = beside(model, "metadata.yaml", yaml.safe_dump({**THEIRS, "names": {0: "cat", 1: "dog", 2: "bird"}}))
    assert found.card.output.classes == ("cat", "dog", "bird")
    assert "metadata.yaml has others than its XML" in open_(found)
