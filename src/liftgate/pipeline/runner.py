"""Runner: plan before work, run what is not cached, stop at the first error, go on from there next time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from liftgate.errors import EXIT_CODES, Decided, Stopped, UsageError
from liftgate.ledger.gates import record_gate
from liftgate.ledger.locked_images import record_locked_images, register_ledger
from liftgate.ledger.records import DataEntry, FlowEntry, StudyEntry
from liftgate.ledger.results import GateResult
from liftgate.pipeline.budget import foreseen_excess
from liftgate.pipeline.context import Context
from liftgate.pipeline.control.session import session
from liftgate.pipeline.flow_state import FlowState
from liftgate.pipeline.notice import Notice, warning
from liftgate.pipeline.planning.auto_batch import open_batches, settle_batch
from liftgate.pipeline.planning.estimate import Times
from liftgate.pipeline.planning.recipes import require_known_arguments, require_weights_of_task
from liftgate.pipeline.spending import resume_point, spent
from liftgate.pipeline.step import Cache, R, Results, Step
from liftgate.study.answer import answer_of
from liftgate.study.records import Arm, Budget, FlowStep, Gate, Study
from liftgate.training.ranks import count_devices
from liftgate.training.tracking import demand

State = Literal["cached", "run", "skipped", "undecided"]


@dataclass(frozen=True, slots=True)
class Planned:
    """One line of a plan."""

    step: str
    kind: str
    state: State
    why: str
    seconds: float | None
    """How long it took last time; None: it never ran"""
    expected: float | None = None
    """Seconds that it would take if it had to run; None: unknown"""
    basis: str = ""
    """Where `expected` comes from, or why it is unknown"""
    usd: float | None = None
    """What training for so long costs at the budget's rate; None: unknown, or no training"""


def plan(context: Context) -> list[Planned]:
    """Return what would run, what is cached and why, without doing any of it."""
    study = context.study
    _demand(context)
    cache, times, flow = Cache(context.ledger), Times(context.ledger), FlowState(study)
    lines: list[Planned] = []
    seen: set[str] = set()
    for word in study.flow:
        if reason := flow.why_not(word):
            undecided = flow.is_open(word)
            lines.append(Planned(_label(word), "flow", "undecided" if undecided else "skipped", reason, None))
            flow.skip(word, reason, for_good=not undecided)
            continue
        flow.enter(word)
        steps = (step for step in _steps_of(context, word) if not flow.stopped(step))
        for part in (part for step in steps for part in _with_needs(step)):
            if part.key in seen:
                continue
            seen.add(part.key)
            result = cache.find(part)
            state: State = "run" if result is None else "cached"
            known = (part.name, part.KIND, state, _why(context, cache, part), cache.seconds(part))
            lines.append(_priced(Planned(*known, *times.of(part)), study.budget.usd_per_hour))
            if result is not None:
                flow.record(part, result)
    if any(line.kind == "check" and line.state == "run" for line in lines):
        _foresee_findings(context)
    _foresee_ceiling(context, lines)
    return lines


