"""Measuring steps: evaluations, and the verdict of a gate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from liftgate.backends.events import Json
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.evaluation.image_level import ImageLevelThreshold
from liftgate.evaluation.records import Comparison, Evaluation, LabelErrors
from liftgate.evaluation.spec import DEFAULT_CONF, STATISTICS, ComparisonSpec, EvaluationSpec
from liftgate.files import write_json
from liftgate.hashing import content_hash, file_hash
from liftgate.ledger.records import EvaluationEntry
from liftgate.ledger.results import EvaluateResult, GateResult, MeasuredAt
from liftgate.pipeline.context import Context
from liftgate.pipeline.step import Results, Step
from liftgate.pipeline.steps.keypoints import pck_options, with_pck
from liftgate.pipeline.steps.measured_at import measured_at, with_settings
from liftgate.pipeline.steps.predicting import PredictStep, all_settings
from liftgate.pipeline.steps.slicing import groups_as_slices, named_slices
from liftgate.pipeline.steps.speed import speed_caveats, speed_step, with_speed
from liftgate.pipeline.steps.thresholds import image_threshold, require_unjudged_images, threshold_step
from liftgate.pipeline.steps.training import train_steps
from liftgate.pipeline.steps.verdicts import left_out, open_lockbox, record_verdict
from liftgate.progress import duration
from liftgate.study.records import Arm, Gate
from liftgate.study.vocabulary import LOWER_IS_BETTER, PCK

if TYPE_CHECKING:
    from liftgate.pipeline.steps.retention import VerdictContext

_ENVIRONMENT = ("device", "version", "torch", "cuda", "python", "numpy")
"""Facts of a training that should be the same for both arms; `version` is the backend's."""
_MAX_STORED_IMAGES = 40  # per evaluation, worst first: the ledger must stay small


class EvaluateStep(Step[EvaluateResult]):
    """Evaluates an arm's predictions on the images of a gate."""

    KIND = "evaluate"
    RESULT = EvaluateResult

    def __init__(self, context: Context, arm: Arm, seed: int, gate: Gate, settings: Json | None = None) -> None:
        """Plan the evaluation of one arm and seed.

        Args:
            context: the study.
            arm: the arm.
            seed: of its training.
            gate: the gate that asks for it.
            settings: of the predictions; None: those of the arm.
        """
        self._context, self._arm, self._seed, self._gate = context, arm, seed, gate
        self._predicted = PredictStep(context, arm, seed, gate, settings=settings)
        self._threshold = threshold_step(context, arm, seed, gate, settings)
        inputs: dict[str, Any] = {"conf": DEFAULT_CONF if gate.conf is None else gate.conf, "level": gate.level}
        if gate.threats:
            inputs |= {"threats": list(gate.threats), "threshold": gate.threshold and asdict(gate.threshold)}
        self._by = named_slices(context, gate)
        inputs |= {"statistics": STATISTICS} | ({} if self._by is None else {"by": content_hash(self._by)})
        if context.study.task == "pose":
            inputs["pck"] = PCK
        chosen_on = () if self._threshold is None or gate.threshold is None else (str(gate.threshold.on),)
        inputs |= left_out(context, (gate.on, *chosen_on))
        needs = (self._predicted,) if self._threshold is None else (self._predicted, self._threshold)
        super().__init__(self._predicted.name.replace("predict", "evaluate", 1) + _unusual(gate), inputs, needs)

    def work(self, results: Results) -> EvaluateResult:
        """Open the lockbox where the split is locked, and evaluate.

        Raises:
            Refused: the lockbox is spent.
        """
        from liftgate.evaluation.evaluate import evaluate  # a plan measures nothing

        gate, context = self._gate, self._context
        require_unjudged_images(context, gate)
        open_lockbox(context, gate)
        truth = context.datasets.truth(gate.on)
        slices = groups_as_slices(truth) if self._by is None else self._by
        spec = EvaluationSpec.of_gate(gate, image_threshold(context, gate, self._threshold, results))
        spec = replace(spec, slices=slices, pck=pck_options(context.study, truth))
        predictions = self._predicted.predictions(results)
        matcher = None
        if context.tasks is not None:
            from liftgate.pipeline.steps.matching import engine_matcher  # without an engine nothing is split

            matcher = engine_matcher(context, self, len(predictions))
        measured = with_pck(evaluate(truth, predictions, spec, matcher=matcher))
        # In full, with classes, slices, images and groups, so that the lockbox is not opened again for a table.
        name = f"{self._arm.name}-seed-{self._seed}-on-{gate.on}-{self.key[:12]}.json"
        sliced_by = None if slices is None else gate.by or "group"
        file = context.workspace.evaluations / name
        write_json(file, {**measured.to_dict(), "sliced_by": sliced_by})
        if self._by is None:  # groups are in the file only: the ledger must stay small
            measured = replace(measured, slices={})
        context.ledger.add(EvaluationEntry(self.key, measured.metrics, self._arm.name, file_hash(file)))
        return EvaluateResult(self._arm.name, self._seed, gate.on, _with_worst_images(measured))


