"""The user's index of ledgers: a line for each, whatever its path, and none is lost by two writers or a cut line."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from liftgate.files import state_folder
from liftgate.ledger.locked_images import register_ledger
from liftgate.ledger.nearby import INDEX, indexed_ledgers

NAMES = [
    "plain",
    'it\'s "so"',
    "50%20 %s",
    " two  words ",
    "a\nb\r",
    "a\\b",
    "\u2028\x85\x0b",
    os.fsdecode(b"k\xfcche"),
]


def ledger_in(folder: Path) -> Path:
    folder.mkdir()
    (folder / "ledger.sqlite").touch()
    return folder / "ledger.sqlite"


def test_a_ledger_in_a_folder_of_any_name_is_found_again(tmp_path: Path) -> None:
    ledgers = [ledger_in(tmp_path / name) for name in NAMES]
    for ledger in (*ledgers, *ledgers):
        register_ledger(ledger)
    assert indexed_ledgers() == ledgers


def test_two_at_once_lose_no_line(tmp_path: Path) -> None:
    ledgers = [ledger_in(tmp_path / str(number)) for number in range(24)]
    halves = [threading.Thread(target=lambda part=part: [register_ledger(one) for one in part]) for part in
              (ledgers[::2], ledgers[1::2])]  # fmt: skip
    for half in halves:
        half.start()
    for half in halves:
        half.join()
    assert sorted(indexed_ledgers()) == sorted(ledgers)


@pytest.mark.parametrize("damage", [b"\xff\xfe\n", b"/nowhere/led", b"\0\0\0\n", b"x" * 9000 + b"\n"])
def test_a_damaged_line_hides_no_other(tmp_path: Path, damage: bytes) -> None:
    first, second = ledger_in(tmp_path / "first"), ledger_in(tmp_path / "second")
    register_ledger(first)
    index = state_folder() / INDEX
    index.write_bytes(index.read_bytes() + damage)
    register_ledger(second)
    assert indexed_ledgers() == [first, second]


def test_an_index_that_cannot_be_written_stops_no_run(tmp_path: Path) -> None:
    (state_folder() / INDEX).mkdir(parents=True)
    register_ledger(ledger_in(tmp_path / "a"))
    assert indexed_ledgers() == []
