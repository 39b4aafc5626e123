from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from liftgate.deploy.runtime.sessions import open_ncnn, open_onnx, open_openvino
from liftgate.errors import DataError, UsageError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from deploy.colours import write_detector, write_images  # noqa: E402  (it needs onnx)


def test_a_model_says_what_it_takes_and_gives(tmp_path: Path) -> None:
    session = open_onnx(write_detector(tmp_path / "a.onnx"), threads=1)
    assert session.facts.inputs[0].shape == (1, 3, 128, 128)
    assert session.facts.inputs[0].dtype == "float32"
    assert session.facts.outputs[0].shape == (1, 7, 64)
    assert session.facts.metadata["task"] == "detect"
    assert session.run(np.zeros((1, 3, 128, 128), np.float32))[0].shape == (1, 7, 64)


def test_openvino_gives_the_same_numbers(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    path = write_detector(tmp_path / "a.onnx")
    openvino.save_model(openvino.convert_model(str(path)), tmp_path / "a.xml", compress_to_fp16=False)
    tensor = np.random.default_rng(0).random((1, 3, 128, 128), np.float32)
    one, other = open_onnx(path, threads=1), open_openvino(tmp_path / "a.xml", threads=1)
    assert np.abs(one.run(tensor)[0] - other.run(tensor)[0]).max() < 1e-4
    assert other.facts.inputs[0].shape == (1, 3, 128, 128)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-400])


def with_missing_weights(path: Path) -> None:
    model = onnx.load(path)
    onnx.save_model(model, path, save_as_external_data=True, location="weights.data", size_threshold=0)
    (path.parent / "weights.data").unlink()


def with_new_opset(path: Path) -> None:
    model = onnx.load(path)
    model.opset_import[0].version = 99
    path.write_bytes(model.SerializeToString())


def of_a_newer_onnx(path: Path) -> None:
    model = onnx.load(path)
    model.ir_version = 99
    path.write_bytes(model.SerializeToString())


def with_custom_operation(path: Path) -> None:
    model = onnx.load(path)
    model.graph.node[-1].op_type, model.graph.node[-1].domain = "Mystery", "com.example"
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "only a part of one"),
        (lambda path: path.write_bytes(b"<html>"), "no model"),
        (lambda path: path.write_bytes(b""), "model"),
        (with_missing_weights, "a file of the model's weights is missing"),
        (with_new_opset, "needs an opset"),
        (of_a_newer_onnx, "a newer ONNX than the runtime reads"),
        (with_custom_operation, "operations that the runtime does not have"),
    ],
)
def test_a_damaged_or_foreign_file_is_one_error_with_its_cause(
    tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    path = write_detector(tmp_path / "a.onnx")
    damage(path)
    with pytest.raises(DataError, match=message) as caught:
        open_onnx(path, threads=1)
    assert str(path) in str(caught.value)


def test_an_openvino_model_without_its_weights_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    (tmp_path / "a.xml").write_text("<net/>")
    with pytest.raises(DataError, match="weights are missing"):
        open_openvino(tmp_path / "a.xml")
    (tmp_path / "a.bin").write_bytes(b"")
    with pytest.raises(DataError, match=r"no model|cannot open"):
        open_openvino(tmp_path / "a.xml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('type="Convolution" version="opset1"', 'type="Convolution" version="opset99"', "needs an opset"),
        ('type="Convolution" version="opset1"', 'type="Mystery" version="extension"', "operations that the runtime"),
        ('type="Convolution" version="opset1"', 'type="Mystery" version="opset1"', "operations that the runtime"),
        ("</net>", "", "only a part of one"),
        ('<net name="', '<nat name="', "only a part of one"),
    ],
)
def test_an_openvino_model_that_the_runtime_cannot_run_is_one_error_with_its_cause(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    openvino = pytest.importorskip("openvino")
    path = tmp_path / "a.xml"
    openvino.save_model(openvino.convert_model(str(write_detector(tmp_path / "a.onnx"))), path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(DataError, match=message) as caught:
        open_openvino(path, threads=1)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kept", [0, 100])
def test_an_openvino_model_whose_weights_are_cut_short_is_named(tmp_path: Path, kept: int) -> None:
    openvino = pytest.importorskip("openvino")
    path = tmp_path / "a.xml"
    openvino.save_model(openvino.convert_model(str(write_detector(tmp_path / "a.onnx"))), path)
    weights = path.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(DataError, match="weights are damaged or cut short"):
        open_openvino(path, threads=1)


def ncnn_model(folder: Path) -> Path:
    """A network that gives twice its input, in ncnn's text form; it has no weights."""
    folder.mkdir()
    layers = ["Input in0 0 1 in0", "BinaryOp twice 1 1 in0 out0 0=2 1=1 2=2.0"]
    (folder / "model.ncnn.param").write_text("7767517\n2 2\n" + "\n".join(layers) + "\n")
    (folder / "model.ncnn.bin").write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "model.ncnn.bin").unlink(), "weights are missing"),
        (lambda folder: (folder / "model.ncnn.param").unlink(), "not one ncnn model"),
        (lambda folder: (folder / "model.ncnn.param").write_text("7767517\n1 1\nMystery m 0 1 out0\n"), "no model"),
        (lambda folder: (folder / "model.ncnn.param").write_text("<html>"), "no model"),
    ],
)
def test_a_damaged_ncnn_model_is_one_error(tmp_path: Path, damage: Callable[[Path], object], message: str) -> None:
    pytest.importorskip("ncnn")
    folder = ncnn_model(tmp_path / "model_ncnn_model")
    damage(folder)
    with pytest.raises(DataError, match=message) as caught:
        open_ncnn(folder)
    assert str(folder) in str(caught.value)


def test_a_missing_runtime_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_detector(tmp_path / "a.onnx")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"\.\[export\]"):
        open_onnx(path)


def test_an_export_predicts_where_there_is_no_torch(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["torch"] = sys.modules["ultralytics"] = None
import liftgate
found = liftgate.predict(sys.argv[1], sys.argv[2], conf=0.25).predictions
assert len(found) == 10, len(found)
"""
    write_images(tmp_path / "set", 2)
    command = [sys.executable, "-c", code, write_detector(tmp_path / "a.onnx"), tmp_path / "set/images/test"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
