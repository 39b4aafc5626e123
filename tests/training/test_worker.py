"""The child's ear: who can make it pause, and who can take that back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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
    code = f"""
import os, signal
from pathlib import Path
from liftgate.training.pause_request import PauseRequest
from liftgate.training.worker import stop_requested
should_stop = stop_requested(os.getppid(), PauseRequest(Path({str(tmp_path)!r})))
for number in (0, {number.value}, signal.SIGCONT):  # SIGCONT: what `scontrol resume` and `fg` send
    os.kill(os.getpid(), number)
    print(should_stop())
"""
    # In a process of its own: a signal that comes late would end the tests.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True"]


def test_a_child_without_its_parent_stops(tmp_path: Path) -> None:
    assert stop_requested(os.getppid() + 1, PauseRequest(tmp_path))()


def test_a_request_that_cannot_be_written_is_known(tmp_path: Path) -> None:
    assert not PauseRequest(tmp_path / "gone").make()
