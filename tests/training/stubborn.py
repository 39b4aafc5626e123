"""A backend that will not stop when asked: for the test of those who insist."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from liftgate.backends.base import Event, PredictJob, TrainJob


class Stubborn:
    """Reports one epoch and then works on, whatever is asked of it."""

    name = "stubborn"

    def train(self, job: TrainJob, emit: Callable[[Event], None], should_stop: Callable[[], bool]) -> Mapping[str, Any]:
        emit(Event("epoch", {"epoch": 1}))
        deaf = False
        while True:
            time.sleep(0.02)
            if should_stop() and not deaf:
                deaf = True
                emit(Event("log", {"message": "asked and deaf"}))

    def predict(self, job: PredictJob, emit: Callable[[Event], None]) -> Mapping[str, Any]:
        raise NotImplementedError
