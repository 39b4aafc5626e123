"""Flow plan: the steps of a study's flow, what is cached and why, and what would run; nothing is run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from liftgate.errors import UsageError
from liftgate.pipeline.budget import foreseen_excess
from liftgate.pipeline.context import Context
from liftgate.pipeline.engine import require_allowed
from liftgate.pipeline.flow_state import FlowState, Winner, exported_arms
from liftgate.pipeline.notice import warning
from liftgate.pipeline.parts import arm_of_parts
from liftgate.pipeline.planning.estimate import Times
from liftgate.pipeline.planning.recipes import missing_trainer
from liftgate.pipeline.spending import resume_point
from liftgate.pipeline.step import Cache, Step
from liftgate.study.records import Arm, FlowStep, Gate, Study
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
    require_runnable(context)
    cache, times, flow = Cache(context.ledger), Times(context.ledger), FlowState(study)
    lines: list[Planned] = []
    seen: set[str] = set()
    for flow_step in study.flow:
        if reason := flow.why_not(flow_step):
            undecided = flow.is_open(flow_step)
            lines.append(Planned(label(flow_step), "flow", "undecided" if undecided else "skipped", reason, None))
            flow.skip(flow_step, reason, for_good=not undecided)
            continue
        flow.enter(flow_step)
        steps = (step for step in steps_of(context, flow_step, flow) if not flow.stopped(step))
        for part in (part for step in steps for part in with_needs(step)):
            if part.key in seen:
                continue
            seen.add(part.key)
            result = cache.find(part)
            state: State = "run" if result is None else "cached"
            known = (part.name, part.KIND, state, why(context, cache, part), cache.seconds(part))
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


def steps_of(context: Context, flow_step: FlowStep, state: FlowState | None = None) -> Sequence[Step[Any]]:
    """Return the steps that one step of the flow consists of, in order; none for `report`.

    A gate about the winner of several arms is about the one that `state` knows; without a state, about each of them.
    """
    # Imported here: each kind of step imports the packages that do its work, which the types of a plan do not need.
    from liftgate.pipeline.steps.checking import CheckStep
    from liftgate.pipeline.steps.exporting import ExportStep
    from liftgate.pipeline.steps.measuring import EvaluateStep, gate_step
    from liftgate.pipeline.steps.mistakes import MistakesStep
    from liftgate.pipeline.steps.predicting import all_settings
    from liftgate.pipeline.steps.probing import probe_steps
    from liftgate.pipeline.steps.retention import VerdictContext
    from liftgate.pipeline.steps.training import train_steps
    from liftgate.pipeline.steps.worth import WorthStep

    study = context.study
    if flow_step.name == "check":
        return [CheckStep(context)]
    if flow_step.name == "probe":
        return probe_steps(context)
    if flow_step.name == "mistakes":
        return [MistakesStep(context, flow_step)]
    if flow_step.name == "worth":
        return [WorthStep(context, flow_step)]
    if flow_step.name == "train":
        arms = arms_trained_by(study, flow_step)
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


def arms_trained_by(study: Study, flow_step: FlowStep) -> list[Arm]:
    """Return the arms whose recipes a step of the flow trains by; none for steps that train nothing."""
    if flow_step.name in ("mistakes", "worth"):
        return [arm_of_parts(study, flow_step)]
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
    used = context.runs.spent()
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


def why(context: Context, cache: Cache, step: Step[Any]) -> str:
    """Return why a step is cached or has to run; for an unfinished training, after which epoch it resumes."""
    begun = step.KIND == "train" and cache.find(step) is None
    return (resume_point(context.runs.unfinished(step.key)) if begun else "") or cache.why(step)


def label(flow_step: FlowStep) -> str:
    """Return the name of a step of the flow, with its arms, as several may be `train`."""
    return f"{flow_step.name} {', '.join(flow_step.arms)}" if flow_step.arms else flow_step.name


def with_needs(step: Step[Any]) -> Iterator[Step[Any]]:
    """Yield a step after all that it needs."""
    for need in step.needs:
        yield from with_needs(need)
    yield step


def require_runnable(context: Context) -> None:
    """Refuse a study that cannot be run, before anything is run."""
    # few studies part their data
    from liftgate.pipeline.folds import require_folds
    from liftgate.pipeline.shares import require_shares

    study = context.study
    require_allowed(study)
    demand(study.log, [spec.name for spec in study.datasets if spec.confidential], study.source)
    context.datasets.require_gate_splits()
    require_folds(study, context.datasets)
    require_shares(study, context.datasets)
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
