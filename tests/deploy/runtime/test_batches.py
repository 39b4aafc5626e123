"""A model whose batch is free finds in several images together what it finds in each alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from deploy.colours import write_detector, write_images  # noqa: E402  (it needs onnx)
from liftgate.deploy.export.card import UseSettings  # noqa: E402
from liftgate.deploy.export.described import describe_export  # noqa: E402
from liftgate.deploy.runtime.images import read_pixels  # noqa: E402
from liftgate.deploy.runtime.predict import load_model  # noqa: E402


def free_batch(path: Path) -> Path:
    model = onnx.load(path)
    for port in (*model.graph.input, *model.graph.output):
        port.type.tensor_type.shape.dim[0].dim_param = "batch"
    for one in model.graph.initializer:
        if one.name in ("box_shape", "score_shape"):
            shape = onnx.numpy_helper.to_array(one).copy()
            shape[0] = -1
            one.CopyFrom(onnx.numpy_helper.from_array(shape, one.name))
    onnx.save(model, path)
    return path


def of_batch(path: Path, batch: int) -> Path:
    model = onnx.load(free_batch(path))
    for port in (*model.graph.input, *model.graph.output):
        port.type.tensor_type.shape.dim[0].dim_value = batch
    onnx.save(model, path)
    return path


def test_a_model_that_takes_four_images_and_no_fewer_finds_the_same_in_one(tmp_path: Path) -> None:
    write_images(tmp_path, 2)
    four, one = (describe_export(of_batch(write_detector(tmp_path / f"{size}.onnx"), size)).card for size in (4, 1))
    assert (four.input.batch, one.input.batch) == (4, 1)
    models = [load_model(card, tmp_path) for card in (four, one)]
    for path in sorted(tmp_path.glob("images/test/*.png")):
        found, alone = (model.detect(read_pixels(path), UseSettings(conf=0.1)) for model in models)
        assert len(alone.scores) > 3 and found.cls.tolist() == alone.cls.tolist()
        np.testing.assert_allclose(found.boxes, alone.boxes, atol=1e-4)
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-6)


def test_images_of_several_sizes_run_together_as_they_do_alone(tmp_path: Path) -> None:
    free, fixed = free_batch(write_detector(tmp_path / "free.onnx")), write_detector(tmp_path / "fixed.onnx")
    write_images(tmp_path / "a", 3)
    write_images(tmp_path / "b", 2, size=(192, 96), seed=1)
    images = [read_pixels(path) for path in sorted(tmp_path.glob("[ab]/images/test/*.png"))]
    uses = [UseSettings(conf=0.1 * (number + 1)) for number in range(len(images))]
    export = describe_export(free)
    assert export.card.input.batch is None
    model = load_model(export.card, export.folder)
    assert model.takes_batches
    together = model.detect_together(images, uses)
    alone = [model.detect(image, use) for image, use in zip(images, uses, strict=True)]
    other = load_model(describe_export(fixed).card, tmp_path)
    assert not other.takes_batches
    one_by_one = other.detect_together(images, uses)
    assert sum(len(one.scores) for one in together) > 10
    for found in (alone, one_by_one):
        for left, right in zip(together, found, strict=True):
            np.testing.assert_allclose(left.boxes, right.boxes, atol=1e-4)
            np.testing.assert_allclose(left.scores, right.scores, atol=1e-6)
            assert left.cls.tolist() == right.cls.tolist()
    fixed_card = replace(export.card, input=replace(export.card.input, batch=1))
    assert not load_model(fixed_card, export.folder).takes_batches
