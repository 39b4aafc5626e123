"""Decisions: what gates have said and how trainings ended, and what of the flow follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from liftgate.ledger import Ledger
from liftgate.pipeline.step import Result, Step
from liftgate.study.records import Arm, EarlyKill, Expectation, FlowStep, Gate, Stage, Study
from liftgate.training import stopping_rules
from liftgate.training.stopping_rules import StoppingDecision, StoppingPoint

DEFAULT_EPOCHS = 100
"""Epochs where the recipe is silent: Ultralytics' own default"""


class FlowState:
    """Verdicts of gates and ends of trainings, as far as the flow has come."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self.words: dict[str, str] = {}
        """gate or arm → its word"""
        self._silent: dict[str, str] = {}
        """gate or arm that was passed over → why"""
        self._waiting: dict[str, str] = {}
        """The same in a plan, while it may still be done"""
        self._trained: set[str] = set()
        self._reasons: dict[str, str] = {}
        """arm that was stopped → why"""

    def record(self, step: Step, result: Result) -> None:
        """Take note of a step that is done."""
        if step.kind == "gate":
            self.words[step.name] = result["word"]
        elif step.kind == "train" and step.arm is not None:
            word = result.get("word", "FINISHED")
            before = self.words.get(step.arm, "FINISHED")
            order = ("FINISHED", "CAREFUL", "STOPPED")
            self.words[step.arm] = max(before, word, key=order.index)
            if word == "STOPPED":
                self._reasons[step.arm] = result["decisions"][-1]["reason"]

    def why_not(self, word: FlowStep) -> str:
        """Return why a word of the flow is passed over; empty: it is done."""
        if reason := unmet(word, self.words):
            return reason
        gate = next((gate for gate in self._study.gates if gate.name == word.name), None)
        named = {name for condition in (word.when, *word.any_of) for name in condition}
        for arm in arms_of(self._study, gate) if gate else ():
            if self.words.get(arm) == "STOPPED" and arm not in named:
                return f"{arm} was stopped: {self._reasons[arm]}"
            if arm not in self._trained and (why := self._silent.get(arm) or self._waiting.get(arm)):
                return f"{arm} was not trained: {why}"
        return ""

    def enter(self, word: FlowStep) -> None:
        """Remember that a word of the flow is done."""
        self._trained |= set(self._names(word)) if word.name == "train" else set()

    def skip(self, word: FlowStep, reason: str, *, for_good: bool = True) -> None:
        """Remember that a word of the flow was not done."""
        for name in self._names(word):
            (self._silent if for_good else self._waiting)[name] = reason

    def open(self, word: FlowStep) -> bool:
        """Whether what a word waits for may still be said: in a plan, before anything ran."""
        waits = {name for condition in (word.when, *word.any_of) for name in condition}
        gate = next((gate for gate in self._study.gates if gate.name == word.name), None)
        waits |= set(arms_of(self._study, gate) if gate else ())
        trained = {arm.name for arm in self._study.arms if arm.stages}
        gates = {gate.name for gate in self._study.gates}
        return any(name in trained | gates and name not in self.words and name not in self._silent for name in waits)

    def stopped(self, step: Step) -> bool:
        """Whether a training belongs to an arm that was stopped: its further stages and seeds are not trained."""
        return step.kind == "train" and step.arm is not None and self.words.get(step.arm) == "STOPPED"

    def ends_the_study(self, step: Step, result: Result, rest: Sequence[FlowStep]) -> str:
        """Return the reason when a decision point stopped an arm and nothing that follows asks about it."""
        if step.kind != "train" or result.get("word") != "STOPPED":
            return ""
        last = result["decisions"][-1]
        asked = any(step.arm in condition for word in rest for condition in (word.when, *word.any_of))
        return "" if asked or last["rule"] != "decision point" else f"{step.arm}: {last['reason']}"

    def _names(self, word: FlowStep) -> Iterator[str]:
        if word.name == "train":
            yield from (arm.name for arm in self._study.arms if arm.stages and arm.name in (word.arms or (arm.name,)))
        else:
            yield word.name


def unmet(word: FlowStep, said: Mapping[str, str]) -> str:
    """Return why a word's condition does not hold, or an empty string when it does.

    >>> unmet(FlowStep("train", when={"good_enough": ("FAIL",)}), {"good_enough": "PASS"})
    'good_enough is PASS, not FAIL'
    """
    if word.any_of:
        reasons = [_unmet(condition, said) for condition in word.any_of]
        return "" if "" in reasons else "; ".join(reasons)
    return _unmet(word.when, said)


def _unmet(condition: Mapping[str, Sequence[str]], said: Mapping[str, str]) -> str:
    for name, words in condition.items():
        now = said.get(name, "undecided")
        if now not in words:
            return f"{name} is {now}, not {' or '.join(words)}"
    return ""


def arms_of(study: Study, gate: Gate) -> list[str]:
    """Return the trained arms that a gate is about."""
    names = [name for name in (gate.arm, gate.control, gate.treatment) if name is not None]
    return [name for name in names if study.arm(name).stages]


def points(study: Study, ledger: Ledger, arm: Arm, number: int, data: str) -> list[StoppingPoint]:
    """Return everything that may stop a stage: its decision points, and the median rule where the study asks for it."""
    stage = arm.stages[number - 1]
    found = stopping_rules.decision_points(stage.decide)
    if study.early_kill is not None:
        found += _median_points(study.early_kill, ledger, arm.name, stage, number, data)
    return found


def _median_points(
    rule: EarlyKill, ledger: Ledger, arm: str, stage: Stage, number: int, data: str
) -> list[StoppingPoint]:
    """The runs of other arms on the same data, at the same place of their chain, that were not stopped themselves."""
    curves: dict[tuple[str, int], list[float]] = {}
    for entry in ledger.entries("step"):
        body, result = entry.body, entry.body["result"]
        if body["kind"] != "train" or body["inputs"]["data"] != data or result["stage"] != number:
            continue
        if result["arm"] == arm or result.get("word") == "STOPPED":
            continue
        values = [epoch.get("metrics", {}).get(stage.watched) for epoch in result["curve"]]
        known = [float(value) for value in values if value is not None]
        if known:
            curves[result["arm"], result["seed"]] = known
    if len(curves) < rule.runs:
        return []
    epochs = int(stage.recipe.get("epochs", DEFAULT_EPOCHS))
    return stopping_rules.median_points(stage.watched, list(curves.values()), after=rule.after, epochs=epochs)


def word_of(judged: Sequence[StoppingDecision]) -> str:
    """Return how a training ended: FINISHED, CAREFUL or STOPPED."""
    said = {one.said for one in judged}
    return "STOPPED" if "stop" in said else "CAREFUL" if "careful" in said else "FINISHED"


def expected(stage: Stage, curve: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the expected trajectory against the actual one, one row per epoch that was named.

    >>> stage = Stage("bench", expect=(Expectation(1, 0.1, 0.2), Expectation(9, 0.3, 0.4)))
    >>> [row["said"] for row in expected(stage, [{"epoch": 1, "metrics": {"mAP50": 0.05}}])]
    ['below', 'not reached']
    """
    rows = []
    for one in stage.expect:
        epoch = next((epoch for epoch in curve if epoch["epoch"] == one.epoch), None)
        actual = None if epoch is None else epoch.get("metrics", {}).get(stage.watched)
        said = "not reached" if epoch is None else "unknown" if actual is None else _against(one, actual)
        row = {"epoch": one.epoch, "metric": stage.watched, "low": one.low, "high": one.high}
        rows.append(row | {"actual": actual, "said": said})
    return rows


def _against(one: Expectation, actual: float) -> str:
    return "below" if actual < one.low else "above" if actual > one.high else "as expected"
