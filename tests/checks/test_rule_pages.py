"""The pages in docs/findings are what the rules say, and claim what the tests proved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from checks import proof
from checks.plants import PLANTS
from liftgate.checks.rule_pages import pages, read_proof, write

DOCS = Path(__file__).resolve().parents[2] / "docs" / "findings"


def test_the_pages_are_up_to_date() -> None:
    wanted = pages(read_proof(DOCS))
    there = {path.name: path.read_text(encoding="utf-8") for path in DOCS.glob("*.md")}
    assert there == wanted, "run `python -m liftgate.checks.rule_pages docs/findings`"


def test_the_table_claims_every_plant() -> None:
    claimed = read_proof(DOCS)["planted"]
    assert {id_: entry["planted"] for id_, entry in claimed.items()} == {id_: len(p) for id_, p in PLANTS.items()}
    assert all(entry["found"] == entry["planted"] for entry in claimed.values())


def test_pages_of_rules_that_are_gone_are_taken_away(tmp_path: Path) -> None:
    (tmp_path / "labels.gone.md").write_text("old")
    write(tmp_path)
    assert not (tmp_path / "labels.gone.md").exists()
    assert (tmp_path / "labels.zero_area.md").exists()


@pytest.mark.slow
def test_the_table_is_what_the_fixtures_say(fixtures: Path, tmp_path: Path) -> None:
    written = read_proof(DOCS)["sound"]
    assert json.loads(json.dumps(proof.sound(fixtures, tmp_path))) == written
