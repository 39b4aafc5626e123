"""Power: energy is added to each epoch where nvidia-smi tells it; nothing is said where it does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from liftgate.backends.events import EpochReport, Event, LogEvent
from liftgate.training.power import PowerMeter, power_draw


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """nvidia-smi that prints what stands in a file, and keeps what it was asked."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\ncat {tmp_path}/says\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path / "says"


def test_several_gpus_draw_together(says: Path) -> None:
    says.write_text("71.25\n68.75\n")
    assert power_draw("0,1") == 140.0
    assert says.with_name("asked").read_text().split()[-2:] == ["-i", "0,1"]


def test_gpus_are_counted_as_the_machine_counts_them(says: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says.write_text("70\n")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-8f2c")
    assert power_draw("1") == 70.0
    assert says.with_name("asked").read_text().split()[-1] == "GPU-8f2c"
    assert power_draw("2") is None


@pytest.mark.parametrize("said", ["", "[N/A]\n", "No devices were found\n"])
def test_a_gpu_that_tells_nothing_is_no_error(says: Path, said: str) -> None:
    says.write_text(said)
    assert power_draw("0") is None
    assert power_draw("cpu") is None


def test_an_epoch_gets_the_energy_since_the_one_before() -> None:
    heard: list[Event] = []
    looked: list[str | None] = []

    def look(device: str | None) -> float | None:
        looked.append(device)
        return 3600.0 if len(looked) == 1 else None

    with PowerMeter("0", look) as meter:
        emit = meter.wrap(heard.append)
        while "energy_wh" not in (heard[-1].to_body() if heard else {}):
            emit(EpochReport(epoch=len(heard) + 1))
        emit(LogEvent(message="as it was"))
    measured = heard[-2].to_body()
    assert measured["power_w"] == 3600.0 and measured["energy_wh"] >= 0
    assert heard[-1] == LogEvent(message="as it was")


def test_without_a_gpu_an_epoch_stays_as_it_was() -> None:
    heard: list[Event] = []
    with PowerMeter("cpu") as meter:
        meter.wrap(heard.append)(EpochReport(epoch=1))
    assert heard[0] == EpochReport(epoch=1)
