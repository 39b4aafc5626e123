"""The metrics of a gate in slices: by its own rule in ledger and report, by group in the file of the evaluation."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from liftgate import api
from liftgate.errors import DataError

Write = Callable[..., Path]
DATA = {"scenes": {"path": "scenes/data.yaml", "groups": "^(?P<group>[a-z]+0[01][0-5]?)", "lock": ["test"]}}
STAGE = {"weights": "start.yaml", "data": "scenes"}
ARMS = {name: [{**STAGE, "recipe": {"epochs": epochs}}] for name, epochs in (("long", 2), ("short", 1))}
CLAIM = {"arm": "long", "on": "scenes.test", "claims": [{"metric": "mAP50", "at_least": 0.1}]}
LIFT = {"metric": "mAP50", "treatment": "long", "control": "short", "on": "scenes.test"}


def test_slices_are_written_out_at_the_one_opening_and_reported_where_the_gate_names_them(
    write_study: Write, tmp_path: Path
) -> None:
    gates = {"enough": CLAIM, "lift": {**LIFT, "by": r"(?P<last>\d)\.png"}}
    study = write_study(datasets=DATA, arms=ARMS, gates=gates, flow=["train", "enough", "lift"])
    result = api.run(study)
    records = [json.loads(path.read_text()) for path in (tmp_path / "runs/colours/evaluations").glob("*.json")]
    by_group = [one for one in records if one["sliced_by"] == "group"]
    by_digit = [one for one in records if one["sliced_by"] == r"(?P<last>\d)\.png"]
    assert (len(by_group), len(by_digit)) == (1, 2)
    assert by_group[0]["slices"].keys() == {row["group"] for row in by_group[0]["images"]}
    for record in (*by_group, *by_digit):
        rows = record["slices"].values()
        assert sum(row["n_images"] for row in rows) == record["n_images"] == 12
        assert all(row["metrics"].keys() == row["intervals"].keys() >= {"mAP50", "recall"} for row in rows)
    compared = result.verdicts["lift"]["comparison"]["slices"]
    assert compared.keys() == by_digit[0]["slices"].keys() == set("0123456789")
    folder = tmp_path / "runs/colours/report"
    table = list(csv.DictReader((folder / "lift-slices.csv").read_text().splitlines()))
    assert {row["slice"] for row in table} == set("0123456789") and {row["arm"] for row in table} == {"long", "short"}
    assert not (folder / "enough-slices.csv").exists()

    with pytest.raises(DataError, match="no image belongs to a slice"):
        api.plan(write_study(datasets=DATA, arms=ARMS, gates={"lift": {**LIFT, "by": "(?P<a>zebra)"}}))
