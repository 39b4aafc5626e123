"""What another shell asks about a study, or asks of it: nothing that trains, measures or predicts is loaded for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from liftgate.errors import UsageError
from liftgate.ledger.workspace import Workspace
from liftgate.pipeline.control import stop_request
from liftgate.pipeline.control.logs import Passage, follow, tail
from liftgate.pipeline.control.status import Status, status_of, workspaces
from liftgate.study.study_file import load


def status(paths: Sequence[Path]) -> tuple[Status, ...]:
    """Return where studies stand: each a study.yaml, or a folder in and below which to look for results.

    Raises:
        UsageError: there is no such study or folder.
    """
    folders = [folder for path in paths for folder in ([_results(path)] if path.is_file() else workspaces(path))]
    return tuple(status_of(folder) for folder in dict.fromkeys(folders))


def logs(path: Path, *, lines: int = 20, follow_on: bool = False) -> Iterator[Passage]:
    """Return the last lines of a study's logs; with `follow_on` also what comes, until its run ends."""
    folder = _results(path)
    return follow(folder, lines) if follow_on else iter(tail(folder, lines))


def stop(path: Path, how: Literal["epoch", "now", "never mind"] = "epoch") -> Status:
    """Ask a running study to stop after this epoch or now, or take that back; return where it stands.

    Raises:
        UsageError: it is not running.
    """
    folder = _results(path)
    if how == "never mind":
        stop_request.take_back(folder)
    else:
        stop_request.ask(folder, how)
    return status_of(folder)


def _results(path: Path) -> Path:
    """Return the folder of one study's results."""
    if not path.is_dir():
        return Workspace(load(path)).folder
    found = workspaces(path)
    if len(found) != 1:
        got = ", ".join(folder.name for folder in found) or "none"
        raise UsageError("one study is wanted", where=path, got=got, hint="name its study.yaml")
    return found[0]
