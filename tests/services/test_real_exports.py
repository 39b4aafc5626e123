"""Twelve ways in which exports fail in the field, planted into exports of real models: each is named by its kind.

The same twelve on a detector that needs no weights are in test_export_proof.py.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from liftgate.data.core.dataset import Dataset
from liftgate.deploy.export.card import ExportCard, TargetDevice
from liftgate.deploy.export.card_file import read_card, write_card
from liftgate.deploy.export.proof import ExportProof
from liftgate.services.export_proof import prove_exports
from liftgate.services.exporting import export

pytest.importorskip("ultralytics")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxslim")
pytest.importorskip("openvino")
pytest.importorskip("nncf")

from services import real_exports as real

pytestmark = [pytest.mark.slow, pytest.mark.train, pytest.mark.xdist_group("exports")]

WEIGHTS = {"yolov8n": "detect", "yolo11n": "detect", "yolov8n-pose": "pose"}
CHOSEN = [*WEIGHTS] if "LIFTGATE_REAL_EXPORTS" in os.environ else ["yolov8n"]
"""All three take a quarter of an hour of processor time: a job of its own"""
LIMITS = ("contract.nms", "calibration.domain")
"""These limit the numbers, and do not break the export"""


@dataclass(frozen=True)
class Made:
    """Sound exports of one model, and what they are proved with."""

    weights: Path
    folder: Path
    truth: Dataset
    train: Dataset
    images: Path

    @property
    def fp32(self) -> Path:
        return self.folder / "onnx-fp32"

    @property
    def int8(self) -> Path:
        return self.folder / "onnx-int8"

    def proofs(self, *exports: Path) -> tuple[ExportProof, ...]:
        return prove_exports(self.weights, exports, self.truth).proofs


@pytest.fixture(scope="module", params=CHOSEN)
def made(request: pytest.FixtureRequest, fixtures: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp(request.param)
    weights = shutil.copy(fixtures / f"weights/{request.param}_coco_recon.pt", folder / "best.pt")
    images = folder / "images"
    real.photographs(fixtures, images)
    train = real.calibrated_on(fixtures, images)
    out, kinds = folder / "exports", ["onnx", "openvino"]
    export(weights, out, formats=kinds, precisions=["fp32", "int8"], data=train, imgsz=real.SIZE, n_calibration=64)
    return Made(weights, out, real.truth_of(fixtures, images, WEIGHTS[request.param]), train, images)


def test_no_sound_export_raises_an_alarm(made: Made) -> None:
    """In fp16 too: test_sound_exports.py."""
    for proof in made.proofs(*sorted(made.folder.iterdir())):
        assert proof.symptoms == (), proof.name
        assert proof.n_images == len(made.truth.images), "measured to the end"


def edited_card(source: Path, folder: Path, change: Callable[[ExportCard], ExportCard]) -> Path:
    shutil.copytree(source, folder)
    write_card(change(read_card(folder)), folder)
    return folder


def of_another_file(made: Made, folder: Path) -> Path:
    other = real.edited(made.fp32, folder.with_name("newer"), real.scores_times(0.99))
    shutil.copytree(made.fp32, folder)
    shutil.copyfile(other / "model.onnx", folder / "model.onnx")
    return folder


def cut_short(made: Made, folder: Path) -> Path:
    shutil.copytree(made.fp32, folder)
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return folder


def with_suppression(made: Made, folder: Path) -> Path:
    export(made.weights, folder, imgsz=real.SIZE, nms=True)
    return folder / "onnx-fp32"


IN_THE_FILE: dict[str, tuple[str, real.Change]] = {
    "channels swapped": ("contract.channels", real.channels_turned),
    "box branch dead": ("boxes.lost", real.boxes_dead),
    "scores compressed to .85": ("scores.scaled", real.scores_times(0.85)),
    "scores compressed to .5": ("scores.scaled", real.scores_times(0.5)),
    "classes in another order": ("classes.order", real.classes_as(lambda places: places[1:] + places[:1])),
    "one pair of classes exchanged": ("classes.order", real.exchanged(0, 16)),
    "letterbox a pixel off": ("boxes.moved", real.padded_a_pixel_off),
}
OF_ITS_MAKING: dict[str, tuple[str, Callable[[Made, Path], Path]]] = {
    "8 calibration images": (
        "calibration.few",
        lambda made, folder: real.quantised(made.fp32, folder, real.drawn_files(made.train, 32)[:8], made.images),
    ),
    "out-of-domain calibration": (
        "calibration.domain",
        lambda made, folder: real.quantised(made.fp32, folder, sorted((made.images / "blood").iterdir()), made.images),
    ),
    "calibration from test": (
        "calibration.leak",
        lambda made, folder: real.quantised(made.fp32, folder, [one.path for one in made.truth.images], made.images),
    ),
    "baked-in NMS": ("contract.nms", with_suppression),
    "stale file": ("file.unusable", of_another_file),
    "truncated file": ("file.unusable", cut_short),
    "engine of another device": (
        "device.unusable",
        lambda made, folder: edited_card(
            made.fp32, folder, lambda card: replace(card, device=TargetDevice("Orin NX", "540.4", "TensorRT 10.9"))
        ),
    ),
}


def require_named(made: Made, planted: dict[str, tuple[str, Path]]) -> None:
    """Prove all of them against one prediction of the checkpoint."""
    proofs = made.proofs(*[folder for _, folder in planted.values()])
    for (failure, (symptom, _)), proof in zip(planted.items(), proofs, strict=True):
        named = [one.id for one in proof.symptoms]
        assert symptom in named, (failure, proof.word, proof.reason, proof.symptoms)
        if symptom not in LIMITS:
            assert proof.word == "FAIL" and proof.n_images <= 20, (failure, "is found before the long run")


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_failures_of_the_file_are_named(made: Made, precision: str, tmp_path: Path) -> None:
    source = made.fp32 if precision == "fp32" else made.int8
    one_class = len(read_card(source).output.classes) == 1
    planted = {
        failure: (symptom, real.edited(source, tmp_path / failure, change))
        for failure, (symptom, change) in IN_THE_FILE.items()
        if not (one_class and "class" in failure)
    }
    require_named(made, planted)


def test_failures_of_its_making_are_named(made: Made, tmp_path: Path) -> None:
    planted = {
        failure: (symptom, plant(made, tmp_path / failure)) for failure, (symptom, plant) in OF_ITS_MAKING.items()
    }
    require_named(made, planted)
