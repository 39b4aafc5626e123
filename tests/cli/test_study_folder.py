"""A verb takes the folder of a study as it takes its study.yaml."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from liftgate.cli import main

Write = Callable[..., Path]
PRICES = Path(__file__).parents[2] / "examples" / "prices.yaml"
VERBS = (
    "check", "plan", "run --prepare", "run", "report", "report --months", "status", "logs", "stop", "ledger verify",
    "ledger show", f"cost --prices {PRICES} --hours 1", "worth --more 9", "export --out made",
)  # fmt: skip


def test_every_verb_of_a_study_takes_its_folder(write_study: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_study()
    assert main(["run", str(path)]) in (0, 10, 11)
    capsys.readouterr()
    for verb in VERBS:
        seen = []
        for place in (path, path.parent):
            code = main([*verb.split(), str(place)])
            errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("error", "hint"))]
            seen.append((code, [line.replace(str(path), str(path.parent)) for line in errors]))
        assert seen[0] == seen[1], verb
    runs = path.parent / "runs"
    assert main(["models", "add", str(path.parent), "--registry", str(runs / "models")]) == 0
    capsys.readouterr()
    assert main(["status", str(runs)]) == 0
    assert "models" not in capsys.readouterr().out, "a registry of models has a ledger, and is no study"
    assert main(["logs", str(runs)]) == 0
