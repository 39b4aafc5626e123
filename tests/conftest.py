"""What every test may ask for."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started with `&` or by a runner: Ctrl-C is under test here
    signal.signal(signal.SIGINT, signal.default_int_handler)

_DEFAULT = Path(__file__).resolve().parents[1] / ".." / "shared" / "fixtures"


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """Folder of real data (see CONTRIBUTING.md); the test is skipped on a machine without it."""
    folder = Path(os.environ.get("LIFTGATE_FIXTURES", _DEFAULT)).resolve()
    if not (folder / "README.md").is_file():
        pytest.skip("no fixtures folder: set LIFTGATE_FIXTURES to run the tests on real data")
    return folder


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
