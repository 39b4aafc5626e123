"""A backend that will not stop when asked: for the test of those who insist."""

from __future__ import annotations

import time
from collections.abc import Callable

from liftgate.backends.base import PredictJob, TrainJob
from liftgate.backends.events import Emit, EpochReport, Json, LogEvent


class Stubborn:
    """Reports one epoch and then works on, whatever is asked of it."""

    name = "stubborn"

    def train(self, job: TrainJob, emit: Emit, should_stop: Callable[[], bool]) -> Json:
        emit(EpochReport(epoch=1))
        deaf = False
        while True:
            time.sleep(0.02)
            if should_stop() and not deaf:
                deaf = True
                emit(LogEvent(message="asked and deaf"))

    def predict(self, job: PredictJob, emit: Emit) -> Json:
        raise NotImplementedError
