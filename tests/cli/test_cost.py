"""liftgate cost and plan: time and money, and `unknown` where nothing was timed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from liftgate.cli import main

Write = Callable[..., Path]
PRICES = str(Path(__file__).parents[2] / "examples" / "prices.yaml")
CONFIDENTIAL = {"scenes": {"path": "scenes/data.yaml", "licence": "CC0-1.0", "confidential": True}}


def test_hours_that_nobody_measured_are_unknown_and_what_was_said_is_priced(
    write_study: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write_study(datasets=CONFIDENTIAL))
    assert main(["cost", path, "--prices", PRICES]) == 0
    said = capsys.readouterr()
    assert "whole study: unknown" in said.out and "--measure" in said.err
    assert "cheaper than g6.xlarge after 3,750 hours\n" in said.out
    assert main(["cost", path, "--prices", PRICES, "--hours", "2.5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    by_name = {offer["name"]: offer for offer in found["offers"]}
    assert found["hours"] == 2.5
    assert by_name["g5.xlarge"]["usd_per_study"] == 2.5 and not by_name["g5.xlarge"]["allowed"]
    assert by_name["desktop"]["allowed"]
    assert main(["cost", path, "--prices", PRICES, "--allow-region", "us-east-1", "--json"]) == 0
    assert all(offer["allowed"] for offer in json.loads(capsys.readouterr().out)["offers"])


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "inf"])
def test_hours_that_are_none_are_refused(write_study: Write, hours: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", str(write_study()), "--prices", PRICES, f"--hours={hours}"]) == 2
    assert "--hours" in capsys.readouterr().err


def test_a_plan_says_unknown_until_an_epoch_was_measured(
    write_study: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write_study(budget={"usd": 5, "usd_per_hour": 1.0}))
    assert main(["plan", path]) == 0
    said = capsys.readouterr().out
    assert said.count("time unknown") == 2 and "for how long is unknown" in said
    assert main(["plan", path, "--measure", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["total"]["trainings_unknown"] == 0 and plan["total"]["steps_unknown"] == 6
    assert plan["total"]["usd"] > 0
    assert main(["cost", path, "--prices", PRICES, "--json"]) == 0
    trained = sum(step["expected"] for step in plan["steps"] if step["kind"] == "train")
    assert json.loads(capsys.readouterr().out)["hours"] == pytest.approx(trained / 3600)
