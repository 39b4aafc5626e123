"""What both models found is read as it was added, or refused: the sums of the minutes decide a shadow test."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from liftgate.data.production_log.records import LoggedBox
from liftgate.deploy.shadow import pairs as pair_store
from liftgate.deploy.shadow.pairs import PAIRS, Pair, PairStore, match, read_disagreements, read_minutes
from liftgate.errors import DataError
from liftgate.hashing import row_checksum

FIRST = "rowid = (SELECT MIN(rowid) FROM pairs WHERE champion_only > 0)"
BOXES = tuple(LoggedBox("cone", 0.5, (10.0 * n, 0.0, 10.0 * n + 8, 8.0)) for n in range(4))
FLIPS = int(os.environ.get("LIFTGATE_FLIPS", "150"))


def pairs(n: int, dice: random.Random) -> list[Pair]:
    found = []
    for number in range(n):
        champion, challenger = BOXES[: dice.randrange(4)], BOXES[dice.randrange(2) : dice.randrange(4)]
        counts = match(champion, challenger)
        found.append(Pair(7.0 * number, 1.79e9 + 7 * number, f"gate{number % 2}", f"{number}", "v0",
                          counts, number % 50, 64, 48, "", champion, challenger))  # fmt: skip
    return found


def write(folder: Path, added: list[Pair]) -> Path:
    folder.mkdir(exist_ok=True)
    store = PairStore(folder)
    for pair in added:
        store.add(pair)
    store.close()
    return folder / PAIRS


def shown(folder: Path) -> str:
    minutes = [(one.camera, one.images.tolist(), one.agreed.tolist(), one.champion_only.tolist(),
                one.challenger_only.tolist(), one.brightness.tolist()) for one in read_minutes(folder)]  # fmt: skip
    store = PairStore(folder)
    try:
        return repr((minutes, read_disagreements(folder), store.last_elapsed()))
    finally:
        store.close()


def test_minutes_are_the_sums_of_what_was_added(tmp_path: Path) -> None:
    added = pairs(60, random.Random(3))
    write(tmp_path, added)
    for minutes in read_minutes(tmp_path):
        for minute, images in enumerate(minutes.images):
            of_it = [one for one in added if one.camera == minutes.camera and one.elapsed // 60 == minute]
            assert images == len(of_it)
            assert minutes.agreed[minute] == sum(one.counts.agreed for one in of_it)
            assert minutes.difference[minute] == sum(
                one.counts.champion_only - one.counts.challenger_only for one in of_it
            )
            assert minutes.brightness[minute] == pytest.approx(sum(one.brightness for one in of_it) / len(of_it))
    assert read_disagreements(tmp_path) == [one for one in added if len({*one.champion} ^ {*one.challenger})]


def test_a_flipped_bit_is_noticed_or_without_effect(tmp_path: Path) -> None:
    path, dice, noticed = write(tmp_path, pairs(60, random.Random(3))), random.Random(5), 0
    before, sound = shown(tmp_path), path.read_bytes()
    for _ in range(FLIPS):
        damaged, place = bytearray(sound), dice.randrange(len(sound))
        damaged[place] ^= 1 << dice.randrange(8)
        for file in tmp_path.glob(f"{PAIRS}*"):
            file.unlink()
        path.write_bytes(damaged)
        try:
            assert shown(tmp_path) == before, place
        except DataError:
            noticed += 1
    assert noticed > 0.3 * FLIPS


@pytest.mark.parametrize("change", [
    f"UPDATE pairs SET champion_only = champion_only + 1 WHERE {FIRST}",
    f"UPDATE pairs SET champion_only = 0, challenger_only = 0 WHERE {FIRST}",
    f"UPDATE pairs SET challenger = '[]', champion = '[]' WHERE {FIRST}",
    "UPDATE minutes SET challenger_only = 9 WHERE minute = 1",
    "DELETE FROM minutes WHERE minute = 1",
    "DELETE FROM pairs WHERE rowid > 50",
])  # fmt: skip
def test_a_row_that_was_changed_or_is_gone_is_refused(tmp_path: Path, change: str) -> None:
    path = write(tmp_path, pairs(60, random.Random(3)))
    with closing(sqlite3.connect(path)) as db:
        assert db.execute(change).rowcount > 0
        db.commit()
    with pytest.raises(DataError, match="damaged"):
        shown(tmp_path)


def test_a_test_of_an_older_version_is_read_and_goes_on(tmp_path: Path) -> None:
    added = pairs(60, random.Random(3))
    new, old = tmp_path / "new", tmp_path / "old"
    write(new, added)
    path = write(old, added[:40])
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE minutes")
        db.execute("ALTER TABLE pairs DROP COLUMN checksum")
        db.commit()
    assert sum(one.images.sum() for one in read_minutes(old)) == 40
    assert read_disagreements(old) == [one for one in read_disagreements(new) if one in added[:40]]
    write(old, added[40:])
    assert shown(old) == shown(new)
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE minutes SET champion_only = champion_only + 1 WHERE minute = 0")
        db.commit()
    with pytest.raises(DataError, match="damaged"):
        read_minutes(old)


def test_a_reader_meanwhile_finds_a_test_of_an_older_version_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, pairs(40, random.Random(3)))
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE minutes")
        db.execute("ALTER TABLE pairs DROP COLUMN checksum")
        db.commit()
    seen = list[float]()

    def read_and_sum(*cells: Any) -> int:
        seen.append(sum(one.images.sum() for one in read_minutes(tmp_path)))
        return row_checksum(*cells)

    monkeypatch.setattr(pair_store, "row_checksum", read_and_sum)
    PairStore(tmp_path).close()
    assert seen and set(seen) == {40}
    assert sum(one.images.sum() for one in read_minutes(tmp_path)) == 40


def test_a_full_disk_keeps_its_own_message(tmp_path: Path) -> None:
    path = write(tmp_path, pairs(3, random.Random(3)))
    with closing(sqlite3.connect(path)) as db:  # SQLite ends the transaction by itself, as it does on a full disk
        db.execute("CREATE TRIGGER full BEFORE INSERT ON minutes BEGIN SELECT RAISE(ROLLBACK, 'disk is full'); END")
        db.commit()
    with closing(PairStore(tmp_path)) as store:
        for _ in range(2):
            with pytest.raises(sqlite3.Error, match="disk is full"):
                store.add(pairs(4, random.Random(3))[-1])
    assert sum(one.images.sum() for one in read_minutes(tmp_path)) == 3


def test_a_store_that_cannot_be_opened_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        PairStore(tmp_path / "nowhere")
