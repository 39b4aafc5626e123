"""The measuring steps: predictions, evaluations, and the verdict of a gate."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from liftgate import checks
from liftgate.checks.arm_differences import arm_differences, undeclared
from liftgate.evaluation import verdict
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.records import Comparison, Evaluation, Verdict
from liftgate.evaluation.seeds import compare_seeds
from liftgate.evaluation.spec import DEFAULT_CONF, ComparisonSpec, EvaluationSpec
from liftgate.hashing import content_hash
from liftgate.ledger.gates import record_gate
from liftgate.ledger.lockbox import Lockbox, Opening
from liftgate.pipeline.context import Context, Notice
from liftgate.pipeline.step import Result, Step
from liftgate.pipeline.steps.predicting import predict_step, read_predicted
from liftgate.pipeline.steps.retention import VerdictContext
from liftgate.pipeline.steps.thresholds import screen_needs, screen_of
from liftgate.pipeline.steps.training import train_steps
from liftgate.progress import duration
from liftgate.stats.distributions import normal_quantile
from liftgate.stats.multiplicity import optimism
from liftgate.study.records import Arm, Gate

_ENVIRONMENT = ("device", "version", "torch", "cuda", "python", "numpy")
"""Facts of a training that should be the same for both arms; `version` is the backend's."""
_SHOWN_IMAGES = 40  # per evaluation, worst first: the ledger is no place for a hundred thousand rows


def evaluate_step(context: Context, arm: Arm, seed: int, gate: Gate) -> Step:
    """Return the step that evaluates an arm's predictions on the images of a gate."""
    predicted = predict_step(context, arm, seed, gate)
    conf = gate.conf if gate.conf is not None else DEFAULT_CONF

    def work(results: tuple[Result, ...]) -> Result:
        _open_lockbox(context, gate)
        measured = evaluate(
            context.datasets.truth(gate.on),
            read_predicted(context, gate.on, results[0]),
            EvaluationSpec.of_gate(gate, screen_of(context, gate, results[1:])),
        )
        record = {"arm": arm.name, "seed": seed, "on": gate.on, **_trimmed(measured)}
        context.ledger.append("evaluation", {"step": step.key, "metrics": record["metrics"], "arm": arm.name})
        return record

    inputs: dict[str, Any] = {"conf": conf, "level": gate.level}
    if gate.threats:
        inputs |= {"threats": list(gate.threats), "threshold": gate.threshold and asdict(gate.threshold)}
    needs = (predicted, *screen_needs(context, arm, seed, gate))
    step = Step(predicted.name.replace("predict", "evaluate", 1), "evaluate", inputs, work, needs)
    return step


def gate_step(context: Context, gate: Gate) -> Step:
    """Return the step that decides a gate."""
    return _comparison_step(context, gate) if gate.is_comparison else _claims_step(context, gate)


def _comparison_step(context: Context, gate: Gate) -> Step:
    pairs, beside = _Pairs(context, gate), VerdictContext(context, gate)

    def work(results: tuple[Result, ...]) -> Result:
        results, others = results[: len(pairs.needs)], results[len(pairs.needs) :]
        comparison = pairs.compare(results)
        decided = verdict.judge_comparison(
            gate, comparison, seeds=context.study.seeds, costs=pairs.costs(results) or None
        )
        decided = beside.annotate(decided, others)
        return {**_record(context, gate, decided), "comparison": comparison.to_dict()}

    return Step(gate.name, "gate", {"gate": gate.content_hash()}, work, (*pairs.needs, *beside.needs))


def _claims_step(context: Context, gate: Gate) -> Step:
    """One arm against fixed numbers; where it is also a treatment, it is credited only with treatment − control."""
    assert gate.arm is not None
    arm, seed = context.study.arm(gate.arm), context.study.seeds[0]
    measured = (predict_step(context, arm, seed, gate), evaluate_step(context, arm, seed, gate))
    rival = next((other for other in context.study.gates if other.treatment == gate.arm and other.on == gate.on), None)
    pairs, beside = None if rival is None else _Pairs(context, rival), VerdictContext(context, gate)
    needs = measured if pairs is None else (*measured, *pairs.needs)

    def work(results: tuple[Result, ...]) -> Result:
        results, others = results[: len(needs)], results[len(needs) :]
        evaluation = Evaluation.from_dict(results[1])
        decided = verdict.judge_claims(gate, evaluation, seeds=(seed,) if arm.stages else ())
        if rival is not None and pairs is not None:
            contribution = pairs.compare(results[len(measured) :])
            decided = verdict.attribute(decided, contribution, control=str(rival.control))
        return _record(context, gate, beside.annotate(decided, others))

    return Step(gate.name, "gate", {"gate": gate.content_hash()}, work, (*needs, *beside.needs))


