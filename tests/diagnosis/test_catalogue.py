"""Every id that the doctor may say is explained, and stands in the docs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from liftgate.cli import main
from liftgate.diagnosis.catalogue import KINDS

ROOT = Path(__file__).resolve().parents[2]


def test_the_catalogue_has_every_id_of_the_rules_and_no_other() -> None:
    sources = [path for path in (ROOT / "src/liftgate/diagnosis").glob("*.py") if path.stem != "catalogue"]
    said = {id_ for path in sources for id_ in re.findall(r'"((?:trace|recipe)\.[a-z_]+)"', path.read_text())}
    assert {kind.id for kind in KINDS} == said
    documented = set(re.findall(r"`((?:trace|recipe)\.[a-z_]+)`", (ROOT / "docs/training.md").read_text()))
    assert documented == said


def test_the_command_explains_what_the_doctor_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "trace.forgetting"]) == 0
    assert "0.7536" in capsys.readouterr().out
    assert main(["explain", "--json"]) == 0
    assert {kind.id for kind in KINDS} <= {row["id"] for row in json.loads(capsys.readouterr().out)}
    assert main(["explain", "trace.overfit", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["severity"] == "warning"
    assert main(["explain", "trace.forgeting"]) == 2
