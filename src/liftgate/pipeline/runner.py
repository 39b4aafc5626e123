"""The runner: plan before work, run what is not cached, stop at the first error, go on from there next time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from liftgate.errors import EXIT_CODES, Decided, Stopped
from liftgate.ledger.gates import record_gate
from liftgate.pipeline.context import Context, Notice
from liftgate.pipeline.control.session import session
from liftgate.pipeline.flow import steps_of, trained_by
from liftgate.pipeline.flow_state import FlowState
from liftgate.pipeline.planning.auto_batch import settle, unsettled
from liftgate.pipeline.planning.estimate import Times
from liftgate.pipeline.planning.recipes import demand_recipes, demand_task
from liftgate.pipeline.spending import beyond, goes_on_after, spent
from liftgate.pipeline.step import Cache, Result, Step
from liftgate.pipeline.steps.checking import cheap_errors
from liftgate.study.records import Budget, FlowStep
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
    """Say what would run, what is cached and why, without doing any of it."""
    study = context.study
    _demand(context)
    cache, times = Cache(context.ledger), Times(context.ledger)
    flow = FlowState(study)
    lines: list[Planned] = []
    seen: set[str] = set()
    for word in study.flow:
        reason = flow.why_not(word)
        if reason:
            undecided = flow.open(word)
            lines.append(Planned(_label(word), "flow", "undecided" if undecided else "skipped", reason, None))
            flow.skip(word, reason, for_good=not undecided)
            continue
        flow.enter(word)
        for step in steps_of(context, word):
            if flow.stopped(step):
                continue
            for part in _with_needs(step):
                if part.key in seen:
                    continue
                seen.add(part.key)
                result = cache.find(part)
                state: State = "run" if result is None else "cached"
                known = (part.name, part.kind, state, _why(context, cache, part), cache.seconds(part))
                lines.append(_priced(Planned(*known, *times.of(part)), study.budget.usd_per_hour))
                if result is not None:
                    flow.record(part, result)
    if any(line.kind == "check" and line.state == "run" for line in lines):
        _foresee_findings(context)
    _foresee_ceiling(context, lines)
    return lines


def _foresee_findings(context: Context) -> None:
    """Warn of what `check` will stop the run for, as far as no image need be opened for it."""
    for found in cheap_errors(context):
        message = f"check will stop the run: {found.id}, {found.where}: {found.message} ({found.hint})"
        context.notify(Notice("event", "check", {"kind": "warning", "message": message}))


def _foresee_ceiling(context: Context, lines: Sequence[Planned]) -> None:
    """Warn of a ceiling that the plan will pass: better now than in the third night."""
    todo = [line.expected for line in lines if line.kind == "train" and line.state == "run"]
    used = spent(context.workspace.folder, context.ledger)
    study = context.study
    known = sum(seconds for seconds in todo if seconds is not None)
    if known and (message := beyond(study.budget, used, known, count_devices(study.device))):
        if None in todo:
            message += f" (without {sum(seconds is None for seconds in todo)} trainings of unknown length)"
        context.notify(Notice("event", "budget", {"kind": "warning", "message": message}))


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


def _priced(line: Planned, usd_per_hour: float | None) -> Planned:
    if line.kind != "train" or line.expected is None or usd_per_hour is None:
        return line
    return replace(line, usd=line.expected / 3600 * usd_per_hour)


def execute(context: Context) -> dict[str, Result]:
    """Run the flow and return the results of its gates by name.

    Raises:
        FindingsError: `check` found errors.
        TrainingError, Stopped, Paused: from the training; what is finished is kept.
    """
    with session(context) as context:
        _declare(context)
        if context.study.budget != Budget():
            plan(context)  # it says what it foresees
        walk = _Walk(context)
        try:
            walk.through()
        except BaseException as error:
            walk.record(ended=str(error).splitlines()[0] if str(error) else type(error).__name__)
            raise
        walk.record(ended="")
        return walk.gates


def exit_code(gates: dict[str, Result]) -> int:
    """Return the exit code of a run: that of the last gate that was decided.

    >>> exit_code({"good_enough": {"word": "FAIL"}, "lift": {"word": "PASS"}})
    0
    """
    return EXIT_CODES[list(gates.values())[-1]["word"]] if gates else 0


class _Walk:
    """One walk through the flow."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cache = Cache(context.ledger)
        self._done: dict[str, Result] = {}
        self._skipped: dict[str, str] = {}
        self._state = FlowState(context.study)
        self._foreseen = False
        self.gates: dict[str, Result] = {}

    def through(self) -> None:
        """Do what the flow says and what is not cached.

        Raises:
            Stopped: a decision point stopped an arm, and nothing that follows asks about it.
        """
        flow = self._context.study.flow
        for place, word in enumerate(flow):
            reason = self._state.why_not(word)
            if reason:
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
                if step.kind == "gate":
                    self.gates[step.name] = result

    def _steps(self, word: FlowStep) -> list[Step]:
        steps = steps_of(self._context, word)
        parts = (part for step in steps for part in _with_needs(step))
        if any(part.kind == "train" for part in parts) and unsettled(self._context):
            settle(self._context)
            steps = steps_of(self._context, word)
        return steps

    def record(self, *, ended: str) -> None:
        """Say in the ledger which steps belong to this walk; a walk that repeats the last one says nothing new."""
        body = {
            "study": self._context.study.content_hash(),
            "steps": sorted(self._done),
            "skipped": self._skipped,
            "ended": ended,
            "spent": spent(self._context.workspace.folder, self._context.ledger)._asdict(),
        }
        before = self._context.ledger.entries("flow")
        if not before or before[-1].body != body:
            self._context.ledger.append("flow", body)

    def _do(self, step: Step) -> Result:
        if step.key in self._done:
            return self._done[step.key]
        results = tuple(self._do(need) for need in step.needs)
        notify, found = self._context.notify, self._cache.find(step)
        if found is not None:
            notify(Notice("cached", step.name, {"why": self._cache.why(step)}))
        else:
            if reason := self._context.stop_reason():
                raise Stopped(reason, where=f"before {step.name}", hint="the same command goes on from here")
            if step.kind == "train":
                self._demand_what_follows()
            why = _why(self._context, self._cache, step)
            notify(Notice("started", step.name, {"why": why, "kind": step.kind}))
            begun = time.monotonic()
            found = step.work(results)
            seconds = time.monotonic() - begun
            found = self._cache.store(step, found, seconds)
            notify(Notice("done", step.name, {"seconds": seconds, "kind": step.kind, "result": found}))
        self._done[step.key] = found
        return found

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
        demand_recipes(study)
        for word in study.flow:
            steps_of(self._context, word)
            for stage in (stage for arm in trained_by(study, word) for stage in arm.stages):
                demand_task(study, stage)
                if stage.mix:
                    datasets.training_tree(stage)


