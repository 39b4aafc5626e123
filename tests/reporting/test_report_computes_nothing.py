"""The law of the report: it cannot disagree with the ledger, because every number in it was computed elsewhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from liftgate.ledger.records import Spent, StepEntry
from liftgate.ledger.results import TrainResult
from liftgate.reporting.run_rows import cost_rows

ROOM = Path(__file__).parents[2] / "src" / "liftgate" / "reporting"
POSITIONS = {"drawing.py", "paper.py", "pareto.py", "pictures.py", "number_format.py"}
"""Where a value lies on the page, how large a picture is, and how a number is rounded"""
AGGREGATES = {"sum", "fsum", "mean", "median", "quantile", "average", "round"}


def arithmetic(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        text = f"{path.name}:{getattr(node, 'lineno', 0)}: {ast.unparse(node)[:80]}"
        match node:
            case ast.BinOp(op=ast.Sub() | ast.Pow() | ast.FloorDiv()):
                yield text
            case ast.BinOp(left=left, op=ast.Mult()) if not isinstance(left, ast.Constant | ast.List):
                yield text  # "r" * 3 is a table's columns
            case ast.BinOp(left=left, op=ast.Div()) if not ast.unparse(left).endswith("folder"):
                yield text
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in AGGREGATES:
                yield text


def test_modules_of_a_studys_report_do_no_arithmetic() -> None:
    modules = [path for path in ROOM.glob("*.py") if path.name not in POSITIONS]
    assert len(modules) > 8
    assert [line for path in modules for line in arithmetic(path)] == []
    assert list(arithmetic(ROOM / "drawing.py")), "arithmetic is seen where there is some"


def test_money_and_totals_are_those_of_the_ledger() -> None:
    trained = TrainResult("r", "a", 1, 0, "best.pt", "last.pt", "b" * 64, 3, (), {}, wall_seconds=7200.0)
    steps = [
        StepEntry("check", "check", "k1", {}, {}, 30.0),
        StepEntry("train a seed 0", "train", "k2", {}, trained.to_body(), 3600.0),
        StepEntry("quick", "check", "k3", {}, {}, 0.5),
    ]
    spent = Spent(hours=2.5, gpu_hours=5.0, kwh=1.25)
    check, train, total, training = cost_rows(steps, spent, 1.5)
    assert (check.seconds, check.usd) == (30.0, None)
    assert (train.seconds, train.usd) == (7200.0, 3.0), "all attempts of a paused training"
    assert (total.seconds, total.total) == (pytest.approx(7230.5), True)
    assert (training.seconds, training.usd, training.note) == (9000.0, spent.usd(1.5), "1.25 kWh of the GPUs")
