"""Public runs with a reader's diagnosis: the bars that the doctor must hold on runs that nobody made for it."""

from __future__ import annotations

import json
from pathlib import Path

from liftgate.diagnosis import diagnose


def test_what_is_certain_is_found_and_sound_runs_are_quiet(fixtures: Path) -> None:
    """As benchmarks/doctor.py scores them; that one explains each miss and false alarm."""
    found = false = certain = 0
    for row in json.loads((fixtures / "traces" / "labels.json").read_text()):
        findings = diagnose([fixtures / "traces" / row["run"]])[0].findings
        warned = {one.id for one in findings if one.severity != "info"}
        faults = set(row["certain"]) - {"sound"}
        if row["certain"] == ["sound"]:
            assert not warned, row["run"]
        assert findings or not faults, f"{row['run']}: a certain fault and no finding"
        certain += len(faults)
        found += len(faults & warned)
        false += len(warned - faults - set(row["arguable"]))
    assert found / (found + false) >= 0.9
    assert found / certain >= 0.7
