"""The child's ear: who can make it pause, and who can take that back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from liftgate.training.pause_request import PauseRequest
from liftgate.training.worker import stop_requested


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCONT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_a_request_holds_until_it_is_withdrawn(tmp_path: Path) -> None:
    request = PauseRequest(tmp_path)
    should_stop = stop_requested(os.getppid(), request)
    assert not should_stop()
    assert request.make()
    assert should_stop()
    request.withdraw()
    assert not should_stop()
    request.withdraw()  # twice does no harm


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_suspending_and_resuming_a_job_does_not_erase_that_it_was_asked_to_pause(
    tmp_path: Path, number: signal.Signals
) -> None:
    should_stop = stop_requested(os.getppid(), PauseRequest(tmp_path))
    os.kill(os.getpid(), number)
    assert should_stop()
    os.kill(os.getpid(), signal.SIGCONT)  # what `scontrol resume` and `fg` send
    assert should_stop()


def test_a_child_without_its_parent_stops(tmp_path: Path) -> None:
    assert stop_requested(os.getppid() + 1, PauseRequest(tmp_path))()


def test_a_request_that_cannot_be_written_is_known(tmp_path: Path) -> None:
    assert not PauseRequest(tmp_path / "gone").make()
