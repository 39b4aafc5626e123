"""Exports of real models with a fault planted into the file, and the photographs that they are proved on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper

from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.read import read
from liftgate.data.sampling.frames import unlabelled_dataset
from liftgate.deploy.export.calibration import CalibrationImage, CalibrationSet, calibration_hash, draw_calibration
from liftgate.deploy.export.card import CalibrationRecord
from liftgate.deploy.export.card_file import card_files, read_card, write_card
from liftgate.deploy.export.finish import model_facts
from liftgate.deploy.export.quantise import QuantiseJob, quantise
from liftgate.hashing import file_hash

SIZE = 320
Change = Callable[[ModelProto], None]


def photographs(fixtures: Path, folder: Path) -> None:
    """Copy all pictures below one folder: those of COCO, `drive/` and `blood/`."""
    shutil.copytree(fixtures / "coco_cc/images", folder, copy_function=shutil.copyfile)
    drive = sorted((fixtures / "geometry/carla/images").rglob("*.jpg"))
    for name, files in (("drive", drive), ("blood", sorted((fixtures / "bccd/JPEGImages").glob("*.jpg"))[:32])):
        (folder / name).mkdir()
        for file in files:
            shutil.copyfile(file, folder / name / file.name)


def truth_of(fixtures: Path, folder: Path, task: str = "detect") -> Dataset:
    """26 photographs with COCO's labels."""
    kind = "person_keypoints" if task == "pose" else "instances"
    return read(fixtures / f"coco_cc/annotations/{kind}_train2017.json", images=folder)


def calibrated_on(fixtures: Path, folder: Path) -> Dataset:
    """25 other photographs and those of a drive, as train."""
    others = read(fixtures / "coco_cc/annotations/instances_val2017.json", images=folder).images
    files = {one.path.resolve() for one in others} | {file.resolve() for file in (folder / "drive").iterdir()}
    found = unlabelled_dataset(folder)
    return found.with_images(
        [replace(image, split="train" if image.path.resolve() in files else None) for image in found.images]
    )


def edited(source: Path, folder: Path, change: Change) -> Path:
    """Copy an ONNX export, change its graph, and write a card that fits the new file."""
    shutil.copytree(source, folder)
    card = read_card(folder)
    model = onnx.load(folder / card.model)
    change(model)
    onnx.save(model, folder / card.model)
    write_card(replace(card, files=card_files(folder, card.model)), folder)
    return folder


def after_output(model: ModelProto, kind: str, value: NDArray[np.generic], **attributes: int) -> None:
    """Put one more operation behind the output."""
    (output,) = model.graph.output
    for node in model.graph.node:
        node.output[:] = ["raw" if name == output.name else name for name in node.output]
        node.input[:] = ["raw" if name == output.name else name for name in node.input]
    model.graph.initializer.append(numpy_helper.from_array(value, "planted"))
    model.graph.node.append(helper.make_node(kind, ["raw", "planted"], [output.name], "planted", **attributes))


def before_input(model: ModelProto, kind: str, values: Sequence[NDArray[np.generic]], **attributes: object) -> None:
    """Put one more operation before the first."""
    (entry,) = model.graph.input
    for node in model.graph.node:
        node.input[:] = ["prepared" if name == entry.name else name for name in node.input]
    names = [f"planted{number}" for number in range(len(values))]
    for name, value in zip(names, values, strict=True):
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    first = helper.make_node(kind, [entry.name, *names], ["prepared"], "planted", **attributes)
    model.graph.node.insert(0, first)


def rows(model: ModelProto) -> int:
    return int(model.graph.output[0].type.tensor_type.shape.dim[1].dim_value)


def scores_times(factor: float) -> Change:
    def change(model: ModelProto) -> None:
        factors = np.full((1, rows(model), 1), factor, np.float32)
        factors[0, :4] = 1
        after_output(model, "Mul", factors)

    return change


def boxes_dead(model: ModelProto) -> None:
    """As where the box branch of INT8 gives its zero point: all boxes are alike."""
    factors = np.ones((1, rows(model), 1), np.float32)
    factors[0, :2], factors[0, 2:4] = 1e-3, 1e-2
    after_output(model, "Mul", factors)


def classes_as(order: Callable[[list[int]], list[int]]) -> Change:
    def change(model: ModelProto) -> None:
        after_output(model, "Gather", np.array([0, 1, 2, 3, *order(list(range(4, rows(model))))], np.int64), axis=1)

    return change


def exchanged(one: int, other: int) -> Change:
    def order(places: list[int]) -> list[int]:
        places[one], places[other] = places[other], places[one]
        return places

    return classes_as(order)


def channels_turned(model: ModelProto) -> None:
    before_input(model, "Gather", [np.array([2, 1, 0], np.int64)], axis=1)


def padded_a_pixel_off(model: ModelProto) -> None:
    """The image lies one pixel further to the right and below, as where half a pixel of padding is rounded up twice."""
    before_input(model, "Pad", [np.array([0, 0, 1, 1, 0, 0, -1, -1], np.int64), np.array(0.447, np.float32)])


def quantised(source: Path, folder: Path, files: Sequence[Path], root: Path) -> Path:
    """Quantise a float export with the ranges of any images, and write down which they were."""
    shutil.copytree(source, folder)
    card = read_card(folder)
    facts = model_facts(source / card.model, "onnx")
    assert facts is not None
    paths = tuple(str(file.resolve()) for file in files)
    original, target = (str((place / card.model).resolve()) for place in (source, folder))
    quantise(QuantiseJob("onnx", original, target, paths, card.input, facts.inputs[0].name))
    images = tuple(CalibrationImage(file.relative_to(root).as_posix(), file.stem, file_hash(file)) for file in files)
    drawn = CalibrationRecord(
        replace(card.weights, name="set"), "train", len(images), len(images), 0, calibration_hash(images), "as planted"
    )
    CalibrationSet(drawn, images, tuple(files)).write(folder)
    sound = replace(card, precision="int8", calibration=drawn, files=card_files(folder, card.model))
    write_card(sound, folder)
    return folder


def drawn_files(dataset: Dataset, count: int) -> list[Path]:
    """The images that `liftgate export` would calibrate on."""
    return list(draw_calibration(dataset, n_images=count).paths)
