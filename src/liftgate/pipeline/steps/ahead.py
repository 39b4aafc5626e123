"""Ahead: submit the trainings and predictions of a flow step to the engine before their turn in the flow.

The flow stays as it is: results are taken, and recorded in the ledger, in the order of the study. So the ledger of a
study has the same entries in the same order, however many tasks ran at once and whichever ended first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from liftgate.engines.dispatch import Dispatcher
from liftgate.ledger.records import LedgerRecord
from liftgate.pipeline.context import Context
from liftgate.pipeline.step import Cache, Results, Step
from liftgate.pipeline.steps.predicting import PredictStep
from liftgate.pipeline.steps.training import TrainStep

if TYPE_CHECKING:
    from liftgate.engines.task import Task

_AHEAD = 4
"""Tasks of a slot that are submitted: more would only wait in its queue, each with a folder and files"""


class Ahead:
    """Tasks of the flow step that runs now."""

    def __init__(self, context: Context, tasks: Dispatcher, cache: Cache, results: Results) -> None:
        self._context, self._tasks, self._cache, self._results = context, tasks, cache, results
        self._waiting: dict[str, TrainStep | PredictStep] = {}
        self._submitted: set[str] = set()
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
            and step.key not in self._submitted
            and self._recorded(step) is None
        }
        self.submit_ready()

    def submit_ready(self) -> None:
        """Submit every task whose inputs are there, as one batch."""
        room = self._room()
        if not self._waiting or room < 1 or self._context.stop_reason():
            return
        if self._context.over_budget():
            return  # its turn says so
        ready: list[Task] = []
        for key, step in list(self._waiting.items()):
            if len(ready) >= room:
                break
            if not step.is_ready(self._known_results(step)):
                continue
            del self._waiting[key]
            self._submitted.add(key)
            ready += step.tasks(self._known_results(step))
        self._tasks.submit(ready)

    def _room(self) -> float:
        """Return how many more tasks may be submitted: a pool gets a few for each slot, a cluster all at once."""
        slots = self._tasks.slots
        return math.inf if slots is None else _AHEAD * slots - self._tasks.open_count

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
