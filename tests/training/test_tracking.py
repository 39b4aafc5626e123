"""Tracking: epochs in TensorBoard's own format, and nothing that could end a training or leave the machine."""

from __future__ import annotations

import importlib.util
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.backends.events import EpochReport
from liftgate.errors import UsageError
from liftgate.training.tracking import Tracked, demand
from liftgate.training.tracking.tensorboard import TensorBoard, crc32c

EPOCH = EpochReport.from_body(
    {
        "epoch": 1,
        "losses": {"train/box_loss": 1.25, "val/box_loss": None},
        "metrics": {"mAP50": 0.5},
        "lr": {"lr/pg0": 0.01},
        "seconds": 2.5,
        "power_w": 71.5,
    }
)


def _slow_crc(content: bytes) -> int:
    """Bit by bit: x³² + the Castagnoli polynomial, reflected."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _records(path: Path) -> list[bytes]:
    """The events of a file, each checked."""
    content, found = path.read_bytes(), []
    while content:
        length = struct.unpack("<Q", content[:8])[0]
        event, sums = content[12 : 12 + length], (content[8:12], content[12 + length : 16 + length])
        for part, said in zip((content[:8], event), sums, strict=True):
            crc = _slow_crc(part)
            assert struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF) == said
        found.append(event)
        content = content[16 + length :]
    return found


def _fields(message: bytes) -> list[tuple[int, Any]]:
    """The fields of a protobuf message, nested ones as bytes."""
    found, place = [], 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(message):
        key = varint()
        size = {0: 0, 1: 8, 5: 4}.get(key & 7)
        if size == 0:
            found.append((key >> 3, varint()))
            continue
        size = varint() if size is None else size
        found.append((key >> 3, message[place : place + size]))
        place += size
    return found


def _scalars(folder: Path) -> dict[tuple[str, int], float]:
    found = {}
    for path in sorted(folder.iterdir()):
        first, *events = _records(path)
        assert dict(_fields(first))[3] == b"brain.Event:2"
        for event in events:
            fields = dict(_fields(event))
            for _, value in _fields(fields[5]):
                parts = dict(_fields(value))
                found[parts[1].decode(), fields[2]] = struct.unpack("<f", parts[2])[0]
    return found


@given(st.binary(max_size=64))
def test_the_checksum_is_that_of_its_slow_twin(content: bytes) -> None:
    assert crc32c(content) == _slow_crc(content)


@given(
    st.integers(1, 10**6),
    st.dictionaries(st.text("abc/µ", min_size=1, max_size=200), st.floats(width=32, allow_nan=False), max_size=5),
)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, number: int, values: dict[str, float]
) -> None:
    folder = tmp_path_factory.mktemp("events")
    TensorBoard(folder).epoch(number, values)
    assert _scalars(folder) == {(name, number): value for name, value in values.items()}


def test_a_run_that_went_on_is_one_curve(tmp_path: Path) -> None:
    for epochs in ([1, 2], [3]):
        with Tracked(["tensorboard"], study="s", folder=tmp_path, known={}, complain=pytest.fail) as tracked:
            for number in epochs:
                tracked(replace(EPOCH, epoch=number))
    scalars = _scalars(tmp_path / "tensorboard")
    assert {step for name, step in scalars if name == "metrics/mAP50"} == {1, 2, 3}
    assert scalars["machine/power_w", 1] == 71.5 and ("val/box_loss", 1) not in scalars


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="needs tensorboard")
def test_tensorboard_itself_reads_it(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    TensorBoard(tmp_path).epoch(7, {"metrics/mAP50": 0.5})
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(one.step, one.value) for one in events.Scalars("metrics/mAP50")] == [(7, 0.5)]


def test_a_tracker_that_fails_is_dropped_with_one_warning(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("a file where a folder should be")
    said: list[str] = []
    with Tracked(["tensorboard"], study="s", folder=tmp_path, known={}, complain=said.append) as tracked:
        tracked(EPOCH)
        tracked(replace(EPOCH, epoch=2))
    assert len(said) == 1 and said[0].startswith("tensorboard failed")


def test_a_package_that_is_missing_is_said_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    demand(["tensorboard"], [])
    with pytest.raises(UsageError, match="`log: mlflow` needs the package mlflow") as refused:
        demand(["tensorboard", "mlflow"], [])
    assert "pip install mlflow" in str(refused.value)


@pytest.mark.parametrize(
    ("address", "stays"),
    [
        ("", True),
        ("sqlite:////data/mlflow.db", True),
        ("file:///data/mlruns", True),
        ("/data/mlruns", True),
        ("http://tracking.example:5000", False),
        ("databricks", False),
    ],
)
def test_confidential_numbers_stay_on_this_machine(monkeypatch: pytest.MonkeyPatch, address: str, stays: bool) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    demand(["mlflow"], [])
    if stays:
        demand(["mlflow", "tensorboard"], ["operators"])
    else:
        with pytest.raises(UsageError, match="operators is confidential"):
            demand(["mlflow"], ["operators"])
    with pytest.raises(UsageError, match="server of another company"):
        demand(["wandb"], ["operators"])
