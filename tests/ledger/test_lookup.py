"""From a hash that a report shows back to the entry that it is of."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftgate.errors import UsageError
from liftgate.hashing import content_hash
from liftgate.ledger import Ledger
from liftgate.ledger.lookup import find

DATA, RECIPE = "ab" * 32, {"epochs": 3, "lr0": 0.01}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append("data", {"dataset": "cones", "fingerprint": DATA})
    ledger.append("step", {"name": "train", "inputs": {"data": DATA, "recipe": RECIPE}, "made_from": [DATA]})
    ledger.append("note", {"text": "abababababab is no hash here"})
    return ledger


def test_a_hash_is_found_wherever_it_stands_by_its_beginning(ledger: Ledger) -> None:
    data, step, _ = ledger.entries()
    assert find(ledger.entries(), DATA[:12]) == [(data, ["fingerprint"]), (step, ["inputs.data", "made_from.0"])]


def test_a_part_that_is_named_by_its_content_is_found_too(ledger: Ledger) -> None:
    ((entry, places),) = find(ledger.entries(), content_hash(RECIPE)[:12])
    assert (entry.kind, places) == ("step", ["inputs.recipe"])


def test_the_hash_of_an_entry_is_of_that_entry(ledger: Ledger) -> None:
    last = ledger.entries()[-1]
    assert find(ledger.entries(), last.hash.upper()) == [(last, [])]


@pytest.mark.parametrize("word", ["", "abc", "no hash", "ab" * 33])
def test_a_word_that_is_no_hash_is_refused(ledger: Ledger, word: str) -> None:
    with pytest.raises(UsageError, match="not a hash"):
        find(ledger.entries(), word)
