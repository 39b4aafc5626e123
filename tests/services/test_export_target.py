"""The bundle for a device and its result, with ONNX Runtime in a clean process standing for the device."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liftgate.cli import main
from liftgate.deploy.export.card_file import read_card
from liftgate.errors import DataError, UsageError
from liftgate.services.export_target import export_on_target, take_export

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from deploy.colours import GROUPS, write_images
from services.planted_exports import write_export


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    write_images(folder, 40, n_groups=8, split="train", seed=5)
    return write_images(folder, 52, n_groups=8, split="val")


def run_there(bundle: Path) -> Path:
    """Run the bundle's script without anything of Liftgate: its own working folder, no PYTHONPATH."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(bundle), "ORT_DISABLE_TELEMETRY": "1"}
    code = """
import runpy, sys
sys.modules["liftgate"] = None
sys.argv = ["run_on_target.py", "--runtime", "onnxruntime"]
runpy.run_path("run_on_target.py", run_name="__main__")
"""
    command = [sys.executable, "-I", "-c", code]
    done = subprocess.run(command, cwd=bundle, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return bundle / "result"


@pytest.fixture(scope="module")
def bundle(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("target")
    export_on_target(
        write_export(folder / "onnx-fp32"), data, folder / "bundle", precision="int8", groups=GROUPS, n_calibration=32
    )
    run_there(folder / "bundle")
    return folder / "bundle"


def test_the_bundle_holds_what_the_device_needs(bundle: Path) -> None:
    record = json.loads((bundle / "bundle.json").read_text())
    assert len(record["images"]) == 50
    assert set(record["files"]) >= {"model.onnx", "images.raw", "calibration.raw", "run_on_target.py", "card.json"}
    assert (bundle / "calibration.raw").stat().st_size == 32 * 128 * 128 * 3
    script = (bundle / "run_on_target.py").read_text()
    assert "import liftgate" not in script


def test_a_result_comes_home_with_device_versions_and_times(bundle: Path, tmp_path: Path) -> None:
    taken = take_export(bundle / "result", tmp_path / "home")
    assert taken.symptoms == ()
    assert taken.agreement.identical
    card = read_card(tmp_path / "home")
    assert (card.format, card.precision) == ("onnx", "fp32")
    assert "ONNX Runtime" in card.notes[-1]
    assert "median" in card.notes[-1]
    assert taken.milliseconds[0] > 0


def test_the_command_writes_and_takes(
    data: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = write_export(tmp_path / "onnx-fp32")
    words = [
        "export",
        str(export),
        "--on-target",
        "--data",
        str(data),
        "--precisions",
        "fp16",
        "--out",
        str(tmp_path / "b"),
    ]
    assert main(words) == 0
    capsys.readouterr()
    assert main(["export", "--take", str(bundle / "result"), "--out", str(tmp_path / "home"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["ok"] is True
    assert printed["symptoms"] == []
    assert main(["export", str(export), "--on-target", "--out", str(tmp_path / "c")]) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda result: result.update(bundle="0" * 64), "another bundle"),
        (lambda result: result["detections"].pop(), "another bundle"),
        (lambda result: result.update(sha256="0" * 64), "not the one that was measured"),
        (lambda result: result.update(result=2), "another version"),
        (lambda result: result.update(model="../model.onnx"), "missing"),
        (lambda result: result.update(milliseconds=[]), "no times"),
        (lambda result: result.pop("device"), "not valid"),
        (lambda result: result["detections"][0].append([9, 0.5, 0, 0, 1, 1]), "not possible"),
        (lambda result: result.update(precision="fp16"), "another precision"),
    ],
)
def test_a_result_that_does_not_fit_is_one_error(
    bundle: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    result = tmp_path / "result"
    result.mkdir()
    for path in (bundle / "result").iterdir():
        (result / path.name).write_bytes(path.read_bytes())
    document = json.loads((result / "result.json").read_text())
    change(document)
    (result / "result.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=message):
        take_export(result, tmp_path / "home", bundle=bundle)
    assert not (tmp_path / "home").exists()


def test_detections_that_differ_are_named_by_their_kind(bundle: Path, tmp_path: Path) -> None:
    result = tmp_path / "result"
    result.mkdir()
    for path in (bundle / "result").iterdir():
        (result / path.name).write_bytes(path.read_bytes())
    document = json.loads((result / "result.json").read_text())
    document["detections"] = [[[c, s, 0, 0, 16, 16] for c, s, *_ in rows] for rows in document["detections"]]
    (result / "result.json").write_text(json.dumps(document))
    taken = take_export(result, tmp_path / "home", bundle=bundle)
    assert [one.id for one in taken.symptoms] == ["boxes.lost"]


def test_what_cannot_be_bundled_is_refused(data: Path, tmp_path: Path) -> None:
    export = write_export(tmp_path / "onnx-fp32")
    with pytest.raises(UsageError, match="did you mean"):
        export_on_target(export, data, tmp_path / "b", precision="fp6")
    few = write_images(tmp_path / "few", 3, split="val")
    with pytest.raises(UsageError, match="too few images to compare"):
        export_on_target(export, few, tmp_path / "b")
    assert not (tmp_path / "b").exists()
