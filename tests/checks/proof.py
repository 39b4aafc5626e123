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

import yaml  # noqa: E402

from checks.plants import PLANTS  # noqa: E402
from checks.small_set import SmallSet, build  # noqa: E402
from liftgate.checks import Subject, run  # noqa: E402
from liftgate.data.formats.read import read  # noqa: E402
from liftgate.files import write_json  # noqa: E402

_GRAVITY = ["error", "warning", "info"]


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


def clean(fixtures: Path, scratch: Path) -> dict[str, dict[str, str]]:
    """What each rule says of real data: its gravest severity and how often; rules that are silent are left out."""
    dice = scratch / "dice" / "data.yaml"
    dice.parent.mkdir()
    names = ["one", "two", "three", "four", "five", "six"]
    keys = {"path": str(fixtures / "dice"), "train": "images/train", "val": "images/test", "names": names}
    dice.write_text(yaml.safe_dump(keys))
    coco = fixtures / "coco_cc"
    sets = {
        "bccd": [read(fixtures / "bccd")],
        "dice": [read(dice)],
        "coco_cc": [read(path, images=coco / "images") for path in sorted((coco / "annotations").glob("*.json"))],
    }
    return {name: _spoke([run(Subject({one.name: one})) for one in datasets]) for name, datasets in sets.items()}


def _spoke(results: list[Any]) -> dict[str, str]:
    count: Counter[str] = Counter()
    gravest: dict[str, str] = {}
    for finding in (finding for result in results for finding in result.findings):
        count[finding.id] += 1
        gravest[finding.id] = min(finding.severity, gravest.get(finding.id, "info"), key=_GRAVITY.index)
    return {id_: f"{count[id_]} {gravest[id_]}" for id_ in sorted(count)}


def main() -> None:
    fixtures = Path(os.environ.get("LIFTGATE_FIXTURES", ROOT / ".." / "shared" / "fixtures")).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_CACHE_HOME"] = scratch
        proof = {"planted": planted(Path(scratch)), "clean": clean(fixtures, Path(scratch))}
    write_json(ROOT / "docs" / "findings" / "proof.json", proof)


if __name__ == "__main__":
    main()
