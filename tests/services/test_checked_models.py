"""`check` on model files: what their makers left open is named, and what cannot run is one finding."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import liftgate
from liftgate.deploy.export.card import TargetDevice
from liftgate.deploy.export.card_file import read_card, write_card
from liftgate.deploy.export.described import describe_export
from liftgate.errors import UsageError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from deploy.colours import CLASSES, ULTRALYTICS, write_detector, write_images  # noqa: E402  (it needs onnx)
from deploy.openvino_models import as_openvino  # noqa: E402
from deploy.runtime.test_sessions import (  # noqa: E402
    cut,
    with_custom_operation,
    with_missing_weights,
    with_new_opset,
)
from services.planted_exports import write_export  # noqa: E402


def found(path: Path, family: str = "model") -> dict[str, list[str]]:
    """Id → messages of the findings."""
    said: dict[str, list[str]] = {}
    for one in liftgate.check(path).findings:
        assert one.id.startswith(family)
        said.setdefault(one.id, []).append(one.message)
    return said


# Exports of others


def roboflow(folder: Path, names: str = "red\ngreen\nblue\n", **changes: object) -> Path:
    """A download: a model that says nothing, names of its classes, and how it is run."""
    folder.mkdir()
    write_detector(folder / "weights.onnx", metadata={})
    (folder / "class_names.txt").write_text(names)
    config: dict[str, object] = {
        "image_pre_processing": {"auto-orient": {"enabled": True}, "contrast": None},
        "network_input": {
            "training_input_size": {"height": 128, "width": 128},
            "color_mode": "rgb",
            "resize_mode": "letterbox",
            "padding_value": 114,
            "input_channels": 3,
            "scaling_factor": 255.0,
            "normalization": None,
        },
        "post_processing": {"type": "nms", "fused": False, "nms_parameters": {"confidence_threshold": 0.25}},
    }
    network = {**config["network_input"], **changes.pop("network_input", {})}  # type: ignore[dict-item]
    (folder / "inference_config.json").write_text(json.dumps({**config, **changes, "network_input": network}))
    return folder


def test_an_export_of_liftgate_leaves_nothing_open(tmp_path: Path) -> None:
    folder = write_export(tmp_path / "onnx-fp32")
    assert found(folder) == {} and found(folder / "model.onnx") == {} and found(folder / "card.json") == {}
    assert liftgate.check(folder).ok


def test_a_bare_file_is_usable_and_all_that_is_open_is_named(tmp_path: Path) -> None:
    said = found(write_detector(tmp_path / "bare.onnx", metadata={}))
    open_ = "; ".join(said.pop("model.contract"))
    assert said == {}
    for word in ("order of channels", "scale of pixels", "fitted", "padding", "names of the classes", "licences"):
        assert word in open_


def test_a_file_of_ultralytics_leaves_only_its_origin_open(tmp_path: Path) -> None:
    (text,) = found(write_detector(tmp_path / "m.onnx"))["model.contract"]
    assert "the weights that it was made from" in text


def test_a_folder_with_an_openvino_model_is_that_model_and_no_data_set(tmp_path: Path) -> None:
    path = as_openvino(write_detector(tmp_path / "m.onnx", metadata={}), tmp_path / "geti/model")
    inside = as_openvino(write_detector(tmp_path / "m.onnx"), tmp_path / "theirs/best_openvino_model")
    for place in (path, path.parent, inside.parent, inside.parent.parent):
        assert set(found(place)) == {"model.contract"}, place


def test_a_download_of_roboflow_says_its_classes_and_how_it_is_used(tmp_path: Path) -> None:
    folder = roboflow(tmp_path / "download")
    (text,) = found(folder)["model.contract"]
    assert "the weights that it was made from" in text
    write_images(tmp_path / "set", 2)
    result = liftgate.predict(folder, tmp_path / "set/images/test", conf=0.25)
    assert (result.predictions.classes, len(result.predictions)) == (CLASSES, 10)


def test_what_a_download_asks_for_and_liftgate_does_not_do_is_named(tmp_path: Path) -> None:
    folder = roboflow(
        tmp_path / "download",
        image_pre_processing={"static-crop": {"enabled": True, "x_min": 1}, "grayscale": {"enabled": False}},
        network_input={"dataset_version_resize_dimensions": {"height": 96, "width": 128}},
    )
    said = found(folder)["model.preparation"]
    assert len(said) == 2 and "static-crop" in said[1] and "128 × 96" in said[0]
    write_images(tmp_path / "set", 1)
    notes = liftgate.predict(folder, tmp_path / "set/images/test").notes
    assert any("static-crop" in one for one in notes), "said beside the numbers too"


def older_roboflow(folder: Path, resize: str = "Stretch to", **steps: object) -> Path:
    """A download as Roboflow's inference server keeps it: what was done to images is JSON in JSON."""
    folder.mkdir()
    write_detector(folder / "weights.onnx", metadata={})
    resized = {"format": resize, "width": 128, "height": 128, "enabled": True}
    environment = {
        "PREPROCESSING": json.dumps({"auto-orient": {"enabled": True}, "resize": resized, **steps}),
        "CLASS_MAP": {"0": "red", "1": "green", "2": "blue"},
        "COLORS": {"red": "#f00"},
        "BATCH_SIZE": "8",
    }
    (folder / "environment.json").write_text(json.dumps(environment))
    (folder / "model_type.json").write_text('{"project_task_type": "object-detection", "model_type": "yolov8n"}')
    return folder


