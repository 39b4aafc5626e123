"""Watching a run: what is certain is said at once, and once."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from diagnosis.traces import case_c, learned, write
from liftgate.backends.events import EpochReport, Event, WarningEvent
from liftgate.diagnosis.live import LiveDiagnosis


def _heard(folder: Path, epochs: int) -> list[Event]:
    """Let a finished curve grow row by row under the watch."""
    lines = (folder / "results.csv").read_text().splitlines(keepends=True)
    heard: list[Event] = []
    watch = LiveDiagnosis(folder, heard.append)
    for epoch in range(1, epochs + 1):
        (folder / "results.csv").write_text("".join(lines[: epoch + 1]))
        watch(EpochReport(epoch=epoch))
    return heard


def test_forgetting_is_said_long_before_the_run_ends_and_only_once(tmp_path: Path) -> None:
    heard = _heard(case_c(tmp_path / "run"), 25)
    warnings = [event.finding["id"] for event in heard if isinstance(event, WarningEvent)]
    assert sorted(warnings) == ["trace.forgetting", "trace.lr_ignored"]
    assert len([event for event in heard if isinstance(event, EpochReport)]) == 25


def test_a_sound_run_is_watched_in_silence(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", learned(60, 0.6, 8, np.random.default_rng(0)))
    assert {event.kind for event in _heard(folder, 60)} == {"epoch"}


def test_events_pass_where_there_is_no_curve_to_watch(tmp_path: Path) -> None:
    heard: list[Event] = []
    LiveDiagnosis(tmp_path, heard.append)(EpochReport(epoch=1))
    assert len(heard) == 1
