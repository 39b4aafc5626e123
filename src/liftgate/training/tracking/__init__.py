"""Tracking: a run's epochs told to TensorBoard, MLflow or Weights & Biases, where the study's `log` says so.

It happens in the parent, from the events that the run reports anyway: the child that trains stays sealed. A tracker
that fails is dropped with a warning; no training ends because somebody's server is down.
"""

from __future__ import annotations

from liftgate.training.tracking.tracker import Tracked as Tracked
from liftgate.training.tracking.tracker import demand as demand

__all__ = ["Tracked", "demand"]