@pytest.mark.parametrize(
    ("resize", "fit", "pad"),
    [
        ("Stretch to", "stretch", 114),
        ("Fit (black edges) in", "centre", 0),
        ("Fit (white edges) in", "centre", 255),
        ("Fit (grey edges) in", "centre", 114),
        ("Fit within", "stretch", 114),
    ],
)
def test_an_older_download_of_roboflow_says_how_images_were_fitted(
    tmp_path: Path, resize: str, fit: str, pad: int
) -> None:
    folder = older_roboflow(tmp_path / "download", resize, grayscale={"enabled": True}, contrast={"enabled": False})
    entry = describe_export(folder).card.input
    assert (entry.letterbox, entry.pad) == (fit, pad)
    said = found(folder)
    open_ = "; ".join(said["model.contract"])
    assert "names of the classes" not in open_ and "fitted" not in open_ and "order of channels" in open_
    assert [("stretches them" in one, "grayscale" in one) for one in said["model.preparation"]] == [
        *([(True, False)] if resize == "Fit within" else []),
        (False, True),
    ]


def test_names_beside_the_model_that_are_not_its_own_are_said(tmp_path: Path) -> None:
    folder = older_roboflow(tmp_path / "download")
    write_detector(folder / "weights.onnx")
    (folder / "class_names.txt").write_text("red\ngreen\nblue\n")
    assert "class_names.txt" not in str(found(folder))
    (folder / "class_names.txt").write_text("blue\ngreen\nred\n")
    assert any("class_names.txt has others than the model" in one for one in found(folder)["model.contract"])
    write_detector(folder / "weights.onnx", metadata={})
    open_ = "; ".join(found(folder)["model.contract"])
    assert "class_names.txt has others than environment.json, whose names are taken" in open_


def test_means_and_deviations_are_applied(tmp_path: Path) -> None:
    plain = roboflow(tmp_path / "plain")
    # The same model for normalised pixels: its first convolution gets (x − mean) / deviation and puts it right again.
    folder = roboflow(tmp_path / "normal", network_input={"normalization": [[0.5, 0.4, 0.3], [0.2, 0.25, 0.5]]})
    put_right(folder / "weights.onnx", (0.5, 0.4, 0.3), (0.2, 0.25, 0.5))
    write_images(tmp_path / "set", 3)
    one, other = (liftgate.predict(each, tmp_path / "set/images/test").predictions for each in (plain, folder))
    assert len(one) == len(other) > 0
    assert abs(one.scores - other.scores).max() < 1e-4
    info = {
        "labels": "red green blue", "resize_type": "fit_to_window_letterbox", "pad_value": "114",
        "reverse_input_channels": "True", "mean_values": "127.5 102 76.5", "scale_values": "51 63.75 127.5",
    }  # fmt: skip
    third = as_openvino(folder / "weights.onnx", tmp_path / "geti", info)
    geti = liftgate.predict(third, tmp_path / "set/images/test").predictions
    assert abs(one.scores - geti.scores).max() < 1e-4


def put_right(path: Path, mean: tuple[float, ...], deviation: tuple[float, ...]) -> None:
    import numpy as np

    model = onnx.load(path)
    number, name = onnx.numpy_helper.from_array, model.graph.input[0].name
    for node in model.graph.node:
        for index, one in enumerate(node.input):
            if one == name:
                node.input[index] = "put_right"
    model.graph.initializer.extend(
        number(np.array(values, np.float32).reshape(1, 3, 1, 1), word)
        for word, values in (("mean", mean), ("deviation", deviation))
    )
    first = [
        onnx.helper.make_node("Mul", [name, "deviation"], ["scaled"]),
        onnx.helper.make_node("Add", ["scaled", "mean"], ["put_right"]),
    ]
    nodes = [*first, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, path)


