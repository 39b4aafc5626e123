"""What a hash vouches for is compared with it where it is used: one changed byte is noticed, or without effect."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from liftgate import api
from liftgate.errors import DataError, LedgerError, LiftgateError

Write = Callable[..., Path]
RATIOS = {"scenes": {"path": "scenes/data.yaml", "licence": "CC0-1.0", "ratios": [0.5, 0.2, 0.3]}}


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.fixture
def study(write_study: Write) -> Path:
    """Return the study.yaml of a study that ran."""
    path = write_study(datasets=RATIOS)
    api.run(path)
    return path


def test_damage_is_noticed_by_whatever_uses_the_file(study: Path) -> None:
    results = study.parent / "runs" / "colours"
    (run, _) = sorted(results.glob("2*"))
    uses: list[tuple[Path, bytes, type[LiftgateError], list[Callable[[], object]]]] = [
        (results / "ledger.sqlite", b'"word":"', LedgerError, [
            lambda: api.status([study]), lambda: api.report(study), lambda: api.plan(study), lambda: api.run(study),
        ]),
        (results / "ledger.sqlite.head", b'"hash": "', LedgerError, [
            lambda: api.status([study]), lambda: api.report(study), lambda: api.run(study),
        ]),
        (next((results / "splits").glob("*.csv")), b"train", DataError, [
            lambda: api.plan(study), lambda: api.report(study), lambda: api.run(study),
        ]),
        (next((results / "predictions").glob("long-*[0-9a-f].json")), b'"score":', DataError, [
            lambda: api.report(study),
        ]),
        (run / "results" / "results.csv", b"\n1", DataError, [lambda: api.doctor(run)]),
        (run / "run.json", b'"seconds": ', LedgerError, [lambda: api.doctor(run)]),
    ]  # fmt: skip
    for path, mark, kind, verbs in uses:
        whole = path.read_bytes()
        flip(path, whole.index(mark) + len(mark))
        for verb in verbs:
            with pytest.raises(kind) as noticed:
                verb()
            assert path.name.removesuffix(".head") in str(noticed.value), path
            assert noticed.value.hint, path
        path.write_bytes(whole)
    assert {line.state for line in api.plan(study)} == {"cached"}


def test_settings_of_predictions_are_those_on_record(study: Path) -> None:
    results = study.parent / "runs" / "colours"
    for path in (results / "predictions").glob("*.settings.json"):
        settings = json.loads(path.read_bytes())
        path.write_text(json.dumps(settings | {"imgsz": 999}))
    with pytest.raises(DataError, match="not the predictions on record"):
        api.run(study, overrides={"gates.lift.margin": "0.06"})


def test_a_damaged_tree_is_written_anew_before_it_is_used(study: Path) -> None:
    results = study.parent / "runs" / "colours"
    (label, *_) = sorted((results / "trees").glob("*/labels/*.txt"))
    whole = label.read_bytes()
    flip(label, 0)
    api.run(study, overrides={"arms.short.0.recipe.epochs": "2"})
    assert label.read_bytes() == whole


def test_weights_are_hashed_again_before_they_predict(study: Path) -> None:
    for weights in (study.parent / "runs" / "colours").glob("2*/results/best.pt"):
        flip(weights, 3)
    states = {line.step: line.state for line in api.plan(study)}
    assert states["train long seed 0"] == "run", "damaged weights are no result"
