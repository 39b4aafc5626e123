"""The notebook of the examples runs from data.yaml to a verdict, and shows what it says it shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from notebooks import run_cells

NOTEBOOK = Path(__file__).parents[2] / "examples/quickstart.ipynb"


@pytest.mark.promise
def test_the_notebook_runs_and_shows_pictures_and_a_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    outputs = [output for _, shown in run_cells(notebook) for output in shown]
    printed = "".join(line for output in outputs for line in output.get("text", []))
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert "PASS: mAP50 of long is" in printed and "ready to train: True" in printed
    assert {"image/png", "image/svg+xml"} <= kinds
    kept = "".join(
        line for cell in notebook["cells"] for output in cell.get("outputs", ()) for line in output.get("text", [])
    )
    bounds = intervals(kept)
    # Another processor adds up in another order: a training on it may differ by more than the last digit.
    assert len(bounds) >= 2 and intervals(printed) == [pytest.approx(one, abs=0.01) for one in bounds]


def intervals(text: str) -> list[tuple[float, ...]]:
    return [tuple(map(float, found)) for found in re.findall(r"\[(-?[\d.]+), (-?[\d.]+)\] \(", text)]


def test_the_notebook_is_kept_with_its_outputs_and_without_paths_of_a_machine() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] for cell in cells if "print" in "".join(cell["source"]))
    assert "/tmp" not in text and str(Path.home()) not in text


def test_the_notebook_needs_no_torch(tmp_path: Path) -> None:
    code = f"""
import json, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
sys.modules["torch"] = sys.modules["ultralytics"] = None  # importing them fails
from notebooks import run_cells
cells = json.loads(Path({str(NOTEBOOK)!r}).read_text(encoding="utf-8"))["cells"][:6]
assert list(run_cells({{"cells": cells}}))
"""
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}).returncode == 0