def training_hours(lines: Sequence[Planned]) -> tuple[float | None, str]:
    """Return the hours of all trainings of a plan, cached ones too, and in a few words what they come from.

    None when one of them is unknown: a sum that leaves one out would be wrong without looking so.
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
        TrainingError, Stopped, Paused: from the training; what is finished is kept.
    """
    with session(context) as context:
        _declare(context)
        if context.study.budget != Budget():
            plan(context)  # it warns of what it foresees
        run = _FlowRun(context)
        try:
            run.through()
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
    """One run through the flow."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cache = Cache(context.ledger)
        self._results = Results()
        self._skipped: dict[str, str] = {}
        self._state = FlowState(context.study)
        self._foreseen = False
        self.gates: dict[str, GateResult] = {}

    def through(self) -> None:
        """Do what the flow says and what is not cached.

        Raises:
            Stopped: a decision point stopped an arm, and no word that follows depends on it.
        """
        flow = self._context.study.flow
        for place, word in enumerate(flow):
            if reason := self._state.why_not(word):
                self._state.skip(word, reason)
                self._skipped[_label(word)] = reason
                self._context.notify(Notice("skipped", _label(word), {"why": reason}))
                continue
            self._state.enter(word)
            for step in self._steps(word):
                if self._state.stopped(step):
                    continue
                result = self._do(step)
                self._state.record(step, result)
                if end := self._state.ends_the_study(step, result, flow[place + 1 :]):
                    hint = "a later step with `when: {ARM: STOPPED}` would say what follows"
                    raise Decided(end, where=self._context.study.source, hint=hint)
                if isinstance(result, GateResult):
                    self.gates[step.name] = result

    def record(self, *, ended: str) -> None:
        """Write into the ledger which steps belong to this run, unless it repeats the last one."""
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

    def _steps(self, word: FlowStep) -> Sequence[Step[Any]]:
        steps = _steps_of(self._context, word)
        parts = (part for step in steps for part in _with_needs(step))
        if any(part.KIND == "train" for part in parts) and open_batches(self._context):
            settle_batch(self._context)
            steps = _steps_of(self._context, word)
        return steps

    def _do(self, step: Step[R]) -> R:
        if (done := self._results.find(step)) is not None:
            return done
        for need in step.needs:
            self._do(need)
        found = self._cache.find(step)
        if found is not None:
            self._context.notify(Notice("cached", step.name, {"why": self._cache.why(step)}))
        else:
            found = self._work(step)
        self._results.add(step, found)
        return found

    def _work(self, step: Step[R]) -> R:
        notify = self._context.notify
        if reason := self._context.stop_reason():
            raise Stopped(reason, where=f"before {step.name}", hint="the same command goes on from here")
        if step.KIND == "train":
            self._demand_what_follows()
        notify(Notice("started", step.name, {"why": _why(self._context, self._cache, step), "kind": step.KIND}))
        begun = time.monotonic()
        result = step.work(self._results)
        seconds = time.monotonic() - begun
        stored = self._cache.store(step, result, seconds)
        notify(Notice("done", step.name, {"seconds": seconds, "kind": step.KIND, "result": stored.to_body()}))
        return stored

    def _demand_what_follows(self) -> None:
        """Before the first training, look for what later words of the flow lack: after it may be days later.

        Raises:
            UsageError: weights are missing, or were made for another task; the trainer would refuse a recipe.
            DataError, StudyError: a mix does not fit together.
        """
        if self._foreseen:
            return
        self._foreseen = True
        study, datasets = self._context.study, self._context.datasets
        require_known_arguments(study)
        for word in study.flow:
            _steps_of(self._context, word)
            for stage in (stage for arm in _trained_by(study, word) for stage in arm.stages):
                require_weights_of_task(study, stage)
                if stage.mix:
                    datasets.training_tree(stage)


def _steps_of(context: Context, word: FlowStep) -> Sequence[Step[Any]]:
    """Return the steps that one word of the flow stands for, in order; `report` stands for none."""
    # Here: each kind of step loads the rooms that do its work, and the types of a plan need none of them.
    from liftgate.pipeline.steps.checking import CheckStep
    from liftgate.pipeline.steps.measuring import EvaluateStep, gate_step
    from liftgate.pipeline.steps.probing import probe_steps
    from liftgate.pipeline.steps.retention import VerdictContext
    from liftgate.pipeline.steps.training import train_steps

    study = context.study
    if word.name == "check":
        return [CheckStep(context)]
    if word.name == "probe":
        return probe_steps(context)
    if word.name == "train":
        arms = _trained_by(study, word)
        return [step for seed in study.seeds for arm in arms for step in train_steps(context, arm, seed)]
    if word.name == "baseline":
        return [
            EvaluateStep(context, arm, study.seeds[0], gate) for gate in study.gates for arm in _untrained(study, gate)
        ]
    gate = next((gate for gate in study.gates if gate.name == word.name), None)
    return [] if gate is None else [gate_step(context, gate, VerdictContext(context, gate))]


def _trained_by(study: Study, word: FlowStep) -> list[Arm]:
    """Return the arms that a word of the flow trains; none for a word other than `train`."""
    if word.name != "train":
        return []
    return [arm for arm in study.arms if arm.stages and (word.arms is None or arm.name in word.arms)]


def _untrained(study: Study, gate: Gate) -> list[Arm]:
    names = [name for name in (gate.arm, gate.control, gate.treatment) if name is not None]
    return [arm for arm in (study.arm(name) for name in names) if not arm.stages]


def _foresee_findings(context: Context) -> None:
    """Warn of what `check` will stop the run for, as far as no image need be opened for it."""
    from liftgate.pipeline.steps.checking import cheap_errors

    for found in cheap_errors(context):
        message = f"check will stop the run: {found.id}, {found.where}: {found.message} ({found.hint})"
        context.notify(warning("check", message))


def _foresee_ceiling(context: Context, lines: Sequence[Planned]) -> None:
    """Warn of a ceiling that the plan will pass: better now than in the third night."""
    todo = [line.expected for line in lines if line.kind == "train" and line.state == "run"]
    used = spent(context.workspace.folder, context.ledger)
    study = context.study
    known = sum(seconds for seconds in todo if seconds is not None)
    if known and (message := foreseen_excess(study.budget, used, known, count_devices(study.device))):
        if None in todo:
            message += f" (without {sum(seconds is None for seconds in todo)} trainings of unknown length)"
        context.notify(warning("budget", message))


def _priced(line: Planned, usd_per_hour: float | None) -> Planned:
    if line.kind != "train" or line.expected is None or usd_per_hour is None:
        return line
    return replace(line, usd=line.expected / 3600 * usd_per_hour)


def _why(context: Context, cache: Cache, step: Step[Any]) -> str:
    """Return why a step is cached or has to run; of a training that was stopped, from where it goes on."""
    begun = step.KIND == "train" and cache.find(step) is None
    return (resume_point(context.workspace.folder, step.key) if begun else "") or cache.why(step)


def _label(word: FlowStep) -> str:
    """Return the name of a word of the flow, with its arms: several may be `train`."""
    return f"{word.name} {', '.join(word.arms)}" if word.arms else word.name


def _with_needs(step: Step[Any]) -> Iterator[Step[Any]]:
    for need in step.needs:
        yield from _with_needs(need)
    yield step


def _demand(context: Context) -> None:
    """Refuse what cannot be done, before anything is."""
    study = context.study
    demand(study.log, [spec.name for spec in study.datasets if spec.confidential], study.source)
    context.datasets.require_gate_splits()
    _demand_measurable(study)


def _demand_measurable(study: Study) -> None:
    """Refuse claims about a metric that the study's predictions do not have.

    Raises:
        UsageError: which claim of which gate.
    """
    if study.backend not in ("ultralytics", "toy"):
        return  # another backend may time its predictions
    for gate in study.gates:
        for number, claim in enumerate(gate.claims):
            if claim.metric == "ms_per_image":
                where = study.place("gates", gate.name, "claims", number)
                hint = "`liftgate bench MODEL` measures it on the machine that it will run on"
                raise UsageError("ms_per_image is not measured when a study predicts", where=where, hint=hint)


def _declare(context: Context) -> None:
    """Put the question, its gates and its data into the ledger before any number exists."""
    study, ledger, datasets = context.study, context.ledger, context.datasets
    _demand(context)
    asked = StudyEntry(study.content_hash(), study.name, study.question)
    if asked.hash not in {entry.hash for entry in ledger.records(StudyEntry)}:
        ledger.add(asked)
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
        datasets.freeze(spec.name)  # after its entry: a kill between the two leaves no split that is not on record
        if spec.lock:
            register_ledger(ledger.path)