def _why(context: Context, cache: Cache, step: Step) -> str:
    """Say why a step is cached or has to run; of a training that somebody stopped, from where it goes on."""
    begun = step.kind == "train" and cache.find(step) is None
    return (goes_on_after(context.workspace.folder, step.key) if begun else "") or cache.why(step)


def _label(word: FlowStep) -> str:
    """Several words of a flow may be `train`."""
    return f"{word.name} {', '.join(word.arms)}" if word.arms else word.name


def _with_needs(step: Step) -> Iterator[Step]:
    for need in step.needs:
        yield from _with_needs(need)
    yield step


def _demand(context: Context) -> None:
    """Refuse what cannot be done, before anything is."""
    study = context.study
    demand(study.log, [spec.name for spec in study.datasets if spec.confidential], study.source)
    context.datasets.demand_splits()


def _declare(context: Context) -> None:
    """Put the question, its gates and its data into the ledger before any number exists."""
    study, ledger = context.study, context.ledger
    _demand(context)
    if study.content_hash() not in {entry.body["hash"] for entry in ledger.entries("study")}:
        ledger.append("study", {"hash": study.content_hash(), "name": study.name, "question": study.question})
    for gate in study.gates:
        record_gate(ledger, gate.name, gate.content_hash(), asdict(gate))
    known = {(entry.body["dataset"], entry.body["fingerprint"]) for entry in ledger.entries("data")}
    for spec in study.datasets:
        split, fingerprint = context.datasets.freeze(spec.name), context.datasets.fingerprint(spec.name)
        if (spec.name, fingerprint) not in known:
            splits = context.datasets.describe(spec.name)
            frozen = {} if split is None else {"split": split}
            ledger.append("data", {"dataset": spec.name, "fingerprint": fingerprint, "splits": splits, **frozen})
