"""MLflow, where it is installed: into the study's folder, or to where MLFLOW_TRACKING_URI points."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SHORT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""Defaults of the environment: MLflow's own retry a server that does not answer for minutes, and the training's parent
would wait for it."""


class MLflow:
    """One MLflow run for one run of a study, found again by its name after a pause."""

    def __init__(self, study: str, folder: Path, known: Mapping[str, str]) -> None:
        for name, value in _SHORT.items():
            os.environ.setdefault(name, value)
        tracking: Any = importlib.import_module("mlflow.tracking")
        self._metric: Any = importlib.import_module("mlflow.entities").Metric
        address = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.parent.absolute() / 'mlflow.db'}"
        self._client = tracking.MlflowClient(tracking_uri=address)
        experiment = self._client.get_experiment_by_name(study)
        number = self._client.create_experiment(study) if experiment is None else experiment.experiment_id
        before = self._client.search_runs([number], f"attributes.run_name = '{folder.name}'", max_results=1)
        run = before[0] if before else self._client.create_run(number, run_name=folder.name)
        self._run = run.info.run_id
        for name, value in () if before else known.items():
            self._client.log_param(self._run, name, value[:500])

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Log the numbers of one epoch, from 1."""
        now = int(1000 * time.time())
        self._client.log_batch(self._run, [self._metric(name, value, now, number) for name, value in values.items()])

    def close(self, ended: str) -> None:
        """End the run as `finished`, `paused` or `failed`."""
        status = {"finished": "FINISHED", "paused": "SCHEDULED"}.get(ended, "FAILED")
        self._client.set_terminated(self._run, status)
