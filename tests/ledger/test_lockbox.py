"""A locked split is opened as often as was declared, and every look is on record."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from liftgate import __version__
from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.core.fingerprint import image_signatures
from liftgate.errors import Refused
from liftgate.ledger import Ledger
from liftgate.ledger.lockbox import Lockbox, declared_budget, locked_by, open_outside_study, search_locks
from liftgate.study.study_parser import parse

STUDY = """
study: one
question: q
datasets:
  bench: {path: data.yaml, lock: [test, night]}
  open: {path: data.yaml}
arms: {a: {weights: a.pt}, b: {weights: b.pt}}
gates:
  enough: {arm: a, on: bench.test, claims: [{metric: recall, at_least: 0.9}]}
  lift: {metric: mAP50, treatment: b, control: a, on: bench.test}
  free: {metric: mAP50, treatment: b, control: a, on: open.test}
flow: [enough, lift, free]
"""


@pytest.fixture
def lockbox(tmp_path: Path) -> Lockbox:
    return Lockbox(Ledger(tmp_path / "runs" / "one" / "ledger.sqlite"), {"bench.test": 2})


def test_the_budget_is_one_look_for_each_gate_unless_the_study_declares_it() -> None:
    assert declared_budget(parse(STUDY)) == {"bench.test": 2, "bench.night": 1}
    declared = STUDY.replace("lock: [test, night]", "lock: [test, night], openings: {test: 7}")
    assert declared_budget(parse(declared)) == {"bench.test": 7, "bench.night": 1}


def test_only_what_the_study_locks_is_locked(tmp_path: Path) -> None:
    lockbox = Lockbox.of_study(parse(STUDY), Ledger(tmp_path / "ledger.sqlite"))
    assert lockbox.locks("bench", "test") and not lockbox.locks("open", "test") and not lockbox.locks("bench", "val")


def test_an_opening_says_who_why_and_by_which_code(lockbox: Lockbox) -> None:
    opening = lockbox.open("bench", "test", "gate lift", "a" * 64)
    assert (opening.number, opening.budget, opening.repeated, opening.contaminated) == (1, 2, False, False)
    (entry,) = lockbox.ledger.entries("lockbox")
    assert entry.hash == opening.entry
    assert entry.body["purpose"] == "gate lift" and entry.body["liftgate"] == __version__ and entry.body["who"]


def test_the_same_look_again_is_no_new_opening(lockbox: Lockbox) -> None:
    first = lockbox.open("bench", "test", "gate lift", "a" * 64)
    again = lockbox.open("bench", "test", "gate lift", "a" * 64)
    assert again.repeated and again.entry == first.entry
    assert len(lockbox.openings()) == 1


def test_beyond_the_budget_it_refuses_and_records_nothing(lockbox: Lockbox) -> None:
    for subject in "ab":
        lockbox.open("bench", "test", "gate lift", subject * 64)
    with pytest.raises(Refused, match=r"the lockbox of bench\.test is spent") as caught:
        lockbox.open("bench", "test", "gate lift", "c" * 64)
    assert caught.value.exit_code == 2
    assert len(lockbox.openings()) == 2
    assert lockbox.open("bench", "test", "gate lift", "b" * 64).repeated, "what was seen may be seen again"


def test_with_a_reason_it_opens_and_is_contaminated_for_good(lockbox: Lockbox) -> None:
    for subject in "ab":
        lockbox.open("bench", "test", "gate lift", subject * 64)
    opening = lockbox.open("bench", "test", "gate lift", "c" * 64, reason="labels were mended")
    assert opening.contaminated and opening.number == 3
    assert lockbox.ledger.entries("lockbox")[-1].body["reason"] == "labels were mended"
    assert lockbox.open("bench", "test", "gate lift", "c" * 64).contaminated


def test_raising_the_budget_later_does_not_unsay_what_was_declared_then(lockbox: Lockbox) -> None:
    lockbox.open("bench", "test", "gate lift", "a" * 64)
    raised = Lockbox(lockbox.ledger, {"bench.test": 9})
    raised.open("bench", "test", "gate lift", "b" * 64)
    assert [opening.budget for opening in raised.openings()] == [2, 9]


def test_other_splits_have_their_own_count(tmp_path: Path) -> None:
    lockbox = Lockbox(Ledger(tmp_path / "ledger.sqlite"), {"bench.test": 1, "bench.night": 1})
    assert lockbox.open("bench", "test", "gate", "a" * 64).number == 1
    assert lockbox.open("bench", "night", "gate", "a" * 64).number == 1


def test_two_processes_cannot_share_the_last_opening(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    script = (
        "import sys; from pathlib import Path\n"
        "from liftgate.errors import Refused\n"
        "from liftgate.ledger import Ledger; from liftgate.ledger.lockbox import Lockbox\n"
        "try: Lockbox(Ledger(Path(sys.argv[1])), {'bench.test': 1}).open('bench', 'test', 'gate', sys.argv[2])\n"
        "except Refused: sys.exit(7)"
    )
    openers = [subprocess.Popen([sys.executable, "-c", script, str(path), who * 64]) for who in "abc"]
    assert sorted(opener.wait() for opener in openers) == [0, 7, 7]


def test_another_test_set_under_the_same_name_is_refused(lockbox: Lockbox) -> None:
    lockbox.open("bench", "test", "gate lift", "a" * 64, truth="1" * 64)
    with pytest.raises(Refused, match=r"bench\.test is not what it was when it was opened") as caught:
        lockbox.open("bench", "test", "gate lift", "b" * 64, truth="2" * 64)
    assert caught.value.exit_code == 2 and len(lockbox.openings()) == 1
    opened = lockbox.open("bench", "test", "gate lift", "b" * 64, truth="2" * 64, reason="a label was wrong")
    assert opened.contaminated and opened.number == 2


def test_looks_of_other_studies_at_the_same_truth_count(tmp_path: Path) -> None:
    first, second, third = (
        Lockbox(Ledger(tmp_path / name / "ledger.sqlite"), {"bench.test": budget})
        for name, budget in (("one", 1), ("two", 1), ("three", 2))
    )
    first.open("bench", "test", "gate lift", "a" * 64, truth="1" * 64)
    with pytest.raises(Refused, match="one more after 1 opening, 1 of them by one"):
        second.open("bench", "test", "gate lift", "b" * 64, truth="1" * 64)
    assert second.open("bench", "test", "gate lift", "b" * 64, truth="9" * 64).number == 1, "another truth"
    declared = third.open("bench", "test", "gate lift", "b" * 64, truth="1" * 64)
    assert (declared.number, declared.elsewhere, declared.contaminated) == (2, ("one",), False)


def images(*names: str) -> Dataset:
    return Dataset(
        name="d", root=Path(), source=Path("d"), format="yolo", classes=("a",),
        images=tuple(Image(name, Path(name), 64, 48) for name in names), labels=Labels.build([], [], []),
    )  # fmt: skip


def test_images_that_a_study_locks_are_found_from_outside_and_every_look_is_recorded(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "runs" / "one" / "ledger.sqlite")
    locked = {"locked": True, "marks": "".join(image_signatures(images("a.jpg", "b.jpg")))}
    rows = [{"split": "test", **locked}, {"split": "val", "locked": False, "marks": ""}]
    ledger.append("data", {"dataset": "bench", "fingerprint": "f", "splits": rows})
    test, val = images("b.jpg", "a.jpg"), images("c.jpg")
    (found,) = locked_by(test, [tmp_path, tmp_path / "elsewhere"])
    assert (found.study, found.dataset, found.split, found.share(test)) == ("one", "bench", "test", "")
    assert locked_by(val, [tmp_path]) == []
    opened = open_outside_study(found, "liftgate evaluate", "a" * 64, "t" * 64, "a look at the labels")
    assert opened.contaminated
    assert ledger.entries("lockbox")[-1].body["reason"] == "a look at the labels"


def test_an_image_of_the_same_name_and_size_with_other_bytes_is_another_image(tmp_path: Path) -> None:
    def folder(name: str, said: bytes) -> Dataset:
        (tmp_path / name).mkdir()
        (tmp_path / name / "0001.jpg").write_bytes(said)
        made = images("0001.jpg")
        return replace(made, images=(replace(made.images[0], path=tmp_path / name / "0001.jpg"),))

    locked, same, other = folder("locked", b"one"), folder("copy", b"one"), folder("other", b"two")
    ledger = Ledger(tmp_path / "runs" / "one" / "ledger.sqlite")
    row = {"split": "test", "locked": True, "marks": "".join(image_signatures(locked))}
    ledger.append("data", {"dataset": "bench", "fingerprint": "f", "splits": [row]})
    assert locked_by(same, [tmp_path]) and not locked_by(other, [tmp_path])
    assert locked_by(images("0001.jpg"), [tmp_path]), "where there is no file to look at, the name decides"


def test_a_ledger_without_marks_locks_the_set_as_a_whole(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "runs" / "one" / "ledger.sqlite")
    row = {"split": "test", "locked": True, "images": images("a.jpg").images_hash()}
    ledger.append("data", {"dataset": "bench", "fingerprint": "f", "splits": [row]})
    assert locked_by(images("a.jpg"), [tmp_path]) and not locked_by(images("a.jpg", "b.jpg"), [tmp_path])


def test_a_part_of_what_is_locked_is_locked_and_so_is_a_whole_that_holds_it(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "runs" / "one" / "ledger.sqlite")
    marks = "".join(image_signatures(images("a.jpg", "b.jpg")))
    ledger.append(
        "data", {"dataset": "bench", "fingerprint": "f", "splits": [{"split": "test", "locked": True, "marks": marks}]}
    )
    part, whole = images("a.jpg"), images("a.jpg", "b.jpg", "c.jpg")
    assert [found.share(part) for found in locked_by(part, [tmp_path])] == [""]
    assert [found.share(whole) for found in locked_by(whole, [tmp_path])] == ["2 of 3 are in "]


def test_what_was_opened_anyway_stays_contaminated_within_the_budget_too(lockbox: Lockbox) -> None:
    lockbox.open("bench", "test", "gate lift", "a" * 64, truth="3" * 64)
    lockbox.open("bench", "test", "gate lift", "b" * 64, truth="4" * 64, reason="a label was wrong")
    raised = Lockbox(lockbox.ledger, {"bench.test": 9})
    assert raised.open("bench", "test", "gate lift", "c" * 64, truth="4" * 64, reason="again").contaminated
    other = Lockbox(lockbox.ledger, {"bench.night": 9})
    assert not other.open("bench", "night", "gate lift", "c" * 64).contaminated


def change_an_entry(path: Path) -> None:
    """As somebody would who wants a lock to be forgotten."""
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        for name in ("no_update", "no_delete", "only_next"):
            db.execute(f"DROP TRIGGER {name}")
        db.execute("UPDATE entries SET body = replace(body, 'true', 'false')")


def overwrite(path: Path) -> None:
    path.write_bytes(b"\0" * 4096)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "an entry changed": change_an_entry,
    "overwritten": overwrite,
    "emptied": lambda path: path.write_bytes(b""),
    "deleted, its head left": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_ledger_that_cannot_be_verified_is_said_and_not_passed_over(damage: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "runs" / "one" / "ledger.sqlite")
    row = {"split": "test", "locked": True, "marks": "".join(image_signatures(images("a.jpg")))}
    ledger.append("data", {"dataset": "bench", "fingerprint": "f", "splits": [row]})
    assert locked_by(images("a.jpg"), [tmp_path]) and not locked_by(images("c.jpg"), [tmp_path])
    DAMAGE[damage](ledger.path)
    for names in ("a.jpg", "c.jpg"):
        with pytest.raises(Refused, match="ledger of the study one cannot be verified") as caught:
            locked_by(images(names), [tmp_path])
        assert caught.value.where == str(ledger.path.resolve()) and "liftgate ledger verify" in str(caught.value.hint)
    (unverified,) = search_locks(images("c.jpg"), [tmp_path]).unverified
    assert "--open-anyway --reason" in str(unverified.refusal().hint)


@pytest.mark.parametrize("kind", ["another SQLite file", "a table of the same name", "text", "nothing"])
def test_a_file_that_is_no_ledger_is_passed_over(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "runs" / "one" / "ledger.sqlite"
    path.parent.mkdir(parents=True)
    path.write_text("dear diary" if kind == "text" else "")
    if "SQLite" in kind or "table" in kind:
        with contextlib.closing(sqlite3.connect(path)) as db, db:
            db.execute(f"CREATE TABLE {'accounts' if 'SQLite' in kind else 'entries'} (name TEXT, sum REAL)")
    assert search_locks(images("a.jpg"), [tmp_path]) == ([], [])


def test_openings_in_a_damaged_ledger_beside_this_one_are_not_taken_for_none(tmp_path: Path) -> None:
    first, second = (
        Lockbox(Ledger(tmp_path / "runs" / name / "ledger.sqlite"), {"bench.test": 2}) for name in ("one", "two")
    )
    first.open("bench", "test", "gate lift", "a" * 64, truth="1" * 64)
    seen = second.open("bench", "test", "gate lift", "b" * 64, truth="1" * 64)
    assert (seen.number, seen.contaminated) == (2, False)
    overwrite(first.ledger.path)
    assert second.open("bench", "test", "gate lift", "b" * 64, truth="1" * 64).repeated, "no new look"
    third = Lockbox(Ledger(tmp_path / "runs" / "three" / "ledger.sqlite"), {"bench.test": 9})
    with pytest.raises(Refused, match="ledger of the study one cannot be verified"):
        third.open("bench", "test", "gate lift", "c" * 64, truth="1" * 64)
    assert not third.openings()
    assert third.open("bench", "test", "gate lift", "c" * 64, truth="1" * 64, reason="a disk failed").contaminated
