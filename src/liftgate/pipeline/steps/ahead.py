"""Ahead: submit the trainings and predictions of a flow step to the engine before their turn in the flow.

The flow stays as it is: results are taken, and recorded in the ledger, in the order of the study. So the ledger of a
study has the same entries in the same order, however many tasks ran at once and whichever ended first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from liftgate.engines.dispatch import Dispatcher
from liftgate.ledger.records import LedgerRecord
from liftgate.pipeline.budget import SharedCeiling
from liftgate.pipeline.context import Context
from liftgate.pipeline.step import Cache, Results, Step
from liftgate.pipeline.steps.predicting import PredictStep
from liftgate.pipeline.steps.training import TrainStep
from liftgate.study.records import Budget


class Ahead:
    """Tasks of the flow step that runs now."""

    def __init__(self, context: Context, tasks: Dispatcher, cache: Cache, results: Results) -> None:
        self._context, self._tasks, self._cache, self._results = context, tasks, cache, results
        self._waiting: dict[str, TrainStep | PredictStep] = {}
        tasks.meanwhile = self.submit_ready

    def expect(self, steps: Iterable[Step[Any]]) -> None:
        """Set the steps whose tasks may begin, and submit those that are ready.

        With the median rule (`early_kill`) nothing begins before its turn: whether a training is stopped depends on
        those that were finished before it.
        """
        self._waiting = {
            step.key: step
            for step in steps
            if isinstance(step, TrainStep | PredictStep)
            and not (isinstance(step, TrainStep) and self._context.study.early_kill)
            and not self._tasks.has(step.key)
            and self._recorded(step) is None
        }
        self.submit_ready()

    def submit_ready(self) -> None:
        """Submit every task whose inputs are there, as one batch."""
        if not self._waiting or self._context.stop_reason():
            return
        ready = []
        for key, step in list(self._waiting.items()):
            if not step.is_ready(self._known_results(step)):
                continue
            if self._context.study.budget != Budget() and SharedCeiling(self._context).reason():
                return  # its turn says so
            del self._waiting[key]
            if (task := step.task(self._known_results(step))) is not None:
                ready.append(task)
        self._tasks.submit(ready)

    def _known_results(self, step: Step[Any]) -> Results:
        """Return the results of what a step needs, as far as they are recorded."""
        known = Results()
        for need in step.needs:
            found = self._recorded(need)
            if found is not None:
                known.add(need, found)
        return known

    def _recorded(self, step: Step[Any]) -> LedgerRecord | None:
        found: LedgerRecord | None = self._results.find(step)
        return self._cache.find(step) if found is None else found
