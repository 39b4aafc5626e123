from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from liftgate.deploy.export.described import describe_export
from liftgate.deploy.export.quantise import QuantiseJob, decoding_convolutions, quantise
from liftgate.deploy.runtime.sessions import open_onnx
from liftgate.errors import LiftgateError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from deploy.colours import write_detector, write_images  # noqa: E402  (it needs onnx)
from liftgate.services.prediction import predict  # noqa: E402


def job(folder: Path, *, whole: bool = False, source: Path | None = None) -> QuantiseJob:
    write_images(folder / "set", 8, split="train", n_groups=4)
    model = write_detector(folder / "m.onnx") if source is None else source
    images = tuple(map(str, sorted((folder / "set/images/train").iterdir())))
    entry = (
        describe_export(model).card.input
        if source is None
        else describe_export(write_detector(folder / "o.onnx")).card.input
    )
    return QuantiseJob("onnx", str(model), str(folder / f"int8-{whole}.onnx"), images, entry, "images", whole)


def test_scores_survive_when_the_tail_stays_in_float_and_are_lost_when_it_does_not(tmp_path: Path) -> None:
    ours, naive = job(tmp_path), job(tmp_path, whole=True)
    quantise(ours)
    quantise(naive)
    images = tmp_path / "set/images/train"
    words = [describe_export(path).card.precision for path in (tmp_path / "m.onnx", Path(ours.out), Path(naive.out))]
    assert words == ["fp32", "int8", "int8"], "of a file without a card it is read from its operations"
    told, kept, lost = (
        predict(path, images, conf=0.01).predictions for path in (tmp_path / "m.onnx", Path(ours.out), Path(naive.out))
    )
    assert abs(kept.scores.max() - told.scores.max()) < 0.05
    # Boxes up to 128 pixels and scores up to 1 share one scale of 256 steps: half a pixel is a step.
    assert len(np.unique(lost.scores.round(6))) <= 4 < len(np.unique(kept.scores.round(6)))


def test_only_convolutions_are_quantised(tmp_path: Path) -> None:
    one = job(tmp_path)
    quantise(one)
    graph = onnx.load(one.out).graph
    fed = {
        node.input[0]: node.op_type for node in graph.node if node.op_type not in ("QuantizeLinear", "DequantizeLinear")
    }
    quantised = {
        fed[node.output[0]] for node in graph.node if node.op_type == "DequantizeLinear" and node.output[0] in fed
    }
    assert "Conv" in quantised
    assert "Concat" not in quantised
    assert open_onnx(Path(one.out), threads=1).facts.metadata["task"] == "detect"


def test_a_convolution_that_decodes_boxes_is_part_of_the_tail(tmp_path: Path) -> None:
    model = onnx.load(write_detector(tmp_path / "m.onnx"))
    assert decoding_convolutions(model) == []
    weights = onnx.numpy_helper.from_array(np.arange(16, dtype=np.float32).reshape(1, 16, 1, 1), "steps")
    model.graph.initializer.append(weights)
    model.graph.node.append(onnx.helper.make_node("Conv", ["x", "steps"], ["y"], "dfl"))
    assert decoding_convolutions(model) == ["dfl"]


def test_what_cannot_be_quantised_is_one_error_and_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    one = job(tmp_path, source=tmp_path / "bad.onnx")
    with pytest.raises(LiftgateError, match="could not be quantised"):
        quantise(one)
    assert not Path(one.out).exists()


@pytest.mark.slow
def test_an_openvino_model_keeps_its_tail_in_float_too(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    plain = job(tmp_path)
    openvino.save_model(openvino.convert_model(plain.source), tmp_path / "m.xml", compress_to_fp16=False)
    out = tmp_path / "ours" / "m.xml"
    out.parent.mkdir()
    quantise(QuantiseJob("openvino", str(tmp_path / "m.xml"), str(out), plain.images, plain.input, "images"))
    images = tmp_path / "set/images/train"
    told, kept = (predict(path, images, conf=0.01).predictions for path in (tmp_path / "m.xml", out))
    assert len(kept) == len(told)
    assert abs(kept.scores.max() - told.scores.max()) < 0.05
    assert out.with_suffix(".bin").stat().st_size < (tmp_path / "m.bin").stat().st_size, "it is quantised"
    kinds = {one.get_type_name() for one in openvino.Core().read_model(str(out)).get_ops()}
    assert "FakeQuantize" in kinds
    openvino.save_model(openvino.convert_model(plain.source), tmp_path / "half.xml", compress_to_fp16=True)
    places = (tmp_path / "m.xml", tmp_path / "half.xml", out)
    assert [describe_export(path).card.precision for path in places] == ["fp32", "fp16", "int8"]
