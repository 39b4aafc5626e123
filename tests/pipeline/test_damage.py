"""What a hash vouches for is compared with it where it is used: one changed byte is noticed, or without effect."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from liftgate import api
from liftgate.backends import sidecar
from liftgate.errors import DataError, LedgerError, LiftgateError
from liftgate.files import write_text
from liftgate.training.events import read_events

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
    scenes = study.parent / "scenes" / "data.yaml"
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
        (next((results / "predictions").glob("long-*[0-9a-f].json")), b'"score":', DataError, [
            lambda: api.evaluate(scenes, path, split="test", common=True),
        ]),
        (next((results / "predictions").glob("long-*.settings.json")), b'"backend": "', DataError, [
            lambda: api.evaluate(scenes, path.with_name(path.name.replace(".settings", "")), split="test", common=True),
        ]),
        (next((results / "evaluations").glob("long-*.json")), b'"AR_small": [', DataError, [
            lambda: api.report(study),
        ]),
        (run / "results" / "args.yaml", b"epochs: ", DataError, [lambda: api.doctor(run)]),
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


def test_a_damaged_cache_costs_time_and_changes_nothing(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    caches = study.parent / "caches"
    monkeypatch.setenv("XDG_CACHE_HOME", str(caches))
    before = [api.check(study).to_dict(), [(line.step, line.state) for line in api.plan(study)]]
    for name, table in (("hashes", "sealed"), ("checks", None)):
        with contextlib.closing(sqlite3.connect(caches / "liftgate" / f"{name}.sqlite")) as cache, cache:
            tables = [row[0] for row in cache.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for one in (table,) if table else tables:
                column = "sha256" if table else "record"
                changed = cache.execute(f'UPDATE "{one}" SET {column} = replace({column}, "4", "5")').rowcount
                assert changed > 10
    assert [api.check(study).to_dict(), [(line.step, line.state) for line in api.plan(study)]] == before


@pytest.mark.parametrize("text", ['"\\ud800"', "[" * 5000 + "]" * 5000])
def test_a_record_of_a_run_that_has_no_bytes_or_no_end_is_one_error(study: Path, text: str) -> None:
    run = next((study.parent / "runs" / "colours").glob("2*"))
    content = (run / "run.json").read_text()
    (run / "run.json").write_text(content.replace('"finished"', text))
    assert content != (run / "run.json").read_text()
    with pytest.raises(LedgerError):
        api.doctor(run)


def test_a_damaged_status_is_not_shown(study: Path) -> None:
    now = study.parent / "runs" / "colours" / "now.json"
    before = api.status([study])[0].to_dict()
    now.write_text(now.read_text().replace('"finished"', '"paused!!"'))
    assert api.status([study])[0].to_dict() == before
    now.write_text(now.read_text().replace('"paused!!"', '"paused"'))
    assert api.status([study])[0].to_dict() == before


def test_what_a_paused_training_reported_is_compared_with_its_checksum(study: Path) -> None:
    for name in ("long", "short"):
        run = next((study.parent / "runs" / "colours").glob(f"2*_{name}-*"))
        events = run / "events.jsonl"
        flip(events, events.read_bytes().index(b'"mAP50": ') + 9)
        with pytest.raises(DataError, match="what the training reported was changed"):
            read_events(events)


def test_the_curve_of_a_paused_training_is_compared_with_its_side_car(tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    curve = results / "results.csv"
    curve.write_text("epoch,metrics/mAP50(B),metrics/mAP50-95(B)\n1,0.1,0.05\n2,0.3,0.1\n")
    sidecar.commit(results, 2, lambda path: write_text(path, "state"), ["results.csv"])
    with curve.open("a") as file:
        file.write("3,0.4,0.2\n")
    assert api.doctor(tmp_path).epochs == 3, "an epoch that the side-car has not yet is read"
    flip(curve, curve.read_bytes().index(b"0.3") + 2)
    with pytest.raises(DataError, match="not what the training had written"):
        api.doctor(tmp_path)
    flip(next(sidecar.generations(results)).folder / "results.csv", 3)
    assert api.doctor(tmp_path).epochs == 3, "a damaged side-car proves nothing"


def test_no_training_goes_on_from_a_damaged_state(tmp_path: Path) -> None:
    for epoch in (1, 2):
        sidecar.commit(tmp_path, epoch, lambda path: write_text(path, "a" * 99), [])
    newest, older = sidecar.generations(tmp_path)
    assert (newest.damage(), older.damage()) == ("", "")
    flip(newest.state, 50)
    assert (newest.damage(), older.damage()) == ("state.bin", "")
    flip(older.folder / "sha256.json", 20)
    assert older.damage()