def test_bench_measures_the_exports_of_others_and_says_what_is_open(tmp_path: Path) -> None:
    models = [
        write_detector(tmp_path / "bare.onnx", metadata={}),
        roboflow(tmp_path / "download", image_pre_processing={"grayscale": {"enabled": True}}),
    ]
    result = liftgate.bench(models, batches=[1], blocks=1, seconds=0.05, threads=1)
    bare, download = result.models
    assert any("order of channels" in one for one in bare.missing)
    assert all(one.batches[0].ms_per_image.estimate > 0 for one in result.models)
    assert any("grayscale" in one for one in download.notes)


# What cannot be used


def with_lying_card(folder: Path) -> Path:
    card = read_card(folder)
    write_card(replace(card, output=replace(card.output, shape=(1, 7, 99))), folder)
    return folder


def of_another_device(folder: Path) -> Path:
    write_card(replace(read_card(folder), device=TargetDevice("Orin NX", "540.4", "TensorRT 10.9")), folder)
    return folder


def hostile(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("evil/data.pkl", b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
        archive.writestr("evil/version", "3\n")
    return path


def damaged(damage: Callable[[Path], object], path: Path) -> Path:
    damage(write_detector(path))
    return path


BAD: dict[str, Callable[[Path], Path]] = {
    "another task": lambda at: write_detector(at / "m.onnx", metadata={**ULTRALYTICS, "task": "segment"}),
    "only a part of one": lambda at: damaged(cut, at / "m.onnx"),
    "a file of the model's weights is missing": lambda at: damaged(with_missing_weights, at / "m.onnx"),
    "needs an opset": lambda at: damaged(with_new_opset, at / "m.onnx"),
    "operations that the runtime does not have": lambda at: damaged(with_custom_operation, at / "m.onnx"),
    "the card is wrong about the output": lambda at: with_lying_card(write_export(at / "export")),
    "built on another device": lambda at: of_another_device(write_export(at / "export")),
    "could run code": lambda at: hostile(at / "evil.pt"),
    "does not fit the classes": lambda at: roboflow(at / "download", "red\ngreen\n"),
    "configuration beside the model cannot be read": lambda at: spoilt(roboflow(at / "download")),
    "model cannot be read": lambda at: spoilt_environment(older_roboflow(at / "download")),
    "a model of another task": lambda at: of_another_kind(older_roboflow(at / "download")),
    "classes are not numbered from 0": lambda at: numbered_from_one(older_roboflow(at / "download")),
}


def of_another_kind(folder: Path) -> Path:
    (folder / "model_type.json").write_text('{"project_task_type": "instance-segmentation", "model_type": "yolov8n"}')
    return folder


def numbered_from_one(folder: Path) -> Path:
    text = (folder / "environment.json").read_text()
    (folder / "environment.json").write_text(text.replace('"0": "red"', '"3": "red"'))
    return folder


def spoilt_environment(folder: Path) -> Path:
    (folder / "environment.json").write_text('{"PREPROCESSING": "{"}')
    return folder


def spoilt(folder: Path) -> Path:
    (folder / "inference_config.json").write_text('{"network_input": [1, 2]}')
    return folder


@pytest.mark.parametrize("cause", BAD)
def test_a_model_that_cannot_be_used_is_one_finding_with_its_cause(tmp_path: Path, cause: str) -> None:
    result = liftgate.check(BAD[cause](tmp_path))
    (finding,) = result.findings
    assert (finding.id, result.ok) == ("model.unusable", False)
    assert cause in finding.message
    assert "\n" not in finding.message


def test_a_replaced_file_is_named_with_its_card(tmp_path: Path) -> None:
    folder = write_export(tmp_path / "export")
    write_detector(folder / "model.onnx", shift=3)
    assert "not the file of the card" in found(folder)["model.unusable"][0]


def test_arguments_about_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a model has no data"):
        liftgate.check(write_detector(tmp_path / "m.onnx"), groups="folder")


def test_the_command_line_exits_by_the_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from liftgate.cli import main

    path = write_detector(tmp_path / "m.onnx", metadata={})
    assert main(["check", str(path)]) == 0
    assert "model.contract" in capsys.readouterr().out
    cut(path)
    assert main(["check", str(path), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["findings"][0]["id"] == "model.unusable"


def test_a_data_set_with_an_xml_is_no_model(tmp_path: Path) -> None:
    write_images(tmp_path / "set", 2)
    shutil.copy(write_detector(tmp_path / "m.onnx"), tmp_path / "set/best.onnx")
    assert not [one for one in liftgate.check(tmp_path / "set/data.yaml").findings if one.id.startswith("model.")]
    assert not [one for one in liftgate.check(tmp_path / "set").findings if one.id.startswith("model.")]
