"""The board shows the shadow tests of production logs, from their own files."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from data.production_log.rows import logged, write
from liftgate.deploy.shadow.pairs import Counts, Pair, PairStore
from liftgate.deploy.shadow.request import ShadowRequest, ShadowState, create_test, write_state
from liftgate.live.page import render_page
from liftgate.live.read import places, read_board
from liftgate.live.server import BoardFiles

MINUTES = 300


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A production log beside nothing else, whose challenger finds more on every image of every minute."""
    folder = tmp_path / "production"
    write(folder, [logged(number) for number in range(3)])
    test = create_test(folder, ShadowRequest("v0.2", str(tmp_path / "models"), started=1_790_000_000.0))
    store = PairStore(test.folder)
    for minute in range(MINUTES):
        counts = Counts(agreed=3, champion_only=0, challenger_only=1 + minute % 2)
        store.add(Pair(60.0 * minute, 1_790_000_000.0 + 60 * minute, "gate", f"{minute}.jpg", "v0", counts,
                       brightness=100.0, width=640, height=480, frame="", champion=(), challenger=()))  # fmt: skip
    store.close()
    write_state(test.folder, ShadowState("running", offered=MINUTES + 7, shed=7))
    return folder


def test_a_running_test_says_how_far_it_is_and_what_it_does_not_say(log: Path) -> None:
    board = read_board(*places([log.parent]))
    (shadow,) = board.shadows
    assert (shadow.challenger, shadow.state, shadow.problem) == ("v0.2", "running", "")
    assert (shadow.offered, shadow.shed, shadow.minutes) == (MINUTES + 7, 7, MINUTES)
    page = render_page(board)
    assert "v0.2 sees the requests that the champion answers" in page
    assert "307" in page and "which of them is better is not known" in page
    assert "<code>liftgate judge</code>" in page


def test_a_log_may_be_named_itself_and_its_newest_test_is_shown(log: Path) -> None:
    test = next((log / "shadow").iterdir())
    write_state(test, ShadowState("crashed", reason="ended with -11", offered=5))
    create_test(log, ShadowRequest("v0.3", "models", started=1_790_100_000.0))
    (shadow,) = read_board(*places([log])).shadows
    assert (shadow.challenger, shadow.state, shadow.earlier) == ("v0.3", "waiting", ("v0.2: crashed",))
    assert shadow.sentences[0] == "differ at times: nothing was compared yet"


def test_a_test_that_cannot_be_read_says_why_and_the_rest_is_shown(log: Path) -> None:
    (next((log / "shadow").iterdir()) / "request.json").write_text('{"challenger": 3}')
    board = read_board(*places([log.parent]))
    assert "Cannot be read:" in render_page(board) and "the shadow test cannot be read" in board.shadows[0].problem


def test_a_log_without_a_test_is_no_part_of_the_board(tmp_path: Path) -> None:
    write(tmp_path / "production", [logged(0)])
    assert places([tmp_path]).logs == []


def test_it_is_read_again_when_its_files_change(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    files = BoardFiles([log.parent])
    assert files.read().shadows[0].state == "running"
    test = next((log / "shadow").iterdir())
    write_state(test, ShadowState("finished", offered=9))
    os.utime(test / "state.json", (1, 1))
    clock[0] += 10
    assert files.read().shadows[0].state == "finished"
