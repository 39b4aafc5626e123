"""Trackers of a run: their contract, and the ones that a study names in `log`."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from liftgate.backends.base import Paused
from liftgate.backends.events import EpochReport, Json
from liftgate.errors import Stopped, UsageError
from liftgate.training.tracking.mlflow import MLflow
from liftgate.training.tracking.tensorboard import TensorBoard
from liftgate.training.tracking.wandb import Wandb

_NEEDED = {"mlflow": "mlflow", "wandb": "wandb"}
"""Tracker → the package that it needs"""
_LOCAL = ("", "file", "sqlite")
"""Schemes of an MLflow tracking address that stay on this machine"""


class Tracker(Protocol):
    """Records one run; a run that goes on after a pause is the same one to it."""

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Take the numbers of one epoch, from 1."""

    def close(self, ended: str) -> None:
        """End the record of a run that is `finished`, `paused` or `failed`."""


def demand(names: Sequence[str], confidential: Sequence[str], where: object = None) -> None:
    """Refuse, before anything is trained, trackers that cannot or may not be used.

    Args:
        names: trackers that the study names.
        confidential: names of its confidential datasets.
        where: the study, for the error.

    Raises:
        UsageError: a package is missing, or numbers about confidential data would leave the machine.
    """
    secret = ", ".join(confidential)
    if secret and "wandb" in names:
        raise UsageError(f"{secret} is confidential, and Weights & Biases is a server of another company", where=where)
    address = os.environ.get("MLFLOW_TRACKING_URI", "")
    if secret and "mlflow" in names and address.partition(":")[0] not in _LOCAL and not Path(address).is_absolute():
        hint = "unset MLFLOW_TRACKING_URI: the runs are then kept in the study's folder"
        raise UsageError(f"{secret} is confidential, and MLFLOW_TRACKING_URI is not on this machine",
                         where=where, got=address, hint=hint)  # fmt: skip
    for name in names:
        package = _NEEDED.get(name)
        if package is not None and importlib.util.find_spec(package) is None:
            hint = f"pip install {package}, or leave it out of `log`; tensorboard needs no package"
            raise UsageError(f"`log: {name}` needs the package {package}", where=where, got="not installed", hint=hint)


class Tracked:
    """Passes a run's epochs on to its trackers, which are open inside its `with` block.

    Args:
        names: as the study's `log` has them.
        study: its name.
        folder: the run's folder; its name is the run's name.
        known: what the run is: arm, stage, seed, recipe, data hash …; plain values.
        complain: called once for each tracker that failed.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        study: str,
        folder: Path,
        known: Json,
        complain: Callable[[str], None],
    ) -> None:
        self._names, self._complain = names, complain
        self._trackers: dict[str, Tracker] = {}
        self._makers: dict[str, Callable[[], Tracker]] = {
            "tensorboard": lambda: TensorBoard(folder / "tensorboard"),
            "mlflow": lambda: MLflow(study, folder, _flat(known)),
            "wandb": lambda: Wandb(study, folder, known),
        }

    def __call__(self, report: EpochReport) -> None:
        """Pass the report of an epoch on."""
        values = numbers(report)
        for name, tracker in list(self._trackers.items()):
            self._try(name, tracker.epoch, report.epoch, values)

    def __enter__(self) -> Tracked:
        for name in self._names:
            self._try(name, self._open, name)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        ended = "finished" if kind is None else "paused" if issubclass(kind, Paused | Stopped) else "failed"
        for name, tracker in list(self._trackers.items()):
            self._try(name, tracker.close, ended)
        self._trackers.clear()

    def _open(self, name: str) -> None:
        self._trackers[name] = self._makers[name]()

    def _try(self, name: str, work: Callable[..., None], *args: object) -> None:
        try:
            work(*args)
        except Exception as error:  # whatever a library raises: it is no reason to end a training
            self._trackers.pop(name, None)
            self._complain(f"{name} failed and is not used any more for this run: {type(error).__name__}: {error}")


def numbers(report: EpochReport) -> dict[str, float]:
    """Return the numbers of an epoch by the name that a tracker shows; a figure that is unknown is left out.

    >>> numbers(EpochReport(epoch=1, metrics={"mAP50": 0.5, "recall": None}, lr={"lr/pg0": 0.01}, seconds=2.5))
    {'metrics/mAP50': 0.5, 'lr/pg0': 0.01, 'time/epoch_seconds': 2.5}
    """
    named = {
        **report.losses,
        **{f"metrics/{name}": value for name, value in report.metrics.items()},
        **report.lr,
        "time/epoch_seconds": report.seconds,
        "machine/peak_memory_mb": report.peak_memory_mb,
        "machine/power_w": report.power_w,
    }
    return {name: float(value) for name, value in named.items() if isinstance(value, int | float)}


def _flat(known: Json, prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in known.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = str(value)
    return found
