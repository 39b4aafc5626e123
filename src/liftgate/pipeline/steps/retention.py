"""Retention: how much a model forgot of earlier data, and other caveats from the trainings of a gate's arms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from liftgate.evaluation.metric_names import IMAGE_LEVEL
from liftgate.evaluation.records import Comparison, Verdict
from liftgate.evaluation.spec import ComparisonSpec
from liftgate.pipeline.context import Context
from liftgate.pipeline.step import Results, Step
from liftgate.pipeline.steps.predicting import PredictStep, prediction_settings
from liftgate.pipeline.steps.training import train_steps
from liftgate.study.records import Arm, Gate

_ORDER = ("PASS", "MARGINAL", "FAIL")


class RetentionCheck(NamedTuple):
    """Earlier data of an arm, and the model before it was trained on new data."""

    place: str
    """dataset.split"""
    before: Arm


def retention_checks(arm: Arm) -> Iterator[RetentionCheck]:
    """Yield the earlier data on which an arm may have become worse, each with the model to compare with.

    By default: val of every dataset that an earlier stage trained on and the last one does not, with the model at the
    end of that stage.

    >>> from liftgate.study.records import Stage
    >>> chain = Arm("two_stage", (Stage("big", weights="yolo.pt"), Stage("bench")))
    >>> [(one.place, len(one.before.stages)) for one in retention_checks(chain)]
    [('big.val', 1)]
    """
    if not arm.stages:
        return
    last = arm.stages[-1]
    start = max(number for number, stage in enumerate(arm.stages) if stage.weights is not None)
    learned = {stage.data: number for number, stage in enumerate(arm.stages[:-1]) if number >= start}
    places = arm.remember
    if places is None:
        places = tuple(f"{name}.val" for name in learned if name not in (*last.sources, last.data))
    for place in places:
        number = learned.get(place.rpartition(".")[0])
        if number is not None:
            yield RetentionCheck(place, Arm(f"{arm.name}-before", arm.stages[: number + 1]))
        elif not str(arm.stages[start].weights).endswith(
            (".yaml", ".yml")
        ):  # a model trained from scratch has nothing to forget
            yield RetentionCheck(place, Arm(f"{arm.name}-before", weights=arm.stages[start].weights))


class _BeforeAndAfter(NamedTuple):
    """One retention check with the predictions before and after, for every seed."""

    arm: Arm
    place: str
    before: tuple[PredictStep, ...]
    after: tuple[PredictStep, ...]


class VerdictContext:
    """Context of a gate's verdict: how the trainings of its arms ended, and what they forgot."""

    def __init__(self, context: Context, gate: Gate) -> None:
        self._context, self._gate = context, gate
        study = context.study
        arms = [study.arm(name) for name in dict.fromkeys(gate.arm_names)]
        self._trained = tuple(step for arm in arms for seed in study.seeds for step in train_steps(context, arm, seed))
        self._checks = [self._measured(arm, check) for arm in arms for check in retention_checks(arm)]
        self.needs: tuple[Step[Any], ...] = (
            *self._trained,
            *(step for one in self._checks for pair in zip(one.before, one.after, strict=True) for step in pair),
        )

    @property
    def places(self) -> tuple[str, ...]:
        """Return the old data, as dataset.split, that the arms may do worse on than before."""
        return tuple(check.place for check in self._checks)

    def annotate(self, verdict: Verdict, results: Results) -> Verdict:
        """Return the verdict with caveats and evidence added.

        Forgetting changes the verdict only where the gate limits it.
        """
        caveats = [
            f"{result.arm} seed {result.seed}: {decision.reason}"
            for result in map(results.of, self._trained)
            for decision in result.decisions
            if decision.said != "continue"
        ]
        verdict = replace(verdict, caveats=(*verdict.caveats, *dict.fromkeys(caveats)))
        for check in self._checks:
            verdict = self._with_retention(verdict, check, results)
        return verdict

    def _measured(self, arm: Arm, check: RetentionCheck) -> _BeforeAndAfter:
        """Before and after for every seed, with the settings of the gate."""
        gate, study = replace(self._gate, on=check.place), self._context.study
        settings = prediction_settings(study, self._gate, arm)
        before, after = (
            tuple(PredictStep(self._context, one, seed, gate, settings=settings) for seed in study.seeds)
            for one in (check.before, arm)
        )
        return _BeforeAndAfter(arm, check.place, before, after)

    def _with_retention(self, verdict: Verdict, check: _BeforeAndAfter, results: Results) -> Verdict:
        from liftgate.evaluation.alignment import known_truth  # a plan measures nothing
        from liftgate.evaluation.seeds import compare_seeds
        from liftgate.evaluation.verdict import as_gain, decide

        gate = self._gate
        usual = "OKS-mAP50" if self._context.study.task == "pose" else "mAP50"
        # Positive classes of the new data need not be classes of the earlier data.
        metric = usual if gate.metric is None or gate.metric in IMAGE_LEVEL else gate.metric
        spec = replace(ComparisonSpec.of_gate(gate), metric=metric, margin=0.0, claim="better")
        change = compare_seeds(
            self._context.datasets.truth(check.place),
            [step.predictions(results) for step in check.before],
            [step.predictions(results) for step in check.after],
            spec,
        )
        settings = [results.of(step).settings for step in (*check.before, *check.after)]
        notes = dict.fromkeys(str(one["classes_note"]) for one in settings if one.get("classes_note"))
        if left_out := known_truth(self._context.datasets.truth(check.place)).note:
            notes[left_out] = None
        sentence = _forgetting_sentence(check, change, list(notes))
        row = {"kind": "forgetting", "arm": check.arm.name, "on": check.place, **change.to_dict()}
        verdict = replace(verdict, evidence=(*verdict.evidence, row), caveats=(*verdict.caveats, sentence))
        if gate.forget_at_most is None:
            return verdict
        gain = as_gain(change.delta, change.metric)
        word = decide(gain, -gate.forget_at_most, gate.rule, published=gate.published is not None)
        if _ORDER.index(word) <= _ORDER.index(verdict.word):
            return verdict
        why = f"the gate says {verdict.word}, but it may forget at most {gate.forget_at_most:g}, and {sentence}"
        return replace(verdict, word=word, sentence=f"{word}: {why}.")


def _forgetting_sentence(check: _BeforeAndAfter, change: Comparison, notes: list[str]) -> str:
    delta, arm = change.delta, check.arm.name
    if change.control is None or change.treatment is None:
        return f"what {arm} forgot on {check.place} cannot be measured: {change.metric} is undefined there"
    interval = f" [{delta.low:+.4f}, {delta.high:+.4f}]" if delta.established else ", no interval can be established"
    text = (
        f"forgetting on {check.place}: {change.metric} {change.control:.4f} before and {change.treatment:.4f} after "
        f"{arm}, {delta.estimate:+.4f}{interval} ({delta.basis})"
    )
    return "; ".join([text, *notes])
