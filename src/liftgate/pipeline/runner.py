"""Runner: execute a study's flow: run what is not cached, stop at the first error, resume next time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from liftgate.errors import EXIT_CODES, Decided, Stopped
from liftgate.ledger.gates import record_gate
from liftgate.ledger.locked_images import record_locked_images, register_ledger
from liftgate.ledger.records import DataEntry, FlowEntry, StudyEntry
from liftgate.ledger.results import GateResult
from liftgate.pipeline.context import Context
from liftgate.pipeline.control.session import session
from liftgate.pipeline.engine import engine_tasks
from liftgate.pipeline.flow_plan import arms_trained_by, label, plan, require_runnable, steps_of, why, with_needs
from liftgate.pipeline.flow_state import FlowState
from liftgate.pipeline.notice import Notice
from liftgate.pipeline.planning.auto_batch import open_batches, settle_batch
from liftgate.pipeline.planning.recipes import require_known_arguments, require_weights_of_task
from liftgate.pipeline.step import Cache, R, Results, Step
from liftgate.study.answer import answer_of
from liftgate.study.records import Budget, FlowStep, Study

if TYPE_CHECKING:
    from liftgate.pipeline.steps.ahead import Ahead


def execute(context: Context) -> dict[str, GateResult]:
    """Run the flow and return the results of its gates by name.

    Raises:
        FindingsError: `check` found errors.
        LedgerError: a newer version wrote the ledger.
        TrainingError, Stopped, Paused: from the training; what is finished is kept.
    """
    with session(context) as context, engine_tasks(context) as context:
        context.ledger.require_known_kinds()
        _record_declarations(context)
        if context.study.budget != Budget():
            plan(context)  # it warns of what it foresees
        run = _FlowRun(context)
        try:
            run.run_flow()
        except BaseException as error:
            run.record(ended=str(error).splitlines()[0] if str(error) else type(error).__name__)
            raise
        finally:
            context.runs.write_due_report()
        run.record(ended="")
        return run.gates


def exit_code(study: Study, gates: Mapping[str, GateResult]) -> int:
    """Return the exit code of a run: that of the study's answer; 0 where no gate was decided."""
    answer = answer_of(study, {name: result.word for name, result in gates.items()})
    return 0 if answer is None else EXIT_CODES[answer.word]


