"""The ways in which exports fail in the field, planted one by one: each is found and named by its kind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from liftgate.deploy.export.calibration import draw_calibration, read_calibration
from liftgate.deploy.export.card import ExportCard, Source, TargetDevice
from liftgate.deploy.export.card_file import read_card, write_card
from liftgate.deploy.export.finish import Origin, finish_export
from liftgate.errors import DataError, UsageError
from liftgate.services.export_proof import ExportProofs, prove_exports
from liftgate.services.prediction import predict

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from deploy.colours import GROUPS, write_detector, write_images  # noqa: E402  (it needs onnx)
from liftgate.data.formats.read import read  # noqa: E402
from liftgate.data.grouping.groups import assign_groups  # noqa: E402
from services.planted_exports import ORIGIN, WRITTEN, write_export  # noqa: E402
from services.real_exports import edited as edited_graph  # noqa: E402
from services.real_exports import exchanged, scores_times  # noqa: E402


def edited(folder: Path, change: Callable[[ExportCard], ExportCard]) -> Path:
    write_card(change(read_card(folder)), folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    write_images(folder, 40, n_groups=8, split="train", seed=5)
    write_images(folder, 40, n_groups=8, split="val", seed=6, brightness=0.4, noise=60)
    return write_images(folder, 36, n_groups=12, split="test")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_export(tmp_path_factory.mktemp("reference") / "onnx-fp32")


def calibrated(folder: Path, data: Path, split: str = "train", n_images: int = 32) -> Path:
    """An export that says that it was calibrated on images of a split."""
    dataset = assign_groups(read(data).split(split), GROUPS, base=folder)
    as_train = dataset.with_images([replace(one, split="train") for one in dataset.images])
    drawn = draw_calibration(as_train, n_images=32)
    images = drawn.images[:n_images]
    write_export(folder)
    from liftgate.deploy.export.calibration import CalibrationSet, calibration_hash

    record = replace(drawn.record, n_images=len(images), sha256=calibration_hash(images))
    CalibrationSet(record, images, ()).write(folder)
    return edited(folder, lambda card: replace(card, precision="int8", calibration=record))


def proved(reference: Path, export: Path, data: Path) -> ExportProofs:
    return prove_exports(reference, [export], data, split="test", groups=GROUPS)


def test_an_export_that_finds_the_same_passes_without_an_interval(tmp_path: Path, reference: Path, data: Path) -> None:
    proof = proved(reference, write_export(tmp_path / "same"), data).proofs[0]
    assert (proof.word, proof.symptoms) == ("PASS", ())
    assert proof.agreement is not None
    assert proof.agreement.identical
    assert proof.cost is not None
    assert proof.cost.delta.estimate == 0
    assert proof.n_images == 36
    assert "the same detections" in proof.reason


def test_a_small_difference_is_judged_by_its_interval(tmp_path: Path, reference: Path, data: Path) -> None:
    proof = proved(reference, write_export(tmp_path / "near", shift=0.2), data).proofs[0]
    assert proof.symptoms == ()
    assert proof.cost is not None
    assert proof.cost.claim == "equal"
    assert proof.word == proof.cost.verdict
    assert proof.at_conf is not None
    assert set(proof.at_conf) == {"recall", "precision"}
    assert proof.best_conf is not None


def test_a_sound_calibration_raises_nothing(tmp_path: Path, reference: Path, data: Path) -> None:
    assert proved(reference, calibrated(tmp_path / "int8", data), data).proofs[0].symptoms == ()


def test_calibration_images_that_nobody_can_look_at_are_said(tmp_path: Path, reference: Path, data: Path) -> None:
    export = calibrated(tmp_path / "int8", data)
    assert not any("calibration images" in note for note in proved(reference, export, data).proofs[0].notes)
    elsewhere = shutil.copytree(data.parent, tmp_path / "elsewhere")
    record = read_card(export).calibration
    assert record is not None
    for image in read_calibration(export, record):
        (elsewhere / image.image).unlink()
    note = next(
        one for one in proved(reference, export, elsewhere / data.name).proofs[0].notes if "calibration images" in one
    )
    assert "unknown" in note


PLANTED: dict[str, Callable[[Path, Path], Path]] = {
    "contract.channels": lambda folder, data: edited(
        write_export(folder), lambda card: replace(card, input=replace(card.input, channels="BGR"))
    ),
    "boxes.lost": lambda folder, data: write_export(folder, dead_boxes=True),
    "calibration.few": lambda folder, data: calibrated(folder, data, n_images=8),
    "calibration.domain": lambda folder, data: calibrated(folder, data, "val"),
    "scores.scaled": lambda folder, data: write_export(folder, squeeze=0.3),
    "contract.nms": lambda folder, data: with_suppression(folder),
    "classes.order": lambda folder, data: write_export(folder, order=(0, 2, 1)),
    "boxes.moved": lambda folder, data: write_export(folder, shift=1.0),
    "weights.other": lambda folder, data: write_export(folder, Origin(Source("old.pt", "cd" * 32))),
    "file.unusable": lambda folder, data: cut(write_export(folder)),
    "device.unusable": lambda folder, data: edited(
        write_export(folder), lambda card: replace(card, device=TargetDevice("Orin NX", "540.4", "TensorRT 10.9"))
    ),
    "calibration.leak": lambda folder, data: calibrated(folder, data, "test"),
}


@pytest.mark.parametrize("symptom", PLANTED)
def test_a_planted_failure_is_found_and_named(tmp_path: Path, reference: Path, data: Path, symptom: str) -> None:
    proof = proved(reference, PLANTED[symptom](tmp_path / "export", data), data).proofs[0]
    assert symptom in [one.id for one in proof.symptoms], proof.symptoms
    if symptom not in ("calibration.domain", "contract.nms"):  # these limit the numbers, and do not break the export
        assert proof.word == "FAIL"
        assert proof.n_images <= 20, "found before the long run"


def test_scores_that_are_smaller_by_one_factor_are_named(tmp_path: Path, reference: Path, data: Path) -> None:
    """Order and best F1 stay as they were, and at the operating point fewer are found."""
    for factor, symptoms in ((0.85, ["scores.scaled"]), (1.0, [])):
        export = edited_graph(
            write_export(tmp_path / f"{factor}"), tmp_path / f"planted {factor}", scores_times(factor)
        )
        proof = proved(reference, export, data).proofs[0]
        assert [one.id for one in proof.symptoms] == symptoms
        assert proof.word == ("FAIL" if symptoms else "PASS")


def test_one_pair_of_classes_that_changed_places_is_named(tmp_path: Path, reference: Path, data: Path) -> None:
    export = edited_graph(write_export(tmp_path / "sound"), tmp_path / "planted", exchanged(0, 1))
    (symptom,) = proved(reference, export, data).proofs[0].symptoms
    assert symptom.id == "classes.order"
    assert "red is called green" in symptom.message and "green is called red" in symptom.message


def with_suppression(folder: Path) -> Path:
    """An export with suppression inside, whose rows end at a confidence of 0.25."""
    path = write_detector(folder / "model.onnx")
    model = onnx.load(path)
    graph, helper, number = model.graph, onnx.helper, onnx.numpy_helper.from_array
    graph.initializer.extend(
        [
            number(np.array([0.5], np.float32), "half"),
            number(np.array([2, 2], np.int64), "two_two"),
            number(np.array([0.25], np.float32), "limit"),
            number(np.array([4, 3], np.int64), "four_three"),
        ]
    )
    graph.node.extend(
        [
            helper.make_node("Transpose", ["output0"], ["rows"], perm=[0, 2, 1]),
            helper.make_node("Split", ["rows", "four_three"], ["places", "chances"], axis=2),
            helper.make_node("Split", ["places", "two_two"], ["centres", "sizes"], axis=2),
            helper.make_node("Mul", ["sizes", "half"], ["halves"]),
            helper.make_node("Sub", ["centres", "halves"], ["low"]),
            helper.make_node("Add", ["centres", "halves"], ["high"]),
            helper.make_node("ReduceMax", ["chances"], ["best"], axes=[2], keepdims=1),
            helper.make_node("ArgMax", ["chances"], ["which"], axis=2, keepdims=1),
            helper.make_node("Cast", ["which"], ["number"], to=1),
            helper.make_node("Greater", ["best", "limit"], ["above"]),
            helper.make_node("Cast", ["above"], ["kept"], to=1),
            helper.make_node("Mul", ["best", "kept"], ["score"]),
            helper.make_node("Concat", ["low", "high", "score", "number"], ["chosen"], axis=2),
        ]
    )
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("chosen", onnx.TensorProto.FLOAT, [1, 64, 6]))
    onnx.save(model, path)
    finish_export(folder, WRITTEN, "onnx", "fp32", ORIGIN, nms=True)
    return folder


def cut(folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes()[:-500])
    return folder


def test_boxes_are_moved_by_pixels_of_the_input_whatever_the_size_of_the_images(
    tmp_path: Path, reference: Path, data: Path
) -> None:
    """INT8 moves boxes by a fifth of such a pixel, which is half a pixel of a large image: no alarm."""
    large = write_images(tmp_path / "large", 36, n_groups=12, split="test")
    for path in (tmp_path / "large").rglob("*.png"):
        with Image.open(path) as image:
            image.resize((512, 512), Image.Resampling.NEAREST).save(path)
    for shift, symptoms in ((0.17, []), (0.5, ["boxes.moved"])):
        export = write_export(tmp_path / f"{shift}", shift=shift)
        for images in (data, large):
            assert [one.id for one in proved(reference, export, images).proofs[0].symptoms] == symptoms


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("green", "red", "blue")}, "wrong about the classes"),
        ({"score_scale": 0.5}, "scores above the scale of its card"),
    ],
)
def test_a_card_that_lies_about_its_file_is_one_error(
    tmp_path: Path, data: Path, changes: dict[str, object], message: str
) -> None:
    folder = edited(write_export(tmp_path / "lie"), lambda card: replace(card, output=replace(card.output, **changes)))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=message):
        predict(folder, data, split="test", conf=0.25)


def test_a_file_that_was_replaced_is_named_as_another_one(tmp_path: Path, reference: Path, data: Path) -> None:
    folder = write_export(tmp_path / "stale")
    write_detector(folder / "model.onnx", shift=3)
    proof = proved(reference, folder, data).proofs[0]
    assert (proof.word, proof.symptoms[0].kind) == ("FAIL", "file")
    assert "not the file of the card" in proof.reason


def test_every_export_gets_its_proof_and_the_worst_decides(tmp_path: Path, reference: Path, data: Path) -> None:
    exports = [write_export(tmp_path / "good"), cut(write_export(tmp_path / "cut"))]
    result = prove_exports(reference, exports, data, split="test", groups=GROUPS, out=tmp_path / "proof.json")
    assert [one.word for one in result.proofs] == ["PASS", "FAIL"]
    assert result.word == "FAIL"
    written = json.loads((tmp_path / "proof.json").read_text())
    assert [one["name"] for one in written["proofs"]] == ["good", "cut"]
    assert written == msgspec.json.decode(msgspec.json.encode(result.to_dict()))


def test_the_exports_of_others_are_measured_all_the_same(tmp_path: Path, reference: Path, data: Path) -> None:
    bare = write_detector(tmp_path / "theirs.onnx")
    proof = proved(reference, bare, data).proofs[0]
    assert proof.word == "PASS"
    assert any("does not say" in note for note in proof.notes)


def test_no_export_is_called_broken_where_the_images_are(tmp_path: Path, reference: Path) -> None:
    """Images that cannot be read, and labels of other classes, are one error about them, and no verdict."""
    sound = write_export(tmp_path / "sound")
    damaged = write_images(tmp_path / "damaged", 6)
    image = sorted((tmp_path / "damaged/images/test").iterdir())[3]
    image.write_bytes(image.read_bytes()[:-3000])
    with pytest.raises(DataError, match=image.name):
        prove_exports(reference, [sound], damaged, split="test")
    others = write_images(tmp_path / "others", 6)
    others.write_text(others.read_text().replace("red", "cat").replace("green", "dog").replace("blue", "bird"))
    with pytest.raises(DataError, match="no class in common"):
        prove_exports(reference, [sound], others, split="test")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"margin": 0.0}, "margin above 0"),
        ({"conf": 3.0}, "confidence"),
        ({"split": "vall"}, "no split"),
        ({"exports": []}, "no export"),
        ({"exports": ["mistyped"]}, "no such export"),
        ({"reference": "nothing.pt"}, "no such model"),
    ],
)
def test_a_wrong_argument_is_one_error(reference: Path, data: Path, change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {
        "reference": reference,
        "exports": [reference],
        "truth": data,
        "split": "test",
        **change,
    }
    with pytest.raises(UsageError, match=message):
        prove_exports(**arguments)  # type: ignore[arg-type]


def test_the_command_exits_by_the_worst_verdict(
    tmp_path: Path, reference: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from liftgate.cli import main

    good, bad = write_export(tmp_path / "good"), write_export(tmp_path / "bad", dead_boxes=True)
    rest = ["--prove", str(data), "--split", "test", "--groups", GROUPS]
    assert main(["export", str(reference), "--exports", str(good), *rest]) == 0
    assert "good: PASS" in capsys.readouterr().err
    assert main(["export", str(reference), "--exports", str(good), str(bad), *rest, "--json"]) == 10
    printed = json.loads(capsys.readouterr().out)
    assert [one["verdict"] for one in printed["proof"]["proofs"]] == ["PASS", "FAIL"]
    assert main(["export", str(reference), "--exports", str(good)]) == 2
    assert main(["export", str(reference)]) == 2
