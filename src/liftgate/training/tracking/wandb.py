"""Weights & Biases, where it is installed; its own variables (WANDB_MODE, WANDB_API_KEY …) count."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Wandb:
    """One W&B run for one run of a study, continued under the same id after a pause."""

    def __init__(self, study: str, folder: Path, known: Mapping[str, object]) -> None:
        wandb: Any = importlib.import_module("wandb")
        self._run = wandb.init(
            project=study, name=folder.name, id=folder.name, dir=str(folder), config=dict(known), resume="allow"
        )

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Log the numbers of one epoch, from 1."""
        self._run.log(dict(values), step=number)

    def close(self, ended: str) -> None:
        """End the run as `finished`, `paused` or `failed`."""
        self._run.finish(exit_code=0 if ended != "failed" else 1)
