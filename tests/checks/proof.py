"""Plant every fault, check every sound data set, and write what came out to docs/findings/proof.json.

python tests/checks/proof.py    (needs the fixtures; then run `python -m liftgate.checks.rule_pages docs/findings`)
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from checks.plants import PLANTS  # noqa: E402
from checks.small_set import SmallSet, build  # noqa: E402
from checks.sound_sets import sound_sets  # noqa: E402
from liftgate.checks.run import run  # noqa: E402
from liftgate.checks.subject import Subject  # noqa: E402
from liftgate.files import write_json  # noqa: E402


def planted(scratch: Path) -> dict[str, dict[str, int]]:
    """How many faults of each rule were planted, and how many of them found."""
    build(scratch / "sound")
    found: dict[str, dict[str, int]] = {}
    for id_, plants in sorted(PLANTS.items()):
        subjects = [
            plant(SmallSet(scratch / "sound", scratch / f"{id_}-{i}" / "small")) for i, plant in enumerate(plants)
        ]
        hits = [bool(run(subject, select=[id_]).findings) for subject in subjects]
        found[id_] = {"planted": len(hits), "found": sum(hits)}
    return found


# What was looked at by hand and is wrong: (data set, rule). Everything else that is said of a sound set is so.
WRONG: set[tuple[str, str]] = set()


def sound(fixtures: Path, scratch: Path) -> dict[str, dict[str, Any]]:
    """What each rule says of sound sets: on how many, rightly and wrongly, and how often at each severity."""
    counts: dict[str, dict[str, Any]] = {}
    sets = sound_sets(fixtures, scratch)
    for name, dataset in sets.items():
        add_findings(counts, name, [(one.id, one.severity) for one in run(Subject({name: dataset})).findings])
    return {"sets": len(sets), "rules": dict(sorted(counts.items()))}


def add_findings(counts: dict[str, dict[str, Any]], name: str, findings: list[tuple[str, str]]) -> None:
    """Count the findings of one sound set, by rule."""
    for id_ in sorted({id_ for id_, _ in findings}):
        one = counts.setdefault(id_, {"said": 0, "right": 0, "wrong": 0, "severities": {}})
        one["said"] += 1
        one["wrong" if (name, id_) in WRONG else "right"] += 1
        for severity, number in Counter(severity for other, severity in findings if other == id_).items():
            one["severities"][severity] = one["severities"].get(severity, 0) + number


def main() -> None:
    fixtures = Path(os.environ.get("LIFTGATE_FIXTURES", ROOT / ".." / "shared" / "fixtures")).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_CACHE_HOME"] = scratch
        proof = {"planted": planted(Path(scratch)), "sound": sound(fixtures, Path(scratch))}
    write_json(ROOT / "docs" / "findings" / "proof.json", proof)


if __name__ == "__main__":
    main()
