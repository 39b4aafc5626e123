"""Write the pages in docs/findings from the rules' docstrings: `python -m liftgate.checks.rule_pages docs/findings`.

One page per rule and an index. The index shows what the tests have proved of each rule, from `proof.json` beside it
(written by tests/checks/proof.py), so that the index cannot claim more than was tested.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liftgate.checks.rules import catalogue
from liftgate.checks.run import page
from liftgate.files import write_text

_HEAD = """# Findings

What `liftgate check` looks for. Every id has a page; `liftgate explain ID` prints it. An *error* stops a run, a
*warning* deserves attention, *info* is worth knowing. The first severity is the usual one; the
others are reported where the figures are graver or milder.

`--select` takes ids and families, `--ignore ID=REASON` keeps a finding out of the way and in the record
(`--ignore ID` says there that no reason was given). `--page HTML` draws at most twelve examples of every finding
that has pixels, as stored and corrected, and pairs of copies; a reason that is written there beside a finding becomes
an `--ignore`. `--fix DIR` writes what has one right answer into a new folder, never in place: of
a data set a corrected copy (images as links), of a study the data sets that need it and a study.yaml that uses them.
Boxes are moved only with `--fix labels.geometry` beside it, and only where images that the decision did not use confirm
it; `labels.geometry.html` in the folder then shows boxes before and after.

Written by `python -m liftgate.checks.rule_pages docs/findings`; the last columns by `python tests/checks/proof.py`: how
many faults were planted and how many of them found, and on how many of the sound sets (bccd, dice, coco_cc and 15 small
ones of many kinds) the rule reported something that is so, and something that is not.
"""


def pages(proof: Mapping[str, Any]) -> dict[str, str]:
    """Return file name → text of every rule's page and of the index.

    Args:
        proof: the contents of proof.json, or empty.
    """
    rules = catalogue()
    return {f"{rule.id}.md": page(rule) for rule in rules} | {"index.md": _index(proof)}


def write(folder: Path) -> None:
    """Write all pages to `folder`, and delete the pages of rules that no longer exist."""
    wanted = pages(read_proof(folder))
    for name, text in wanted.items():
        write_text(folder / name, text)
    for stale in folder.glob("*.*.md"):
        if stale.name not in wanted:
            stale.unlink()


def read_proof(folder: Path) -> dict[str, Any]:
    """Return the contents of proof.json, written by tests/checks/proof.py; empty where there is none."""
    path = folder / "proof.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _index(proof: Mapping[str, Any]) -> str:
    planted, sound = proof.get("planted", {}), proof.get("sound", {"sets": 0, "rules": {}})
    columns = ["finding", "severity", "what", "planted: found", f"on {sound['sets']} sound sets: right, wrong"]
    rows = [columns, ["---"] * len(columns)]
    for rule in catalogue():
        done, count = planted.get(rule.id), sound["rules"].get(rule.id)
        found = f"{done['found']} of {done['planted']}" if done else "—"
        counted = f"{count['right']}, {count['wrong']}" if count else "silent"
        severity = ", ".join((rule.severity, *rule.others))
        summary = rule.summary.replace("|", "\\|")
        rows.append([f"[{rule.id}]({rule.id}.md)", severity, summary, found, counted])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{_HEAD}\n{table}\n"


if __name__ == "__main__":
    write(Path(sys.argv[1]))
