"""Models measured in turns, each in a process of its own."""

from __future__ import annotations

import json
import os
import pickle
import signal
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

import liftgate
from liftgate.cli import main
from liftgate.deploy.bench.contender import start
from liftgate.deploy.bench.worker import BlockCommand
from liftgate.errors import DataError, Refused, TrainingError, UsageError
from liftgate.reporting.pareto import ParetoPoint, pareto_picture
from liftgate.stats.interval import Interval

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from deploy.colours import GROUPS, write_detector, write_images


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bench")
    write_detector(made / "a.onnx")
    write_detector(made / "bare.onnx", metadata={})
    write_images(made / "data")
    return made


@pytest.fixture(scope="module")
def measured(folder: Path) -> liftgate.BenchResult:
    return liftgate.bench(
        [folder / "a.onnx", folder / "bare.onnx"],
        images=folder / "data/images/test",
        batches=(1, 2),
        blocks=5,
        seconds=0.02,
        threads=1,
    )


def test_every_model_has_its_times_memory_and_size(measured: liftgate.BenchResult, folder: Path) -> None:
    for model, file in zip(measured.models, ("a.onnx", "bare.onnx"), strict=True):
        assert model.name == file and model.size_bytes == (folder / file).stat().st_size
        assert 20 < model.memory_mb <= model.peak_memory_mb < 2000 and "ONNX Runtime" in model.runtime
        assert model.warm_up_calls >= 3 and model.first_ms > 0
        assert [one.batch for one in model.batches] == [1, 2]
        for one in model.batches:
            assert 0 < one.p50_ms <= one.p90_ms <= one.p95_ms and one.n_calls >= 15 and one.n_blocks == 5
            assert one.p99_ms is None or one.n_calls >= 100
            assert one.pre_ms > 0 and one.inference_ms > 0 and one.post_ms > 0 and one.cpu_ms_per_image > 0
            assert one.ms_per_image.estimate * one.batch == pytest.approx(one.p50_ms)
            assert (one.ms_per_image.n_images, one.ms_per_image.n_groups) == (one.n_calls * one.batch, 5)
        assert model.batches[1].calls_per_request == 2
        assert any("batch 2 is 2 calls" in note for note in model.notes)


def test_the_first_model_is_measured_against_itself_beside_every_ratio(measured: liftgate.BenchResult) -> None:
    rows = [(one.model, one.batch) for one in measured.ratios]
    again = "a.onnx, a second time"
    assert rows == [(again, 1), (again, 2), ("bare.onnx", 1), ("bare.onnx", 2)]
    by_row = {(one.model, one.batch): one for one in measured.ratios}
    for batch in (1, 2):
        own, other = by_row[again, batch], by_row["bare.onnx", batch]
        assert own.ratio == own.same_model == other.same_model and other.ratio.n_groups == 5


def test_threads_are_pinned_and_said(measured: liftgate.BenchResult) -> None:
    assert (measured.machine.threads, measured.machine.pinned_to) == (1, (min(os.sched_getaffinity(0)),))
    assert measured.machine.processor and measured.machine.cores == len(os.sched_getaffinity(0))


def test_what_an_export_of_others_does_not_say_is_named_and_it_is_measured_all_the_same(
    measured: liftgate.BenchResult,
) -> None:
    bare = measured.models[1]
    for what in ("the names of the classes", "the order of channels", "the scale of pixels", "licences"):
        assert any(what in text for text in bare.missing)


