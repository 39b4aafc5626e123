"""Forgetting: what training on new data cost on the old, and whatever else of a training stands beside a verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from liftgate.evaluation.metrics import SCREENING
from liftgate.evaluation.records import Comparison, Verdict
from liftgate.evaluation.seeds import compare_seeds
from liftgate.evaluation.spec import ComparisonSpec
from liftgate.evaluation.verdict import decide, oriented
from liftgate.pipeline.context import Context
from liftgate.pipeline.step import Result, Step
from liftgate.pipeline.steps.predicting import predict_step, prediction_settings, read_predicted
from liftgate.pipeline.steps.training import train_steps
from liftgate.study.records import Arm, Gate

_ORDER = ("PASS", "MARGINAL", "FAIL")


class RetentionCheck(NamedTuple):
    """Old data of an arm, and the model that knew it."""

    place: str
    """dataset.split"""
    before: Arm


def memories(arm: Arm) -> Iterator[RetentionCheck]:
    """Yield what an arm may have forgotten.

    Unless the study says otherwise: val of every dataset that an earlier stage trained on and the last one does not,
    as the model was when that stage ended.

    >>> from liftgate.study.records import Stage
    >>> chain = Arm("two_stage", (Stage("big", weights="yolo.pt"), Stage("bench")))
    >>> [(one.place, len(one.before.stages)) for one in memories(chain)]
    [('big.val', 1)]
    """
    if not arm.stages:
        return
    last = arm.stages[-1]
    begin = max(number for number, stage in enumerate(arm.stages) if stage.weights is not None)
    learned = {stage.data: number for number, stage in enumerate(arm.stages[:-1]) if number >= begin}
    places = arm.remember
    if places is None:
        places = tuple(f"{name}.val" for name in learned if name not in (*last.sources, last.data))
    for place in places:
        number = learned.get(place.rpartition(".")[0])
        if number is not None:
            yield RetentionCheck(place, Arm(f"{arm.name}-before", arm.stages[: number + 1]))
        elif not str(arm.stages[begin].weights).endswith((".yaml", ".yml")):  # from scratch nothing was known
            yield RetentionCheck(place, Arm(f"{arm.name}-before", weights=arm.stages[begin].weights))


class VerdictContext:
    """What stands beside a gate's verdict: how its arms' trainings ended, and what they forgot."""

    def __init__(self, context: Context, gate: Gate) -> None:
        self._context, self._gate = context, gate
        study = context.study
        names = [name for name in (gate.arm, gate.treatment, gate.control) if name is not None]
        arms = [study.arm(name) for name in dict.fromkeys(names)]
        self._trained = tuple(step for arm in arms for seed in study.seeds for step in train_steps(context, arm, seed))
        self._memories = [(arm, memory) for arm in arms for memory in memories(arm)]
        self.needs: tuple[Step, ...] = (
            *self._trained,
            *(step for arm, memory in self._memories for step in self._predicted(arm, memory)),
        )

    def annotate(self, decided: Verdict, results: tuple[Result, ...]) -> Verdict:
        """Return the verdict with caveats and evidence added; forgetting changes its word only where the gate asks."""
        trained, rest = results[: len(self._trained)], results[len(self._trained) :]
        caveats = [
            f"{result['arm']} seed {result['seed']}: {one['reason']}"
            for result in trained
            for one in result.get("decisions", ())
            if one["said"] != "continue"
        ]
        decided = replace(decided, caveats=(*decided.caveats, *dict.fromkeys(caveats)))
        count = 2 * len(self._context.study.seeds)
        for number, (arm, memory) in enumerate(self._memories):
            part = rest[number * count : (number + 1) * count]
            decided = self._judged(decided, arm, memory, part)
        return decided

    def _predicted(self, arm: Arm, memory: RetentionCheck) -> Iterator[Step]:
        """Before and after for every seed, with the settings of the gate."""
        gate, study = replace(self._gate, on=memory.place), self._context.study
        settings = prediction_settings(study, self._gate, arm)
        for seed in study.seeds:
            yield predict_step(self._context, memory.before, seed, gate, settings=settings)
            yield predict_step(self._context, arm, seed, gate, settings=settings)

    def _judged(self, decided: Verdict, arm: Arm, memory: RetentionCheck, results: tuple[Result, ...]) -> Verdict:
        gate = self._gate
        loaded = [read_predicted(self._context, memory.place, result) for result in results]
        usual = "OKS-mAP50" if self._context.study.task == "pose" else "mAP50"
        # Threats of the new data need not be classes of the old.
        metric = usual if gate.metric is None or gate.metric in SCREENING else gate.metric
        spec = replace(ComparisonSpec.of_gate(gate), metric=metric, margin=0.0, claim="better")
        change = compare_seeds(self._context.datasets.truth(memory.place), loaded[0::2], loaded[1::2], spec)
        notes = dict.fromkeys(
            str(one["settings"]["classes_note"]) for one in results if one["settings"].get("classes_note")
        )
        said = _sentence(arm, memory, change, list(notes))
        row = {"kind": "forgetting", "arm": arm.name, "on": memory.place, **change.to_dict()}
        decided = replace(decided, evidence=(*decided.evidence, row), caveats=(*decided.caveats, said))
        if gate.forget_at_most is None:
            return decided
        word = decide(oriented(change.delta, change.metric), -gate.forget_at_most, gate.rule)
        if _ORDER.index(word) <= _ORDER.index(decided.word):
            return decided
        why = f"the gate says {decided.word}, but it may forget at most {gate.forget_at_most:g}, and {said}"
        return replace(decided, word=word, sentence=f"{word}: {why}.")


def _sentence(arm: Arm, memory: RetentionCheck, change: Comparison, notes: list[str]) -> str:
    delta = change.delta
    if change.control is None or change.treatment is None:
        return f"what {arm.name} forgot on {memory.place} cannot be measured: {change.metric} is undefined there"
    interval = f" [{delta.low:+.4f}, {delta.high:+.4f}]" if delta.established else ", no interval can be established"
    text = (
        f"forgetting on {memory.place}: {change.metric} {change.control:.4f} before and {change.treatment:.4f} after "
        f"{arm.name}, {delta.estimate:+.4f}{interval} ({delta.basis})"
    )
    return "; ".join([text, *notes])