def gate_step(context: Context, gate: Gate, verdict_context: VerdictContext, won: str = "") -> Step[GateResult]:
    """Return the step that decides a gate.

    Args:
        context: the study.
        gate: the gate.
        verdict_context: adds caveats from the arms' trainings to its verdict.
        won: why its arm is the winner of several; empty: the gate names the arm itself.
    """
    if gate.formats:
        from liftgate.pipeline.steps.export_gate import ExportGateStep  # few studies have one

        return ExportGateStep(context, gate, won)
    return (
        ComparisonStep(context, gate, verdict_context)
        if gate.is_comparison
        else ClaimsStep(context, gate, verdict_context, won)
    )


class ComparisonStep(Step[GateResult]):
    """Decides a gate that compares two arms."""

    KIND = "gate"
    RESULT = GateResult

    def __init__(self, context: Context, gate: Gate, verdict_context: VerdictContext) -> None:
        self._context, self._gate, self._verdict_context = context, gate, verdict_context
        self._arms = _ComparedArms(context, gate)
        inputs = _verdict_inputs(context, gate, verdict_context)
        super().__init__(gate.name, inputs, (*self._arms.needs, *self._verdict_context.needs))

    def work(self, results: Results) -> GateResult:
        """Compare the arms and write the verdict into the ledger."""
        from liftgate.evaluation import verdict

        comparison, measured = self._arms.compare(results), self._arms.settings(results)
        decided = verdict.judge_comparison(
            self._gate,
            comparison,
            seeds=self._context.study.seeds,
            costs=self._arms.durations(results) or None,
        )
        if self._gate.published is not None:  # the comparison itself does not know that a published rule is replayed
            reason = decided.sentence.removeprefix(f"{decided.word}: ")
            comparison = replace(comparison, verdict=decided.word, reason=reason)
        decided = with_settings(self._verdict_context.annotate(decided, results), measured)
        return record_verdict(self._context, self._gate, decided, comparison)


class ClaimsStep(Step[GateResult]):
    """Decides a gate of one arm against fixed numbers; as a treatment it is credited only with treatment − control."""

    KIND = "gate"
    RESULT = GateResult

    def __init__(self, context: Context, gate: Gate, verdict_context: VerdictContext, won: str = "") -> None:
        assert gate.arm is not None
        self._context, self._gate, self._verdict_context, self._won = context, gate, verdict_context, won
        self._arm, seed = context.study.arm(gate.arm), context.study.seeds[0]
        self._evaluated = EvaluateStep(context, self._arm, seed, gate)
        comparisons = (one for one in context.study.gates if (one.treatment, one.on) == (gate.arm, gate.on))
        self._contributions = [_ComparedArms(context, one) for one in comparisons]
        self._predicted = PredictStep(context, self._arm, seed, gate)
        self._speed = speed_step(context, self._arm, seed, gate, self._predicted)
        needs: tuple[Step[Any], ...] = (self._predicted, self._evaluated)
        needs += () if self._speed is None else (self._speed,)
        for contribution in self._contributions:
            needs += contribution.needs
        needs += self._verdict_context.needs
        chosen = {"won": won} if won else {}
        super().__init__(gate.name, {**_verdict_inputs(context, gate, verdict_context), **chosen}, needs)

    def work(self, results: Results) -> GateResult:
        """Judge the claims and write the verdict into the ledger."""
        from liftgate.evaluation import verdict

        evaluation = Evaluation.from_dict(results.of(self._evaluated).evaluation)
        speed = None if self._speed is None else results.of(self._speed)
        seeds = self._context.study.seeds[:1] if self._arm.stages else ()
        decided = verdict.judge_claims(self._gate, with_speed(evaluation, speed), seeds=seeds)
        caveats = (*((self._won,) if self._won else ()), *decided.caveats, *speed_caveats(speed))
        decided = replace(decided, caveats=caveats)
        for contribution in self._contributions:  # any of the controls may explain the result
            comparison = contribution.compare(results)
            decided = verdict.attribute(decided, comparison, control=str(contribution.gate.control))
        used = [measured_at(self._gate, results.of(self._predicted))]
        decided = with_settings(self._verdict_context.annotate(decided, results), used)
        return record_verdict(self._context, self._gate, decided)