def test_accuracy_and_latency_make_a_picture_with_both_intervals(folder: Path, tmp_path: Path) -> None:
    other = write_detector(tmp_path / "b<&>.onnx", shift=5.0)
    result = liftgate.bench(
        [folder / "a.onnx", other],
        truth=folder / "data/data.yaml",
        split="test",
        groups=GROUPS,
        batches=(1,),
        blocks=5,
        seconds=0.02,
        threads=1,
        picture=tmp_path / "front.svg",
    )
    best, shifted = result.accuracy
    assert best.metric == "mAP50-95" and best.value.estimate > shifted.value.estimate + 0.1
    assert (best.value.n_images, best.value.n_groups) == (12, 6)
    drawn = ElementTree.parse(tmp_path / "front.svg").getroot()
    titles = [one.text or "" for one in drawn.iter("{http://www.w3.org/2000/svg}title")]
    assert any(text.startswith("a.onnx: ") for text in titles) and any("b<&>.onnx" in text for text in titles)
    rows = [one.text or "" for one in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert all(58 + 6 * len(row) < 566 for row in rows), "nothing is cut off at the right"
    said = " ".join(rows)
    assert "mAP50-95: 12 images in 6 groups" in said and "images in 5 blocks" in said
    assert ("too noisy to say" in said) == (result.ratios[0].word == "too noisy to say")


def test_a_long_name_leaves_its_numbers_in_the_picture() -> None:
    """The picture is 560 wide, and a letter of a row about 6."""
    latency, accuracy = Interval(123.4, 120.1, 130.2, 0.95, "t", 90, 9), Interval(0.4012, 0.33, 0.47, 0.95, "t", 90, 9)
    name = "a_very_long_name_of_a_customer_v0.12_2026-11-30_left_camera.onnx"
    drawn = pareto_picture([ParetoPoint(name, latency, accuracy)], title="t", x_label="ms", y_label="mAP", notes=["n"])
    rows = [one.text or "" for one in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    (row,) = (text for text in rows if text.endswith("0.4012 [0.33, 0.47]"))
    assert row == "1  a_very_lo…left_camera.onnx: 123.4 [120.1, 130.2] ms, 0.4012 [0.33, 0.47]"
    assert 58 + 6 * len(row) < 560


def test_the_command_line_prints_json_and_text(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    words = ["bench", "a.onnx", "--batch", "1", "--blocks", "1", "--seconds", "0.01", "--threads", "1"]
    assert main([*words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    (model,) = record["models"]
    (row,) = model["batches"]
    assert row["interval"] == [None, None] and row["scenario"] == "single-stream" and row["p50_ms"] > 0
    assert record["ratios"][0]["verdict"] == "too noisy to say" and record["energy"].startswith(
        ("not measured", "RAPL")
    )
    assert main([*words, "--images", "data/images/test"]) == 0
    shown = capsys.readouterr().out
    assert "1 thread on core " in shown and "single-stream" in shown and "A/A" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": []}, "no model"),
        ({"models": ["nowhere.onnx"]}, "no such model"),
        ({"batches": (0,)}, "batches is out of range"),
        ({"batches": (1, 1)}, "batches is out of range"),
        ({"blocks": 0}, "blocks is out of range"),
        ({"seconds": float("nan")}, "seconds is out of range"),
        ({"conf": 1.5}, "conf is out of range"),
        ({"threads": 10_000}, "threads are pinned"),
        ({"picture": "a.svg"}, "needs a truth"),
        ({"images": "nowhere"}, "no such images"),
    ],
)
def test_a_mistake_is_refused_before_anything_is_measured(
    folder: Path, arguments: dict[str, object], message: str
) -> None:
    models = arguments.pop("models", folder / "a.onnx")
    with pytest.raises(UsageError, match=message):
        liftgate.bench(models, **arguments)  # type: ignore[arg-type]


def test_a_batch_that_the_model_cannot_be_given_is_said(folder: Path, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(folder / "a.onnx")
    for port in (*model.graph.input, *model.graph.output):
        port.type.tensor_type.shape.dim[0].dim_value = 2
    for name in ("box_shape", "score_shape"):
        (old,) = [one for one in model.graph.initializer if one.name == name]
        values = onnx.numpy_helper.to_array(old).copy()
        values[0] = 2
        old.CopyFrom(onnx.numpy_helper.from_array(values, name))
    onnx.save(model, str(tmp_path / "two.onnx"))
    small = {"blocks": 1, "seconds": 0.01, "threads": 1}
    result = liftgate.bench(tmp_path / "two.onnx", batches=(1, 2), **small)  # type: ignore[arg-type]
    assert [one.batch for one in result.models[0].batches] == [2]
    assert any("batch 1 not measured" in note for note in result.models[0].notes)
    with pytest.raises(DataError, match="takes none of the batches"):
        liftgate.bench(tmp_path / "two.onnx", batches=(1,), **small)  # type: ignore[arg-type]


def test_a_damaged_model_is_one_error(folder: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.onnx"
    cut.write_bytes((folder / "a.onnx").read_bytes()[:-200])
    with pytest.raises(DataError) as refused:
        liftgate.bench([folder / "a.onnx", cut], blocks=1, seconds=0.01)
    assert str(cut) in str(refused.value)


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


def test_a_checkpoint_that_would_run_something_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.pt", "w") as archive:
        archive.writestr("bad/data.pkl", pickle.dumps({"model": Hostile()}))
        archive.writestr("bad/version", "3\n")
    with pytest.raises(Refused, match="could run code"):
        liftgate.bench(tmp_path / "bad.pt", blocks=1, seconds=0.01)


def test_a_registered_model_that_was_changed_is_refused(folder: Path, tmp_path: Path) -> None:
    version = liftgate.add_model(folder / "a.onnx", registry=tmp_path / "models")
    version.weights.write_bytes(b"other")
    for call in (
        lambda: liftgate.bench(version.weights, blocks=1, seconds=0.01),
        lambda: liftgate.predict(version.weights, folder / "data/images/test"),
    ):
        with pytest.raises(DataError, match="v0 is not as it was registered"):
            call()


def test_a_process_that_dies_is_one_error(tmp_path: Path) -> None:
    with start("a.onnx", tmp_path / "home", 1) as contender:
        os.kill(contender.pid, signal.SIGKILL)
        with pytest.raises(TrainingError, match=r"the process of a\.onnx ended: got signal 9"):
            contender.measure(BlockCommand(1, 0.01, 1))
