"""A saved state that this version cannot use is refused with the way out, and stays where it is."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from liftgate.backends.base import TrainJob
from liftgate.backends.events import Event
from liftgate.errors import TrainingError

_ABSENT = importlib.util.find_spec("torch") is None
pytestmark = [pytest.mark.train, pytest.mark.skipif(_ABSENT, reason="needs the `train` extra")]


def _job(folder: Path) -> TrainJob:
    return TrainJob("model.pt", folder / "data.yaml", {}, 0, "detect", folder / "results", resume=True)


def _save(folder: Path, epoch: int, state: Any) -> Path:
    from liftgate.backends.ultralytics.training_state import write_state

    path = folder / "results" / "state" / f"epoch-{epoch:05d}" / "state.bin"
    path.parent.mkdir(parents=True)
    write_state(state, path, check=False)
    return path


def test_the_state_of_another_version_is_refused_and_kept(tmp_path: Path) -> None:
    from liftgate.backends.ultralytics.training_state import newest_state

    saved = _save(tmp_path, 7, {"epoch": 7, "model": {}})
    before = saved.read_bytes()
    with pytest.raises(TrainingError) as caught:
        newest_state(_job(tmp_path), lambda event: None)
    assert caught.value.what == "the saved state is of another version of Liftgate"
    assert "optimizer" in str(caught.value.got) and "epoch" not in str(caught.value.got).split(", ")
    assert "preflight.json" in str(caught.value.hint) and "to start over" in str(caught.value.hint)
    assert saved.read_bytes() == before


def test_where_no_state_can_be_read_nothing_starts_over(tmp_path: Path) -> None:
    from liftgate.backends.ultralytics.training_state import newest_state

    for epoch in (6, 7):
        _save(tmp_path, epoch, {}).write_bytes(b"half a file")
    events: list[Event] = []
    with pytest.raises(TrainingError, match="no saved state of this run can be read"):
        newest_state(_job(tmp_path), events.append)
    assert len(events) == 2
    assert len(list((tmp_path / "results" / "state").iterdir())) == 2
