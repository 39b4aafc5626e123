"""The table of faults is documented as it is, and no reader speaks of a kind that is not in it."""

from __future__ import annotations

import re
from pathlib import Path

from liftgate.data.core.faults import KINDS

ROOT = Path(__file__).parents[3]


def rows() -> list[str]:
    return [
        f"| `{kind}` | {fault.meaning} | {fault.reader} | {fault.ultralytics} | {fault.loses} |"
        for kind, fault in KINDS.items()
    ]


def test_docs_formats_shows_the_table_as_the_code_has_it() -> None:
    text = (ROOT / "docs/formats.md").read_text(encoding="utf-8")
    documented = [line for line in text.split("## Faults")[1].splitlines() if line.startswith("| `")]
    assert documented == rows()


def test_every_kind_that_a_reader_names_is_in_the_table() -> None:
    named: set[str] = set()
    room = ROOT / "src/liftgate/data"
    others = (room / "grouping/groups.py", room / "core/image_headers.py", room / "splits/split.py")
    for file in (*sorted((room / "formats").rglob("*.py")), *others):
        text = file.read_text(encoding="utf-8")
        named |= set(re.findall(r'(?:Fault|fault)\(\s*"([a-z_]+)"', text))
        named |= set(re.findall(r'return "([a-z]+_[a-z_]+)", f?"', text))
    assert len(named) > 30
    assert named <= KINDS.keys()
