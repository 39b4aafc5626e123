"""Exports of a real checkpoint, made once for all tests here."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import liftgate
from liftgate.data.formats.read import read
from liftgate.deploy.export.agreement import compare_detections
from liftgate.deploy.export.calibration import read_calibration
from liftgate.deploy.export.card_file import card_files, read_card, write_card
from liftgate.errors import DataError, Refused, UsageError
from liftgate.services.exporting import ExportResult, export
from liftgate.services.prediction import PredictionResult, predict

pytest.importorskip("ultralytics")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from deploy.colours import GROUPS, write_images
from deploy.tiny_checkpoint import write_checkpoint

pytestmark = [pytest.mark.train, pytest.mark.xdist_group("exports")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def checkpoint(folder: Path) -> Path:
    return write_checkpoint(folder / "tiny", keypoints=2)


@pytest.fixture(scope="module")
def images(folder: Path) -> Path:
    """Images of odd sizes, wider and higher than the input, upright and turned."""
    data = write_images(folder / "set", 34, split="train", size=(97, 131), keypoints=2)
    write_images(folder / "set", 6, split="test", size=(211, 73), seed=1, keypoints=2)
    return data


@pytest.fixture(scope="module")
def made(checkpoint: Path, images: Path, folder: Path) -> ExportResult:
    return export(
        checkpoint, folder / "out", precisions=["fp32", "int8"], data=images, groups=GROUPS, imgsz=64, n_calibration=32
    )


@pytest.fixture(scope="module")
def reference(checkpoint: Path, folder: Path, made: ExportResult) -> PredictionResult:
    return predict(checkpoint, folder / "set/images", imgsz=64)


def test_an_export_has_a_card_that_says_what_it_is(made: ExportResult, checkpoint: Path) -> None:
    card = read_card(made.folder / "onnx-fp32")
    assert (card.format, card.precision, card.task) == ("onnx", "fp32", "pose")
    assert (card.input.height, card.input.width) == (64, 64)
    assert card.output.classes == ("cat", "dog")
    assert card.output.keypoints == (2, 3)
    assert card.opset
    assert card.weights.name == checkpoint.name
    assert card.data is not None
    assert dict(card.versions)["ultralytics"]


def test_an_export_in_float_finds_what_the_checkpoint_finds(
    made: ExportResult, reference: PredictionResult, folder: Path
) -> None:
    found = predict(made.folder / "onnx-fp32", folder / "set/images").predictions
    truth = reference.predictions
    assert found.images == truth.images
    assert len(found) == len(truth) > 200
    assert np.array_equal(found.image, truth.image)
    assert np.array_equal(found.cls, truth.cls)
    assert np.abs(found.boxes - truth.boxes).max() <= 0.05
    assert np.abs(found.scores - truth.scores).max() <= 1e-4
    assert found.keypoints is not None
    assert truth.keypoints is not None
    assert np.abs(found.keypoints - truth.keypoints).max() <= 0.05


@pytest.mark.slow
def test_an_input_that_is_no_square_is_proved_against_the_checkpoint_at_the_same_size(
    checkpoint: Path, images: Path, tmp_path: Path
) -> None:
    made = export(checkpoint, tmp_path / "out", formats=["onnx", "torchscript"], imgsz=(60, 128))
    assert [(one.card.input.height, one.card.input.width) for one in made.exports] == [(64, 128)] * 2, "by the stride"
    truth = replace(read(images), classes=("cat", "dog", "bird"))
    for proof in liftgate.prove_exports(checkpoint, [one.folder for one in made.exports], truth, split="test").proofs:
        found = proof.agreement
        assert found is not None and proof.symptoms == (), proof
        assert found.n_reference == found.n_export == found.n_pairs and (found.low_iou or 0) > 0.999, proof
        # TorchScript is run by the trainer, which suppresses the weakest detections in an order of its own.
        assert found.identical or proof.name.startswith("torchscript"), proof


@pytest.mark.slow
def test_an_ncnn_export_finds_what_the_checkpoint_finds(
    checkpoint: Path, images: Path, reference: PredictionResult, folder: Path, tmp_path: Path
) -> None:
    for package in ("ncnn", "pnnx"):
        pytest.importorskip(package)
    made = export(checkpoint, tmp_path / "out", formats=["ncnn"], precisions=["fp32", "fp16"], imgsz=64)
    for one, pixels, score in zip(made.exports, (0.05, 0.5), (1e-4, 0.01), strict=True):
        assert not [file.path for file in one.card.files if "__pycache__" in file.path]
        found, truth = predict(one.folder, folder / "set/images").predictions, reference.predictions
        agreement = compare_detections(truth, found, 0.001)
        assert agreement.n_reference == agreement.n_pairs > 200
        assert np.abs(np.sort(found.scores)[-200:] - np.sort(truth.scores)[-200:]).max() <= score
        assert agreement.offset is not None and max(map(abs, agreement.offset)) <= pixels


@pytest.mark.slow
def test_a_file_that_the_child_process_cannot_run_is_a_broken_export(
    checkpoint: Path, images: Path, tmp_path: Path
) -> None:
    (made,) = export(checkpoint, tmp_path / "out", formats=["torchscript"], imgsz=64).exports
    path = made.folder / made.card.model
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    write_card(replace(made.card, files=card_files(made.folder, made.card.model)), made.folder)
    truth = replace(read(images), classes=("cat", "dog", "bird"))
    (proof,) = liftgate.prove_exports(checkpoint, [made.folder], truth, split="test").proofs
    assert proof.word == "FAIL" and [one.id for one in proof.symptoms] == ["file.unusable"], proof


@pytest.mark.slow
@pytest.mark.parametrize("sides", [(64, 64), (64, 96)])
@pytest.mark.parametrize(
    ("name", "packages"), [("litert", ("ai_edge_litert", "litert_torch")), ("executorch", ("executorch",))]
)
def test_an_export_for_small_devices_finds_what_the_checkpoint_finds(
    checkpoint: Path, images: Path, tmp_path: Path, name: str, packages: tuple[str, ...], sides: tuple[int, int]
) -> None:
    """LiteRT runs here without torch, ExecuTorch in the child process; both in environments of their own."""
    for package in packages:
        pytest.importorskip(package)
    (made,) = export(checkpoint, tmp_path / "out", formats=[name], imgsz=sides).exports
    assert dict(made.card.versions)[packages[0].replace("_", "-")]
    truth = replace(read(images), classes=("cat", "dog", "bird"))
    (proof,) = liftgate.prove_exports(checkpoint, [made.folder], truth, split="test").proofs
    assert proof.agreement is not None and proof.agreement.identical and proof.symptoms == (), proof


def test_an_int8_export_names_its_calibration_images(made: ExportResult) -> None:
    card = read_card(made.folder / "onnx-int8")
    assert card.calibration is not None
    assert any("session.x64quantprecision" in note for note in card.notes), "what older processors need elsewhere"
    assert (card.calibration.split, card.calibration.n_images, card.calibration.n_groups) == ("train", 32, 6)
    listed = read_calibration(made.folder / "onnx-int8", card.calibration)
    assert all(one.image.startswith("images/train/") for one in listed)
    assert card.n_bytes < 0.5 * read_card(made.folder / "onnx-fp32").n_bytes


def test_the_checkpoint_and_its_folder_are_left_as_they_were(made: ExportResult, checkpoint: Path) -> None:
    assert sorted(path.name for path in checkpoint.parent.iterdir()) == ["home", "tiny.pt", "tiny.yaml"]
    assert sorted(path.name for path in made.folder.iterdir()) == ["onnx-fp32", "onnx-int8"]
    assert not list(made.folder.parent.glob(".out*"))


def test_half_a_checkpoint_is_an_error_and_writes_nothing(checkpoint: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.pt"
    half.write_bytes(checkpoint.read_bytes()[:100_000])
    with pytest.raises(DataError):
        export(half, tmp_path / "out", imgsz=64)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half.pt"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"formats": ["onx"]}, "did you mean onnx"),
        ({"formats": []}, "no format is named"),
        ({"precisions": ["int4"]}, "no precision 'int4'"),
        ({"formats": ["torchscript"], "precisions": ["int8"]}, "not exported in int8"),
        ({"precisions": ["int8"]}, "--data"),
        ({"imgsz": 1}, "imgsz is out of range"),
        ({"imgsz": (64, 1)}, "imgsz is out of range"),
        ({"opset": 99}, "opset is out of range"),
        ({"precisions": ["int8"], "nms": True}, "do not go together"),
        ({"formats": ["executorch"]}, "executorch needs executorch.*environment of its own"),
    ],
)
def test_a_wrong_argument_is_an_error_before_anything_starts(
    checkpoint: Path, tmp_path: Path, change: dict[str, object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "socket", None)
    arguments: dict[str, object] = {"model": checkpoint, "out": tmp_path / "out", **change}
    with pytest.raises(UsageError, match=f"(?s){message}"):
        export(**arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_an_output_folder_with_files_is_not_touched(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="not empty"):
        export(checkpoint, tmp_path, imgsz=64)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_weights_that_would_run_code_are_refused(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "evil.pt", "w") as archive:
        archive.writestr("evil/data.pkl", b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
        archive.writestr("evil/version", "3\n")
    with pytest.raises(Refused, match="could run code"):
        export(tmp_path / "evil.pt", tmp_path / "out", imgsz=64)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_a_full_disk_in_the_middle_of_an_export_writes_nothing_and_is_one_error(
    checkpoint: Path, tmp_path: Path, name: str
) -> None:
    if name == "openvino":
        pytest.importorskip("openvino")
    most = checkpoint.stat().st_size + 4096  # the copy of the weights fits, the export does not

    def limit() -> None:  # the write that passes the limit fails, as on a full disk
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-m", "liftgate", "export", str(checkpoint), "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [*command, "--formats", name], capture_output=True, text=True, preexec_fn=limit,
        env={**os.environ, "TMPDIR": str(scratch)},
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.count("error:") == 1, done.stderr
    assert "Traceback" not in done.stderr and str(scratch) not in done.stderr, "no path that is gone"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scratch"]
    assert list(scratch.iterdir()) == []


def test_a_study_exports_the_model_of_an_arm_and_knows_it_again(checkpoint: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(
        f"""
