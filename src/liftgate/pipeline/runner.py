"""Runner: plan a study's flow, or execute it: run what is not cached, stop at the first error, resume next time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from liftgate.errors import EXIT_CODES, Decided, Stopped, UsageError
from liftgate.ledger.gates import record_gate
from liftgate.ledger.locked_images import record_locked_images, register_ledger
from liftgate.ledger.records import DataEntry, FlowEntry, StudyEntry
from liftgate.ledger.results import GateResult
from liftgate.pipeline.budget import foreseen_excess
from liftgate.pipeline.context import Context
from liftgate.pipeline.control.session import session
from liftgate.pipeline.engine import engine_tasks, require_allowed
from liftgate.pipeline.flow_state import FlowState, Winner, exported_arms
from liftgate.pipeline.notice import Notice, warning
from liftgate.pipeline.planning.auto_batch import open_batches, settle_batch
from liftgate.pipeline.planning.estimate import Times
from liftgate.pipeline.planning.recipes import missing_trainer, require_known_arguments, require_weights_of_task
from liftgate.pipeline.spending import resume_point, spent
from liftgate.pipeline.step import Cache, R, Results, Step
from liftgate.study.answer import answer_of
from liftgate.study.records import Arm, Budget, FlowStep, Gate, Study
from liftgate.training.ranks import count_devices
from liftgate.training.tracking import demand

if TYPE_CHECKING:
    from liftgate.pipeline.steps.ahead import Ahead

State = Literal["cached", "run", "skipped", "undecided"]


@dataclass(frozen=True, slots=True)
class Planned:
    """One line of a plan."""

    step: str
    kind: str
    state: State
    why: str
    seconds: float | None
    """Seconds that it took last time; None: it never ran"""
    expected: float | None = None
    """Expected seconds if it had to run; None: unknown"""
    basis: str = ""
    """Where `expected` comes from, or why it is unknown"""
    usd: float | None = None
    """Cost of the training at the budget's rate; None: unknown, or no training"""


def plan(context: Context) -> list[Planned]:
    """Return what would run and what is cached, and why, without running anything."""
    study = context.study
    _require_runnable(context)
    cache, times, flow = Cache(context.ledger), Times(context.ledger), FlowState(study)
    lines: list[Planned] = []
    seen: set[str] = set()
    for flow_step in study.flow:
        if reason := flow.why_not(flow_step):
            undecided = flow.is_open(flow_step)
            lines.append(Planned(_label(flow_step), "flow", "undecided" if undecided else "skipped", reason, None))
            flow.skip(flow_step, reason, for_good=not undecided)
            continue
        flow.enter(flow_step)
        steps = (step for step in _steps_of(context, flow_step, flow) if not flow.stopped(step))
        for part in (part for step in steps for part in _with_needs(step)):
            if part.key in seen:
                continue
            seen.add(part.key)
            result = cache.find(part)
            state: State = "run" if result is None else "cached"
            known = (part.name, part.KIND, state, _why(context, cache, part), cache.seconds(part))
            lines.append(_with_cost(Planned(*known, *times.of(part)), study.budget.usd_per_hour))
            if result is not None:
                flow.record(part, result)
    if any(line.kind == "check" and line.state == "run" for line in lines):
        _warn_of_findings(context)
    _warn_of_ceiling(context, lines)
    needed = any(line.state == "run" and line.kind in ("train", "probe", "predict") for line in lines)
    if needed and (missing := missing_trainer(study)):
        context.notify(warning("train", missing))
    return lines


def training_hours(lines: Sequence[Planned]) -> tuple[float | None, str]:
    """Return the expected hours of all trainings of a plan, cached ones included, and their basis in a few words.

    None where one of them is unknown, as a partial sum would be misleading.
    """
    trainings = [line for line in lines if line.kind == "train"]
    unknown = [line for line in trainings if line.expected is None]
    if unknown:
        return None, f"{unknown[0].step}: {unknown[0].basis}"
    undecided = [line.step for line in lines if line.state == "undecided"]
    basis = f"{len(trainings)} trainings, by what they or their like took"
    if undecided:
        basis += f"; without {', '.join(undecided)}, whose turn depends on a verdict"
    return sum(line.expected or 0.0 for line in trainings) / 3600, basis


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
                self._skipped[_label(flow_step)] = reason
                self._context.notify(Notice("skipped", _label(flow_step), {"why": reason}))
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
        parts = [part for step in steps for part in _with_needs(step)]
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
            spent=spent(context.workspace.folder, context.ledger),
            answer=answer and answer.word,
            answered_by=answer and answer.gate,
        )
        older = replace(entry, answer=None, answered_by=None)  # as version 0.1.0 wrote it
        before = context.ledger.records(FlowEntry)
        if not before or before[-1] not in (entry, older):
            context.ledger.add(entry)

    def _steps(self, flow_step: FlowStep) -> Sequence[Step[Any]]:
        steps = _steps_of(self._context, flow_step, self._state)
        parts = (part for step in steps for part in _with_needs(step))
        if any(part.KIND == "train" for part in parts) and open_batches(self._context):
            settle_batch(self._context)
            steps = _steps_of(self._context, flow_step, self._state)
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
        notify(Notice("started", step.name, {"why": _why(self._context, self._cache, step), "kind": step.KIND}))
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
            _steps_of(self._context, flow_step)
            for arm in _arms_trained_by(study, flow_step):
                for stage in arm.stages:
                    require_weights_of_task(study, arm, stage)
                    if stage.mix:
                        datasets.training_tree(stage)
        warn_of_met_targets(self._context)


