"""A driver finds the run of a training without looking through all of them, and never an older or another one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from liftgate.backends.events import EpochReport, StartedEvent
from liftgate.errors import LedgerError
from liftgate.ledger import Ledger
from liftgate.ledger.results import RunEntry, TrainingFacts, TrainResult
from liftgate.ledger.runs import RunFolder
from liftgate.pipeline.training_runs import TrainingRuns
from liftgate.training.events import EventFile

WHEN = datetime(2026, 11, 5, 14, 3, 9, tzinfo=UTC)


def folders(runs: Path, keys: Sequence[str]) -> list[RunFolder]:
    """Make a run folder for each key, a second apart."""
    return [RunFolder.create(runs, key, key, now=WHEN + timedelta(seconds=n)) for n, key in enumerate(keys)]


def opened(folder: Path) -> TrainingRuns:
    return TrainingRuns(folder, Ledger(folder / "ledger.sqlite"))


def recorded(folder: Path, run: str, step: str, seconds: float) -> None:
    curve = ({"epoch": 1, "metrics": {}, "seconds": seconds},)
    result = TrainResult(run, "long", 1, 0, "best.pt", "last.pt", "", 1, curve, {}, wall_seconds=seconds)
    Ledger(folder / "ledger.sqlite").add(RunEntry(step, result))


def test_the_newest_unfinished_run_of_a_key_is_found(tmp_path: Path) -> None:
    _, older, newer, finished = folders(tmp_path, ["other", "k", "k", "k"])
    finished.update(state="finished")
    runs = opened(tmp_path)
    assert runs.unfinished("k") == newer
    newer.update(key="k on changed images")
    assert runs.unfinished("k") == older
    older.update(state="finished")
    assert runs.unfinished("k") is None
    assert runs.unfinished("unknown") is None


def test_a_killed_paused_or_failed_run_is_found_again_by_its_key_and_a_finished_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "20261105T140308Z_killed-while-it-was-made").mkdir()
    killed, paused, finished, failed = folders(tmp_path, ["k1", "k2", "k3", "k4"])
    paused.pause()
    finished.finish([], TrainingFacts({}))
    failed.fail(RuntimeError("no memory"))
    runs = opened(tmp_path)
    assert [runs.unfinished(f"k{n}") for n in (1, 2, 3, 4)] == [killed, paused, None, failed]
    assert runs.newest("k3") == finished
    assert opened(tmp_path / "nowhere").unfinished("k1") is None


def test_a_run_that_was_created_since_is_found_and_one_that_was_removed_is_not(tmp_path: Path) -> None:
    runs = opened(tmp_path)
    assert runs.unfinished("k") is None
    made = runs.create("long seed 0", "k")
    assert runs.unfinished("k") == made
    made.record_path.unlink()
    assert runs.unfinished("k") is None


def test_a_damaged_run_is_refused_as_long_as_it_could_be_the_newest(tmp_path: Path) -> None:
    older, damaged, newer = folders(tmp_path, ["a", "?", "b"])
    damaged.record_path.write_text("{")
    runs = opened(tmp_path)
    assert runs.unfinished("b") == newer
    with pytest.raises(LedgerError, match="no readable run"):
        runs.unfinished("a")
    damaged.record_path.unlink()
    assert runs.unfinished("a") == older


def test_the_work_grows_with_the_number_of_runs_and_not_with_its_square(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = folders(tmp_path, [f"k{n}" for n in range(40)])
    reads: list[str] = []
    read = RunFolder.read
    monkeypatch.setattr(RunFolder, "read", lambda self: (reads.append(self.name), read(self))[1])
    runs = opened(tmp_path)
    assert [runs.unfinished(f"k{n}") for n in range(40)] == made
    assert len(reads) == 80, "each once for the index, and once as it is asked for"
    reads.clear()
    for _ in range(3):
        runs.spent()
    assert len(reads) <= 80, "what did not change is not read again"


def test_what_was_spent_is_the_sum_over_recorded_and_other_runs_at_any_moment(tmp_path: Path) -> None:
    first, second = folders(tmp_path, ["a", "b"])
    runs = opened(tmp_path)

    def same() -> float:
        assert runs.spent() == opened(tmp_path).spent(), "what was read before is no different"
        return runs.spent().hours

    assert same() == 0.0
    events = EventFile(second.path / "events.jsonl")
    events.emit(StartedEvent())
    for number in (1, 2):
        row = EpochReport(epoch=number, epochs=2, losses={}, metrics={}, fitness=0.0, lr={}, seconds=36.0)
        events.emit(row)
        assert same() == pytest.approx(0.01 * number)
        assert [one.epoch for one in runs.last_epochs()] == [number]
    recorded(tmp_path, first.name, "a", 3600.0)
    assert same() == pytest.approx(1.02)
    recorded(tmp_path, second.name, "b", 72.0)
    assert same() == pytest.approx(1.02)
    assert runs.last_epochs() == []


def test_the_newest_result_of_a_step_is_the_one_in_the_ledger(tmp_path: Path) -> None:
    runs = opened(tmp_path)
    assert runs.result("a") is None
    for name in ("one", "two"):
        recorded(tmp_path, name, "a", 1.0)
    recorded(tmp_path, "three", "b", 1.0)
    result = runs.result("a")
    assert result is not None and result.run == "two"
    recorded(tmp_path, "four", "a", 1.0)
    result = runs.result("a")
    assert result is not None and result.run == "four"
    assert [one.name for one in runs.recorded()] == ["one", "two", "three", "four"]