class _MeasuredArm(NamedTuple):
    """One arm and seed of a comparison."""

    threshold: PredictStep | None
    predicted: PredictStep
    evaluated: EvaluateStep


def _compare(
    gate: Gate, truth: Dataset, controls: list[Predictions], treatments: list[Predictions], spec: ComparisonSpec
) -> Comparison:
    """Compare over all seeds, with the doubt about labels that the gate asks for."""
    if gate.label_errors is None:
        from liftgate.evaluation.seeds import compare_seeds

        return compare_seeds(truth, controls, treatments, spec)
    from liftgate.evaluation.label_errors import compare_seeds_with_errors  # few gates have it

    errors = LabelErrors(gate.label_errors, "as the gate says")
    return compare_seeds_with_errors(truth, controls, treatments, spec, errors)


class _ComparedArms:
    """Control and treatment of a gate for every seed: predicted, evaluated, and how they were trained."""

    def __init__(self, context: Context, gate: Gate) -> None:
        assert gate.control is not None and gate.treatment is not None
        self.gate = gate
        self._context = context
        arms = (context.study.arm(gate.control), context.study.arm(gate.treatment))
        self._controls, (self._treatment, *_) = (self._at_every_size(arm) for arm in arms)
        self._trained = [
            step for arm in arms for seed in context.study.seeds for step in train_steps(context, arm, seed)
        ]
        first, *others = self._controls
        measured = [one for pair in zip(first, self._treatment, strict=True) for one in pair]
        measured += [one for other in others for one in other]
        self.needs: tuple[Step[Any], ...] = (
            *(one.threshold for one in measured if one.threshold is not None),
            *(one.predicted for one in measured),
            *(one.evaluated for one in measured),
            *self._trained,
        )

    def compare(self, results: Results) -> Comparison:
        """Return treatment − control over all seeds, with everything that differs beyond the declared difference."""
        gate, controls = self.gate, self._better_control(results)
        comparison = _compare(
            gate,
            self._context.datasets.truth(gate.on),
            [one.predicted.predictions(results) for one in controls],
            [one.predicted.predictions(results) for one in self._treatment],
            replace(ComparisonSpec.of_gate(gate, self._thresholds(results)), slices=named_slices(self._context, gate)),
        )
        declared = tuple(f"{name.removeprefix('recipe.')}:" for name in gate.differ)
        if len(self._controls) > 1:  # measured at both sizes, so that the better one is the control
            declared = (*declared, "imgsz:")
        differences = [text for text in comparison.differences if not text.startswith(declared)]
        beyond = (*differences, *self._undeclared(), *self._facts_that_differ(results))
        return replace(comparison, differences=tuple(dict.fromkeys(beyond)))

    def durations(self, results: Results) -> dict[str, str]:
        """Return how long each trained arm took, all stages and seeds together."""
        found: dict[str, list[float]] = {}
        for step in self._trained:
            found.setdefault(str(step.arm), []).append(results.of(step).training_facts.seconds)
        # 0: the backend does not report it, and a sum of the others would be too little
        return {arm: duration(sum(each)) if all(each) else "not recorded" for arm, each in found.items()}

    def settings(self, results: Results) -> list[MeasuredAt]:
        """Return the settings of the predictions that were compared, the control first."""
        controls, gate = self._better_control(results), self.gate
        control, treatment = (measured_at(gate, results.of(some[0].predicted)) for some in (controls, self._treatment))
        if len(self._controls) > 1:
            sizes = {
                results.of(some[0].predicted).settings.get("imgsz"): _value(gate, some, results)
                for some in self._controls
            }
            control = replace(control, better_of=tuple((size, value) for size, value in sizes.items()))
        return [control, treatment]

    def _at_every_size(self, arm: Arm) -> list[list[_MeasuredArm]]:
        """Return for each size that an arm is measured at its steps for every seed."""
        return [
            [self._measured(arm, seed, settings) for seed in self._context.study.seeds]
            for settings in all_settings(self._context.study, self.gate, arm)
        ]

    def _measured(self, arm: Arm, seed: int, settings: Json) -> _MeasuredArm:
        context, gate = self._context, self.gate
        return _MeasuredArm(
            threshold_step(context, arm, seed, gate, settings),
            PredictStep(context, arm, seed, gate, settings=settings),
            EvaluateStep(context, arm, seed, gate, settings),
        )

    def _better_control(self, results: Results) -> list[_MeasuredArm]:
        """Return the control at the size at which it is better, by the gate's own metric: that is harder to beat."""
        worst = math.inf if self.gate.metric in LOWER_IS_BETTER else -math.inf
        values = [_value(self.gate, some, results) for some in self._controls]
        ranked = [worst if value is None else value for value in values]
        best = min(ranked) if self.gate.metric in LOWER_IS_BETTER else max(ranked)
        return self._controls[ranked.index(best)]

    def _thresholds(self, results: Results) -> tuple[ImageLevelThreshold, ...]:
        """Return the image-level thresholds, control and treatment in turn; empty: no image-level metric."""
        pairs = zip(self._better_control(results), self._treatment, strict=True)
        found = [image_threshold(self._context, self.gate, one.threshold, results) for pair in pairs for one in pair]
        return tuple(one for one in found if one is not None)

    def _undeclared(self) -> list[str]:
        """Name what the study itself sets differently in the arms without the gate declaring it."""
        from liftgate.checks.arm_differences import arm_differences, undeclared
        from liftgate.checks.subject import Subject

        study, gate = self._context.study, self.gate
        subject = Subject(self._context.datasets.all(), study)
        differences = arm_differences(subject, study.arm(str(gate.control)), study.arm(str(gate.treatment)))
        return [str(one) for one in undeclared(gate, differences)]

    def _facts_that_differ(self, results: Results) -> list[str]:
        """Name what happened differently while the arms were trained: another device, version, a batch halved."""
        values: dict[str, dict[str, None]] = {name: {} for name in _ENVIRONMENT}
        halved: dict[str, None] = {}
        for step in self._trained:
            facts = results.of(step).training_facts
            for name in _ENVIRONMENT:
                values[name][str(facts.get(name))] = None
            if facts.batch_halved:
                halved[f"batch of {step.arm}, halved after running out of memory"] = None
        return [*_differing(values), *halved]


