"""A verb checks the chain of a ledger once from its first entry, however often it reads: that is what takes time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from liftgate.cli import main
from liftgate.ledger import Ledger, chain


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every entry that was hashed because it had not been checked before."""
    found: list[bytes] = []
    compute = chain.sha256

    def noted(data: bytes) -> object:
        found.append(data)
        return compute(data)

    monkeypatch.setattr(chain, "sha256", noted)
    return found


def test_each_verb_checks_each_entry_once(
    write_study: Callable[..., Path], tmp_path: Path, hashed: list[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write_study(flow=["train", "lift"]))
    folder = str(tmp_path / "runs")
    for words in (["run", path], ["run", path], ["status", path], ["status", folder], ["plan", path], ["report", path]):
        hashed.clear()
        assert main(words) in (0, 10, 11), capsys.readouterr().err
        assert len(hashed) == len(set(hashed)), words
    hashed.clear()
    assert Ledger(tmp_path / "runs" / "colours" / "ledger.sqlite").verify() == len(hashed)
