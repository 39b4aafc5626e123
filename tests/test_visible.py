"""No name in a stranger's file steers a terminal, a page or a table."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import liftgate
from liftgate.reporting.latex import escape_latex
from liftgate.reporting.page import environment
from liftgate.reporting.paper import as_csv
from liftgate.visible import visible_line, visible_text

NAME = "cat\x1b[2J\u202egpj\u2066\x9b31m\r"
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.mark.parametrize(
    "shown",
    [
        visible_text(NAME),
        visible_line(f"{NAME}\nerror: forged\t"),
        escape_latex(NAME),
        as_csv([[NAME, f"{NAME}\n=cmd()"]]),
        environment().from_string("<b>{{ name }}</b>").render(name=NAME),
    ],
)
def test_what_is_hidden_in_a_name_becomes_visible(shown: str) -> None:
    assert not HIDDEN.search(shown)
    assert "u001b" in shown and "u202e" in shown


def test_verbs_print_by_one_pair_of_functions() -> None:
    cli = Path(liftgate.__file__).parent / "cli"
    for path in cli.glob("*.py"):
        found = re.findall(r"(?<![.\w])print\(", path.read_text(encoding="utf-8"))
        allowed = path.name in ("__init__.py", "output.py", "logs.py")  # errors; show and say; lines of other logs
        assert allowed or not found, f"{path.name}: show() and say() of liftgate.cli.output print"


def test_text_without_anything_hidden_stays_as_it_is() -> None:
    for text in ("", "Blåbær × 3\n", "日本語\tname", "naïve → ≥ 0.5"):
        assert visible_text(text) == text
    assert visible_line("a\nb") == "a\\u000ab"
    assert list(csv.reader(io.StringIO(as_csv([["a\nb", "c"]])))) == [["a\\u000ab", "c"]]


def test_the_terminal_gets_no_control_character_and_json_reads_back(tmp_path: Path) -> None:
    name = "cat\u001b[2J\u202egpj"
    truth = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}],
        "categories": [{"id": 1, "name": name}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "area": 25}],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "found.json").write_text('[{"image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "score": 0.9}]')
    command = [sys.executable, "-m", "liftgate", "evaluate", "--truth", "truth.json", "--predictions", "found.json"]
    stats = [sys.executable, "-m", "liftgate", "data", "stats", "truth.json"]
    plain = subprocess.run(stats, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert not HIDDEN.search(plain.stdout + plain.stderr) and "cat\\u001b[2J\\u202egpj" in plain.stdout
    as_json = subprocess.run([*command, "--json"], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert not HIDDEN.search(as_json.stdout) and name in json.loads(as_json.stdout)["per_class"]
    wrong = subprocess.run([*command[:-1], f"no{name[3:]}.json"], capture_output=True, text=True, cwd=tmp_path)
    assert wrong.returncode == 2 and not HIDDEN.search(wrong.stderr)