study: deliver
question: Does the model leave the study as a file that can be proved?
task: pose
datasets: {{set: {{path: {images}}}}}
arms: {{ready: {{weights: {checkpoint}}}}}
gates: {{any: {{arm: ready, on: set.test, rule: point, claims: [{{metric: mAP50, at_least: 0}}]}}}}
flow: [any, export]
device: cpu
evaluation: {{imgsz: 64}}
"""
    )
    liftgate.run(tmp_path / "study.yaml")
    (card,) = (tmp_path / "runs/deliver/exports").glob("ready-*/onnx-fp32/card.json")
    assert read_card(card).weights.name == checkpoint.name
    assert {line.state for line in liftgate.plan(tmp_path / "study.yaml")} == {"cached"}
    alone = liftgate.export(tmp_path / "study.yaml", tmp_path / "alone", formats=["torchscript"], imgsz=64)
    assert alone.exports[0].card.weights == read_card(card).weights
    with pytest.raises(UsageError, match="no such arm"):
        liftgate.export(tmp_path / "study.yaml", tmp_path / "other", arm="redy")
    (card.parent / "model.onnx").write_bytes(b"another")
    *_, line = liftgate.plan(tmp_path / "study.yaml")
    assert (line.state, line.kind) == ("run", "export")
    assert "damaged" in line.why


def test_a_study_whose_backend_has_no_exporter_is_refused_before_it_trains(tmp_path: Path, images: Path) -> None:
    (tmp_path / "study.yaml").write_text(
        f"""
study: toy
question: Is it said before the training that its model cannot be exported?
task: detect
backend: toy
datasets: {{set: {{path: {images}}}}}
arms: {{one: [{{weights: start.yaml, data: set, recipe: {{epochs: 1}}}}]}}
gates: {{}}
flow: [train, export]
"""
    )
    (tmp_path / "start.yaml").write_text("classes: [red, green, blue]")
    with pytest.raises(UsageError, match="cannot export"):
        liftgate.run(tmp_path / "study.yaml")
    assert not list((tmp_path / "runs/toy").glob("*_one*"))
