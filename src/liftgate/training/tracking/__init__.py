"""Tracking of a run's epochs in TensorBoard, MLflow or Weights & Biases, where the study's `log` names them.

It happens in the parent, from the events of the run: the child that trains stays sealed. A tracker that fails is
dropped with a warning; no training ends because a server is down.
"""

from __future__ import annotations

from liftgate.training.tracking.tracker import Tracked as Tracked
from liftgate.training.tracking.tracker import demand as demand

__all__ = ["Tracked", "demand"]
