"""Readers and writers that meet while a ledger, a registry or the index of ledgers is created."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from liftgate.deploy.registry.store import Registry
from liftgate.errors import UsageError
from liftgate.ledger import Ledger
from liftgate.ledger.locked_images import register_ledger
from liftgate.ledger.nearby import indexed_ledgers

ROUNDS = 20


def at_once(folder: Path, *works: Callable[[], object]) -> None:
    """Run each work in a fork that begins when all are there; fail with the tracebacks of those that raised."""
    begin, ready = os.pipe(), []
    for number, work in enumerate(works):
        if (pid := os.fork()) == 0:
            try:
                os.close(begin[1])
                os.read(begin[0], 1)  # ends when the parent closes its end
                work()
            except BaseException:
                (folder / f"raised-{number}.txt").write_text(traceback.format_exc())
            finally:
                os._exit(0)
        ready.append(pid)
    os.close(begin[1])
    for pid in ready:
        os.waitpid(pid, 0)
    os.close(begin[0])
    assert [path.read_text() for path in sorted(folder.glob("raised-*.txt"))] == []


def test_nobody_meets_half_a_ledger(tmp_path: Path) -> None:
    for number in range(ROUNDS):
        path = tmp_path / str(number) / "ledger.sqlite"

        def read(path: Path = path) -> None:
            while not (ledger := Ledger(path)).entries():
                assert not path.exists() or not ledger.is_foreign()
            assert Ledger(path).verify() >= 1

        def write(path: Path = path) -> None:
            Ledger(path).append("note", {"text": "a"})

        at_once(tmp_path, read, write, write, read)
        assert Ledger(path).verify() == 2


def test_nobody_meets_half_a_registry(tmp_path: Path) -> None:
    for number in range(ROUNDS):
        registry = Registry(tmp_path / f"models{number}")

        def read(registry: Registry = registry) -> None:
            while not registry.ledger.entries():
                try:
                    registry.require_exists()
                except UsageError as error:
                    assert "no registry of models yet" in str(error)
                assert registry.champion_name() is None

        def write(registry: Registry = registry) -> None:
            with registry.locked():
                registry.ledger.append("note", {"text": "a"})

        at_once(tmp_path, read, write, write, read)
        assert registry.ledger.verify() == 2


def test_no_line_of_the_index_is_lost_while_its_folder_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(ROUNDS):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / f"state{number}"))
        ledgers = [tmp_path / f"{name}.sqlite" for name in "abc"]
        for ledger in ledgers:
            ledger.touch()
        at_once(tmp_path, *(partial(register_ledger, one) for one in ledgers), indexed_ledgers)
        assert sorted(indexed_ledgers()) == ledgers