class _Pairs:
    """Control and treatment of a gate for every seed: predicted, evaluated, and how they were trained."""

    def __init__(self, context: Context, gate: Gate) -> None:
        assert gate.control is not None and gate.treatment is not None
        self._context, self._gate = context, gate
        study = context.study
        arms = (study.arm(gate.control), study.arm(gate.treatment))
        pairs = [(arm, seed) for seed in study.seeds for arm in arms]
        self._predicted = len(pairs)
        self._trained = [arm.name for arm in arms for seed in study.seeds for _ in arm.stages]
        screens = [step for arm, seed in pairs for step in screen_needs(context, arm, seed, gate)]
        self._screens = len(screens)
        self.needs: tuple[Step, ...] = (
            *screens,
            *(predict_step(context, arm, seed, gate) for arm, seed in pairs),
            *(evaluate_step(context, arm, seed, gate) for arm, seed in pairs),
            *(step for arm in arms for seed in study.seeds for step in train_steps(context, arm, seed)),
        )

    def compare(self, results: tuple[Result, ...]) -> Comparison:
        """Return treatment − control over all seeds, with everything that differs beyond the declared difference."""
        gate = self._gate
        truth = self._context.datasets.truth(gate.on)
        chosen, results = results[: self._screens], results[self._screens :]
        each = [[result] for result in chosen] or [[]] * self._predicted
        screens = [screen for one in each if (screen := screen_of(self._context, gate, one)) is not None]
        loaded = [read_predicted(self._context, gate.on, result) for result in results[: self._predicted]]
        comparison = compare_seeds(
            truth,
            loaded[0::2],
            loaded[1::2],
            ComparisonSpec.of_gate(gate, tuple(screens)),
        )
        declared = tuple(name.removeprefix("recipe.") for name in gate.differ)
        differences = [text for text in comparison.differences if not text.startswith(tuple(f"{d}:" for d in declared))]
        beyond = (*differences, *self._undeclared(), *self._facts_that_differ(results))
        return replace(comparison, differences=tuple(dict.fromkeys(beyond)))

    def costs(self, results: tuple[Result, ...]) -> dict[str, str]:
        """Return how long each trained arm took, all stages and seeds together."""
        totals: dict[str, float] = {}
        for arm, result in zip(self._trained, results[self._screens + 2 * self._predicted :], strict=True):
            totals[arm] = totals.get(arm, 0.0) + result["facts"]["seconds"]
        return {arm: duration(seconds) for arm, seconds in totals.items()}

    def _undeclared(self) -> list[str]:
        """Name what the study itself sets differently in the arms without the gate declaring it."""
        study, gate = self._context.study, self._gate
        subject = checks.Subject(self._context.datasets.all(), study)
        differences = arm_differences(subject, study.arm(str(gate.control)), study.arm(str(gate.treatment)))
        return [str(one) for one in undeclared(gate, differences)]

    def _facts_that_differ(self, results: tuple[Result, ...]) -> list[str]:
        """Name what happened differently while the arms were trained: another device, version, a batch halved."""
        told: dict[str, dict[str, None]] = {}
        for arm, result in zip(self._trained, results[2 * self._predicted :], strict=True):
            facts = result["facts"]
            for name in _ENVIRONMENT:
                told.setdefault(name, {})[str(facts.get(name))] = None
            if facts.get("batch_halved"):
                told.setdefault(f"batch of {arm}, halved after running out of memory", {})["halved"] = None
        differing = {name: values for name, values in told.items() if len(values) > 1 or "halved" in values}
        return [name if "halved" in values else f"{name}: {' and '.join(values)}" for name, values in differing.items()]


def _record(context: Context, gate: Gate, decided: Verdict) -> Result:
    """Add what the ledger knows against the verdict, and write it down."""
    known = record_gate(context.ledger, gate.name, gate.content_hash(), asdict(gate))
    opening = _open_lockbox(context, gate)
    caveats = [*decided.caveats]
    if known.caveat is not None:
        caveats.append(known.caveat)
    if opening is not None and opening.contaminated:
        caveats.append(f"contaminated: {gate.on} was opened {opening.number} times, {opening.budget} were declared")
    if opening is not None and opening.number > 1:
        caveats.append(_reused(gate, opening, decided))
    record = replace(decided, caveats=tuple(caveats)).to_dict()
    context.ledger.append("verdict", record)
    context.notify(Notice("verdict", gate.name, record))
    return record


def _reused(gate: Gate, opening: Opening, decided: Verdict) -> str:
    """What looking again and again costs: the best of k looks flatters."""
    text = f"look number {opening.number} at {gate.on}"
    if opening.elsewhere:
        text += f", {len(opening.elsewhere)} of them by {', '.join(dict.fromkeys(opening.elsewhere))}"
    bounds = next((row["interval"] for row in decided.evidence if row.get("interval", [None])[0] is not None), None)
    if bounds is None:
        return f"{text}: the best of several looks flatters"
    error = (bounds[1] - bounds[0]) / (2 * normal_quantile(gate.level))
    much = optimism(opening.number, error)
    return f"{text}: the best of {opening.number} looks may flatter by up to {much:.3f} (95%)"


def _open_lockbox(context: Context, gate: Gate) -> Opening | None:
    """Record the look that a gate takes at a locked split; all arms and seeds of a gate are one look.

    Raises:
        Refused: the declared openings are spent.
    """
    name, _, split = gate.on.rpartition(".")
    lockbox = Lockbox.of_study(context.study, context.ledger)
    if not lockbox.locks(name, split):
        return None
    arms = [context.study.arm(arm) for arm in (gate.arm, gate.control, gate.treatment) if arm is not None]
    looks = [predict_step(context, arm, seed, gate).key for arm in arms for seed in context.study.seeds]
    truth = context.datasets.truth(gate.on).truth_hash()
    return lockbox.open(name, split, gate.name, content_hash(sorted(looks)), truth=truth, reason=context.open_anyway)


def _trimmed(evaluation: Evaluation) -> dict[str, Any]:
    """Keep the worst images, each group's worst before any group's second: neighbours in a video fail alike."""
    record = evaluation.to_dict()
    seen: dict[Any, int] = {}
    ranked = []
    for row in record["images"]:
        group = row["group"] if row["group"] is not None else row["id"]
        seen[group] = seen.get(group, 0) + 1
        ranked.append((seen[group], row))
    worst = sorted(ranked, key=lambda pair: pair[0])[:_SHOWN_IMAGES]  # stable: worst first among equals
    record["images"] = [row for _, row in worst]
    return record