def _value(gate: Gate, measured: Sequence[_MeasuredArm], results: Results) -> float | None:
    """Return the gate's metric of the first seed."""
    evaluation = Evaluation.from_dict(results.of(measured[0].evaluated).evaluation)
    return evaluation.metrics.get(str(gate.metric))


def _differing(values: dict[str, dict[str, None]]) -> Iterable[str]:
    return (f"{name}: {' and '.join(found)}" for name, found in values.items() if len(found) > 1)


def _unusual(gate: Gate) -> str:
    """Return how a gate measures otherwise than most: the names of two evaluations of one arm must differ."""
    rule = gate.threshold
    at = "" if rule is None else f" at {rule.at:g}" if rule.on is None else f" by {rule.by} {rule.target} on {rule.on}"
    parts = [
        f"confidence {gate.conf:g}" if gate.conf not in (None, DEFAULT_CONF) else "",
        f"level {gate.level:g}" if gate.level != 0.95 else "",
        f"threats {', '.join(gate.threats)}{at}" if gate.threats else "",
        f"slices {gate.by}" if gate.by is not None else "",
    ]
    return f" ({'; '.join(filter(None, parts))})" if any(parts) else ""


def _verdict_inputs(context: Context, gate: Gate, verdict_context: VerdictContext) -> dict[str, Any]:
    """Return what a verdict depends on beside the steps that it needs."""
    unread = left_out(context, verdict_context.places)
    return {"gate": gate.content_hash(), "statistics": STATISTICS, **unread}


def _with_worst_images(evaluation: Evaluation) -> dict[str, Any]:
    """Return the evaluation with only the worst images, first the worst of each group, then the second, and so on."""
    record = evaluation.to_dict()
    seen: dict[Any, int] = {}
    ranked = []
    for row in record["images"]:
        group = row["group"] if row["group"] is not None else row["id"]
        seen[group] = seen.get(group, 0) + 1
        ranked.append((seen[group], row))
    worst = sorted(ranked, key=lambda pair: pair[0])[:_MAX_STORED_IMAGES]  # stable: worst first among equals
    record["images"] = [row for _, row in worst]
    return record
