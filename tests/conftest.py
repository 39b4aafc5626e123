"""What every test may ask for."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from liftgate.testing.backends import BackendContract

# No test is timed: on a busy machine any example may take long, and so may making it.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# The workers of pytest-xdist share the cores: more threads of torch and BLAS would only compete for them.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_xdist_auto_num_workers() -> int:
    """Use one worker more than there are cores, at most 8: many tests wait for a child process or the disk."""
    return min(8, len(os.sched_getaffinity(0)) + 1)


# Started with `&`, `nohup` or by a job runner some signals may be ignored or blocked, and every child would inherit it:
# Ctrl-C and a closed terminal are under test here.
for _number, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGHUP, signal.SIGTERM})

_DEFAULT = Path(__file__).resolve().parents[1] / ".." / "shared" / "fixtures"


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """Folder of real data (see CONTRIBUTING.md); the test is skipped on a machine without it."""
    folder = Path(os.environ.get("LIFTGATE_FIXTURES", _DEFAULT)).resolve()
    if not (folder / "README.md").is_file():
        pytest.skip("no fixtures folder: set LIFTGATE_FIXTURES to run the tests on real data")
    return folder


_homes = itertools.count()


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache or state; their folders are made by whoever writes into them."""
    home = tmp_path_factory.getbasetemp() / "homes" / str(next(_homes))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real Chromium that asks nobody anything; the test is skipped on a machine without it."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = os.environ.get("LIFTGATE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium on this machine: the page is not looked at in a browser")
    quiet = "no-sandbox disable-gpu disable-quic no-first-run disable-sync disable-component-update"
    arguments = [f"--{name}" for name in (*quiet.split(), "disable-background-networking")]
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=arguments)
        yield opened
        opened.close()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests that share a training or a browser in one worker, which makes it once, and begin with what is long."""
    for item in items:
        cls = getattr(item, "cls", None)
        if cls is not None and issubclass(cls, BackendContract):
            item.add_marker(pytest.mark.xdist_group(cls.__name__))
        elif "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("browser"))
    items.sort(key=lambda item: not any(item.get_closest_marker(mark) for mark in ("slow", "promise", "xdist_group")))
