"""Read the shadow tests of production logs for the board: how far each is, and what it says by now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from liftgate.data.production_log.log_rows import is_production_log
from liftgate.deploy.shadow.pairs import read_minutes
from liftgate.deploy.shadow.request import SHADOW, tests_of
from liftgate.deploy.shadow.settle import Answer, find
from liftgate.errors import LiftgateError


@dataclass(frozen=True, slots=True)
class BoardShadow:
    """The newest shadow test of a production log."""

    log: str
    challenger: str = ""
    state: str = ""
    """running, finished, crashed …; empty: it cannot be read, see `problem`"""
    reason: str = ""
    answer: Answer | None = None
    sentences: tuple[str, ...] = ()
    """What it says, and what it does not"""
    offered: int = 0
    shed: int = 0
    minutes: int = 0
    """Looked at by now"""
    hours: float = 0.0
    """Asked for, at most"""
    earlier: tuple[str, ...] = ()
    """Earlier tests of the log: challenger and how each ended"""
    problem: str = ""


def logs_with_tests(folders: Iterable[Path]) -> list[Path]:
    """Return those of some folders that are production logs with a shadow test."""
    return [folder for folder in folders if is_production_log(folder) and (folder / SHADOW).is_dir()]


def read_shadow(log: Path) -> BoardShadow:
    """Return the newest shadow test of a log; one that cannot be read says why."""
    try:
        tests = tests_of(log)
        if not tests:
            return BoardShadow(log.name, problem="there is no shadow test")
        newest = tests[-1]
        found = find(read_minutes(newest.folder), newest.request, is_over=newest.has_run_out)
    except (LiftgateError, OSError) as error:
        what = error.what if isinstance(error, LiftgateError) else str(error.strerror)
        return BoardShadow(log.name, problem=what)
    return BoardShadow(
        log=log.name,
        challenger=newest.request.challenger,
        state="stopped" if newest.is_over and newest.state.status in ("waiting", "running") else newest.state.status,
        reason=newest.state.reason,
        answer=found.answer,
        sentences=(found.at_times, found.on_average, found.advice),
        offered=newest.state.offered,
        shed=newest.state.shed,
        minutes=found.minutes,
        hours=newest.request.hours,
        earlier=tuple(f"{one.request.challenger}: {one.state.status}" for one in reversed(tests[:-1])),
    )