class _FlowRun:
    """One run of the flow."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cache = Cache(context.ledger)
        self._results = Results()
        self._skipped: dict[str, str] = {}
        self._state = FlowState(context.study)
        self._later_steps_checked = False
        self._ahead: Ahead | None = None
        if context.tasks is not None:
            from liftgate.pipeline.steps.ahead import Ahead

            self._ahead = Ahead(context, context.tasks, self._cache, self._results)
        self.gates: dict[str, GateResult] = {}

    def run_flow(self) -> None:
        """Run the steps of the flow, as far as they are not cached.

        Raises:
            Decided: a decision point stopped an arm that no later step depends on.
        """
        flow = self._context.study.flow
        for place, flow_step in enumerate(flow):
            if reason := self._state.why_not(flow_step):
                self._state.skip(flow_step, reason)
                self._skipped[label(flow_step)] = reason
                self._context.notify(Notice("skipped", label(flow_step), {"why": reason}))
                continue
            self._state.enter(flow_step)
            steps = self._steps(flow_step)
            if self._ahead is not None:
                self._begin_ahead(self._ahead, [step for step in steps if not self._state.stopped(step)])
            for step in steps:
                if self._state.stopped(step):
                    continue
                result = self._result_of(step)
                self._state.record(step, result)
                if end := self._state.ends_the_study(step, result, flow[place + 1 :]):
                    hint = "a later step with `when: {ARM: STOPPED}` would define what follows"
                    raise Decided(end, where=self._context.study.source, hint=hint)
                if isinstance(result, GateResult):
                    self.gates[step.name] = result

    def _begin_ahead(self, ahead: Ahead, steps: Sequence[Step[Any]]) -> None:
        parts = [part for step in steps for part in with_needs(step)]
        if any(part.KIND == "train" and self._cache.find(part) is None for part in parts):
            self._check_later_steps()
        ahead.expect(parts)

    def record(self, *, ended: str) -> None:
        """Record in the ledger which steps belong to this run, unless that equals the last record."""
        context = self._context
        answer = answer_of(context.study, {name: result.word for name, result in self.gates.items()})
        entry = FlowEntry(
            study=context.study.content_hash(),
            steps=tuple(self._results.keys),
            skipped=self._skipped,
            ended=ended,
            spent=context.runs.spent(),
            answer=answer and answer.word,
            answered_by=answer and answer.gate,
        )
        older = replace(entry, answer=None, answered_by=None)  # as version 0.1.0 wrote it
        before = context.ledger.records(FlowEntry)
        if not before or before[-1] not in (entry, older):
            context.ledger.add(entry)

    def _steps(self, flow_step: FlowStep) -> Sequence[Step[Any]]:
        steps = steps_of(self._context, flow_step, self._state)
        parts = (part for step in steps for part in with_needs(step))
        if any(part.KIND == "train" for part in parts) and open_batches(self._context):
            settle_batch(self._context)
            steps = steps_of(self._context, flow_step, self._state)
        return steps

    def _result_of(self, step: Step[R]) -> R:
        if (done := self._results.find(step)) is not None:
            return done
        for need in step.needs:
            self._result_of(need)
        found = self._cache.find(step)
        if found is not None:
            self._context.notify(Notice("cached", step.name, {"why": self._cache.why(step)}))
        else:
            found = self._execute(step)
        self._results.add(step, found)
        return found

    def _execute(self, step: Step[R]) -> R:
        notify = self._context.notify
        if reason := self._context.stop_reason():
            raise Stopped(reason, where=f"before {step.name}", hint="the same command goes on from here")
        if step.KIND == "train":
            self._check_later_steps()
        notify(Notice("started", step.name, {"why": why(self._context, self._cache, step), "kind": step.KIND}))
        begun = time.monotonic()
        result = step.work(self._results)
        seconds = time.monotonic() - begun
        stored = self._cache.store(step, result, seconds)
        notify(Notice("done", step.name, {"seconds": seconds, "kind": step.KIND, "result": stored.to_body()}))
        return stored

    def _check_later_steps(self) -> None:
        """Before the first training, check what later steps of the flow need, as it may be days until they run.

        Raises:
            UsageError: weights are missing, or were made for another task; the trainer would refuse a recipe.
            DataError, StudyError: a mix does not fit together.
        """
        if self._later_steps_checked:
            return
        self._later_steps_checked = True
        from liftgate.pipeline.steps.checking import warn_of_met_targets
        from liftgate.pipeline.steps.exporting import require_exportable
        from liftgate.pipeline.steps.thresholds import require_unjudged_images

        study, datasets = self._context.study, self._context.datasets
        require_known_arguments(study)
        for gate in study.gates:
            require_unjudged_images(self._context, gate)
        for flow_step in study.flow:
            if flow_step.name == "export":
                require_exportable(study, flow_step)
            for gate in study.gates:
                if gate.formats and gate.name == flow_step.name:
                    require_exportable(study, gate)
            steps_of(self._context, flow_step)
            for arm in arms_trained_by(study, flow_step):
                for stage in arm.stages:
                    require_weights_of_task(study, arm, stage)
                    if stage.mix:
                        datasets.training_tree(stage)
        warn_of_met_targets(self._context)


def _record_declarations(context: Context) -> None:
    """Record question, gates and data in the ledger before anything is measured."""
    study, ledger, datasets = context.study, context.ledger, context.datasets
    require_runnable(context)
    study_entry = StudyEntry(study.content_hash(), study.name, study.question)
    if study_entry.hash not in {entry.hash for entry in ledger.records(StudyEntry)}:
        ledger.add(study_entry)
    for gate in study.gates:
        record_gate(ledger, gate.name, gate.content_hash(), asdict(gate))
    known = {(entry.dataset, entry.fingerprint, entry.split): entry for entry in ledger.records(DataEntry)}
    for spec in study.datasets:
        split, fingerprint = datasets.frozen_split(spec.name), datasets.fingerprint(spec.name)
        before = known.get((spec.name, fingerprint, split))
        recorded = {} if before is None else {row.split: row.identities for row in before.splits if row.locked}
        dataset, folder = datasets.dataset(spec.name), context.workspace.folder
        hashes = record_locked_images(folder, spec.name, dataset, spec.lock, fingerprint, recorded, context.progress)
        if before is None or any(recorded.get(name, "") not in (None, hash_) for name, hash_ in hashes.items()):
            rows = (replace(row, identities=hashes.get(row.split)) for row in datasets.describe(spec.name))
            ledger.add(DataEntry(spec.name, fingerprint, tuple(rows), split))
        datasets.freeze(
            spec.name
        )  # after its entry, so that no split exists without a record, even if killed in between
        if spec.lock:
            register_ledger(ledger.path)
