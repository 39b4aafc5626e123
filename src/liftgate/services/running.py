"""`status`, `logs` and `stop` of a study that runs or has run. They import nothing that trains or evaluates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from liftgate.errors import UsageError
from liftgate.ledger.chain import Ledger
from liftgate.ledger.workspace import results_folder
from liftgate.pipeline.control import stop_request
from liftgate.pipeline.control.logs import Passage, follow, tail
from liftgate.pipeline.control.status import Status, is_registry, status_of, workspaces
from liftgate.study.study_file import study_path


def status(paths: str | Path | Sequence[str | Path] = ".") -> tuple[Status, ...]:
    """Return the state of studies that run or have run.

    Args:
        paths: study.yaml files, or folders that are searched for results.

    Raises:
        UsageError: no such study or folder.
    """
    given = [paths] if isinstance(paths, str | Path) else paths
    ledgers = {ledger.path: ledger for path in map(Path, given) for ledger in _ledgers(path)}
    return tuple(status_of(path.parent, ledger=ledger) for path, ledger in ledgers.items())


def logs(study: str | Path, *, lines: int = 20, follow_on: bool = False) -> Iterator[Passage]:
    """Yield the last lines of a study's logs; with `follow_on` also new ones, until its run ends.

    Args:
        study: study.yaml, or the folder of its results.
        lines: how many of each log.
        follow_on: wait for new lines.

    Raises:
        UsageError: there is no such study.
    """
    folder = _folder(Path(study))
    return follow(folder, lines) if follow_on else iter(tail(folder, lines))


def stop(study: str | Path, how: Literal["epoch", "now", "never mind"] = "epoch") -> Status:
    """Request a running study to stop after this epoch or now, or cancel the request; return its state.

    Args:
        study: study.yaml, or the folder of its results.
        how: "epoch" (after this epoch), "now", or "never mind", which cancels the request.

    Raises:
        UsageError: there is no such study, or it is not running.
    """
    folder = _folder(Path(study))
    if how == "never mind":
        stop_request.withdraw(folder)
    else:
        stop_request.request_stop(folder, how)
    return status_of(folder)


def _ledgers(path: Path) -> Sequence[Ledger]:
    """Return the ledgers of a study, or of those at or below a folder."""
    if path.is_file():
        return [_ledger(_folder(path))]
    inside = study_path(path)
    return _studies(path) or ([_ledger(results_folder(inside))] if inside != path else [])


def _studies(folder: Path) -> list[Ledger]:
    """Return the ledgers of studies at or below a folder; a registry of models has a ledger and is none."""
    return [ledger for found in workspaces(folder) if not is_registry(ledger := _ledger(found))]


def _ledger(folder: Path) -> Ledger:
    return Ledger(folder / "ledger.sqlite")


def _folder(path: Path) -> Path:
    """Return the folder of one study's results."""
    path = study_path(path)
    if not path.is_dir():
        return results_folder(path)
    found = _studies(path)
    if len(found) != 1:
        got = ", ".join(ledger.path.parent.name for ledger in found) or "none"
        raise UsageError("the folder of one study is needed", where=path, got=got, hint="name its study.yaml")
    return found[0].path.parent