def _steps_of(context: Context, flow_step: FlowStep, state: FlowState | None = None) -> Sequence[Step[Any]]:
    """Return the steps that one step of the flow consists of, in order; none for `report`.

    A gate about the winner of several arms is about the one that `state` knows; without a state, about each of them.
    """
    # Imported here: each kind of step imports the packages that do its work, which the types of a plan do not need.
    from liftgate.pipeline.steps.checking import CheckStep
    from liftgate.pipeline.steps.exporting import ExportStep
    from liftgate.pipeline.steps.measuring import EvaluateStep, gate_step
    from liftgate.pipeline.steps.predicting import all_settings
    from liftgate.pipeline.steps.probing import probe_steps
    from liftgate.pipeline.steps.retention import VerdictContext
    from liftgate.pipeline.steps.training import train_steps

    study = context.study
    if flow_step.name == "check":
        return [CheckStep(context)]
    if flow_step.name == "probe":
        return probe_steps(context)
    if flow_step.name == "train":
        arms = _arms_trained_by(study, flow_step)
        return [step for seed in study.seeds for arm in arms for step in train_steps(context, arm, seed)]
    if flow_step.name == "baseline":
        return [
            EvaluateStep(context, arm, study.seeds[0], gate, settings)
            for gate in study.gates
            for arm in _untrained_arms(study, gate)
            for settings in all_settings(study, gate, arm)
        ]
    if flow_step.name == "export":
        names = exported_arms(study, flow_step) if state is None else state.exported(flow_step)
        return [ExportStep(context, study.arm(name), flow_step) for name in names]
    gate = next((gate for gate in study.gates if gate.name == flow_step.name), None)
    if gate is None or not gate.winner_of:
        return [] if gate is None else [gate_step(context, gate, VerdictContext(context, gate))]
    winners = [Winner(name, "") for name in gate.winner_of] if state is None else [state.winner(gate)]
    judged = [(replace(gate, arm=winner.arm), winner.why) for winner in winners]
    return [gate_step(context, one, VerdictContext(context, one), why) for one, why in judged]


def _arms_trained_by(study: Study, flow_step: FlowStep) -> list[Arm]:
    """Return the arms that a step of the flow trains; none for steps other than `train`."""
    if flow_step.name != "train":
        return []
    return [arm for arm in study.arms if arm.stages and (flow_step.arms is None or arm.name in flow_step.arms)]


def _untrained_arms(study: Study, gate: Gate) -> list[Arm]:
    return [arm for arm in map(study.arm, gate.arm_names) if not arm.stages]


def _warn_of_findings(context: Context) -> None:
    """Warn of errors for which `check` will stop the run, as far as they are found without opening images."""
    from liftgate.pipeline.steps.checking import cheap_errors

    for found in cheap_errors(context):
        message = f"check will stop the run: {found.id}, {found.where}: {found.message} ({found.hint})"
        context.notify(warning("check", message))


def _warn_of_ceiling(context: Context, lines: Sequence[Planned]) -> None:
    """Warn if the plan is expected to exceed a limit of the budget."""
    todo = [line.expected for line in lines if line.kind == "train" and line.state == "run"]
    used = spent(context.workspace.folder, context.ledger)
    study = context.study
    known = sum(seconds for seconds in todo if seconds is not None)
    if known and (message := foreseen_excess(study.budget, used, known, count_devices(study.device))):
        if None in todo:
            message += f" (without {sum(seconds is None for seconds in todo)} trainings of unknown length)"
        context.notify(warning("budget", message))


def _with_cost(line: Planned, usd_per_hour: float | None) -> Planned:
    if line.kind != "train" or line.expected is None or usd_per_hour is None:
        return line
    return replace(line, usd=line.expected / 3600 * usd_per_hour)


def _why(context: Context, cache: Cache, step: Step[Any]) -> str:
    """Return why a step is cached or has to run; for an unfinished training, after which epoch it resumes."""
    begun = step.KIND == "train" and cache.find(step) is None
    return (resume_point(context.workspace.folder, step.key) if begun else "") or cache.why(step)


def _label(flow_step: FlowStep) -> str:
    """Return the name of a step of the flow, with its arms, as several may be `train`."""
    return f"{flow_step.name} {', '.join(flow_step.arms)}" if flow_step.arms else flow_step.name


def _with_needs(step: Step[Any]) -> Iterator[Step[Any]]:
    for need in step.needs:
        yield from _with_needs(need)
    yield step


def _require_runnable(context: Context) -> None:
    """Refuse a study that cannot be run, before anything is run."""
    study = context.study
    require_allowed(study)
    demand(study.log, [spec.name for spec in study.datasets if spec.confidential], study.source)
    context.datasets.require_gate_splits()
    _require_measurable(study)


def _require_measurable(study: Study) -> None:
    """Refuse claims about a metric that the study's predictions do not have.

    Raises:
        UsageError: which claim of which gate.
    """
    # Ultralytics' models are timed by a step of their own; a backend of one's own may time its predictions.
    untimed = {arm.name: name for arm in study.arms if (name := study.backend_of(arm)) in ("toy", "libreyolo")}
    for gate in study.gates:
        for number, claim in enumerate(gate.claims):
            of = [untimed[name] for name in gate.arm_names if name in untimed]
            if claim.metric == "ms_per_image" and of:
                where = study.place("gates", gate.name, "claims", number)
                hint = "`liftgate bench MODEL` measures it on the machine that it will run on"
                raise UsageError(f"ms_per_image is not measured of the {of[0]} backend", where=where, hint=hint)


def _record_declarations(context: Context) -> None:
    """Record question, gates and data in the ledger before anything is measured."""
    study, ledger, datasets = context.study, context.ledger, context.datasets
    _require_runnable(context)
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
