"""Train step: train one stage of an arm with one seed, in its own run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from liftgate.ledger.records import Body
from liftgate.ledger.results import TrainResult
from liftgate.ledger.runs import RunFolder
from liftgate.pipeline.context import Context
from liftgate.pipeline.step import Results, Step
from liftgate.pipeline.steps.checking import CheckOutcome
from liftgate.pipeline.steps.recipe import is_auto_batch, recipe_of
from liftgate.study.records import Arm, Stage, Study
from liftgate.training.start_weights import resolve_weights

if TYPE_CHECKING:
    from liftgate.engines.task import Task
    from liftgate.pipeline.steps.stage_run import StageRun


class TrainStep(Step[TrainResult]):
    """Trains one stage of an arm with one seed."""

    KIND = "train"
    RESULT = TrainResult

    def __init__(self, context: Context, arm: Arm, number: int, seed: int, previous: TrainStep | None) -> None:
        """Plan stage `number` (from 1) of an arm; `previous` is the stage before."""
        self._context, self._arm, self._number, self._seed = context, arm, number, seed
        study, stage = context.study, arm.stages[number - 1]
        name = f"train {arm.name}" + (f" stage {number}" if len(arm.stages) > 1 else "") + f" seed {seed}"
        place = study.place("arms", arm.name, number - 1, "weights")
        self._own_weights = None if stage.weights is None else resolve_weights(stage.weights, study.folder, place)
        self._previous = previous if self._own_weights is None else None
        inputs = {
            "weights": None if self._own_weights is None else self._own_weights.identity,
            "data": context.datasets.training_hash(stage),
            "recipe": recipe_of(context.ledger, stage),
            "seed": seed,
            "task": study.task,
            "backend": study.backend_of(arm),
            "device": study.device,
            **_optional_inputs(study, stage),
        }
        super().__init__(name, inputs, () if self._previous is None else (self._previous,), arm=arm.name)

    @property
    def stage(self) -> Stage:
        """The stage that it trains."""
        return self._arm.stages[self._number - 1]

    def work(self, results: Results) -> TrainResult:
        """Train, or resume the unfinished run of the same step."""
        weights = self._start_weights(results)
        assert weights is not None
        return self._stage_run().train(weights)

    def is_ready(self, results: Results) -> bool:
        """Return whether its task can begin: `results` or the engine have the stage before."""
        previous, tasks = self._previous, self._context.tasks
        if previous is None or results.find(previous) is not None:
            return True
        ended = tasks.result(previous.key) if tasks else None
        return ended is not None and ended.ending == "done"

    def tasks(self, results: Results) -> list[Task]:
        """Make the run's folder and return the task that trains in it; none: it is not to begin ahead of its turn."""
        weights = self._start_weights(results)
        task = None if weights is None else self._stage_run().task(weights)
        return [] if task is None else [task]

    def _start_weights(self, results: Results) -> str | None:
        """Return the path of the start weights; None: the stage before was stopped, or is not finished."""
        if self._own_weights is not None:
            return self._own_weights.path
        assert self._previous is not None
        before = results.find(self._previous)
        if before is not None:
            return str(self._context.workspace.folder / before.weights(self.stage.weights_from))
        return self._previous._stage_run().unrecorded_weights(self.stage.weights_from)

    def _stage_run(self) -> StageRun:
        from liftgate.pipeline.steps.stage_run import StageRun  # a plan trains nothing

        return StageRun(self._context, self, self._arm, self._number, self._seed)

    def prepare(self, checked: CheckOutcome) -> RunFolder:
        """Write the folder of this training, and train nothing; see `StageRun.prepare`."""
        weights = self._own_weights and self._own_weights.path
        if weights is None:  # where the stage before, finished or prepared as well, puts them
            assert self._previous is not None
            before = self._context.runs.newest(self._previous.key)
            assert before is not None
            weights = str(before.results / f"{self.stage.weights_from}.pt")
        return self._stage_run().prepare(weights, checked)

    def files(self, result: TrainResult) -> Mapping[Path, str | None]:
        """Return the best weights, and the last ones where the next stage starts from them."""
        folder = self._context.workspace.folder
        kept: dict[Path, str | None] = {folder / result.best: result.sha256}
        following = self._arm.stages[self._number : self._number + 1]
        if any(stage.weights is None and stage.weights_from == "last" for stage in following):
            kept[folder / result.last] = result.last_sha256
        return kept


def train_steps(context: Context, arm: Arm, seed: int) -> list[TrainStep]:
    """Return one step per stage of an arm, chained by weights."""
    known: list[TrainStep] | None = context.chains.get((arm.name, seed))
    if known is not None:
        return known
    steps: list[TrainStep] = []
    for number in range(1, len(arm.stages) + 1):
        steps.append(TrainStep(context, arm, number, seed, steps[-1] if steps else None))
    if not any(is_auto_batch(stage.recipe) for stage in arm.stages):  # which is settled later
        context.chains[arm.name, seed] = steps
    return steps


def _optional_inputs(study: Study, stage: Stage) -> Body:
    """Return inputs that only some runs have; leaving out empty ones keeps the keys of other runs unchanged."""
    optional = {
        "select": stage.select,
        "decide": [asdict(point) for point in stage.decide],
        "early_kill": None if study.early_kill is None else asdict(study.early_kill),
    }
    if stage.weights is None and stage.weights_from != "best":
        optional["weights_from"] = stage.weights_from
    return {name: value for name, value in optional.items() if value}
