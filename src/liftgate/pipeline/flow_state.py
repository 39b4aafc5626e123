"""State of the flow: the verdicts of gates, how trainings ended, and what of the flow follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from liftgate.ledger.records import LedgerRecord
from liftgate.ledger.results import GateResult, TrainResult
from liftgate.pipeline.step import Step
from liftgate.study.records import FlowStep, Gate, Study

_ARM_WORDS = ("FINISHED", "CAREFUL", "STOPPED")


class FlowState:
    """Verdicts of gates and ends of trainings, as far as the flow has come."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self.words: dict[str, str] = {}
        """gate or arm → its word"""
        self._skipped: dict[str, str] = {}
        """gate or arm that was skipped → why"""
        self._undecided: dict[str, str] = {}
        """The same in a plan, while it may still be done"""
        self._trained: set[str] = set()
        self._stopped: dict[str, str] = {}
        """arm that was stopped → why"""

    def record(self, step: Step[Any], result: LedgerRecord) -> None:
        """Record a step that is done."""
        if isinstance(result, GateResult):
            self.words[step.name] = result.word
        elif isinstance(result, TrainResult) and step.arm is not None:
            before = self.words.get(step.arm, "FINISHED")
            self.words[step.arm] = max(before, result.word, key=_ARM_WORDS.index)
            if result.word == "STOPPED":
                self._stopped[step.arm] = result.decisions[-1].reason

    def why_not(self, word: FlowStep) -> str:
        """Return why a word of the flow is skipped; empty: it is done."""
        if reason := unmet(word, self.words):
            return reason
        gate = next((gate for gate in self._study.gates if gate.name == word.name), None)
        named = _named(word)
        for arm in trained_arms(self._study, gate) if gate else ():
            if self.words.get(arm) == "STOPPED" and arm not in named:
                return f"{arm} was stopped: {self._stopped[arm]}"
            if arm not in self._trained and (why := self._skipped.get(arm) or self._undecided.get(arm)):
                return f"{arm} was not trained: {why}"
        return ""

    def enter(self, word: FlowStep) -> None:
        """Record that a word of the flow is done."""
        self._trained |= set(self._names(word)) if word.name == "train" else set()

    def skip(self, word: FlowStep, reason: str, *, for_good: bool = True) -> None:
        """Record that a word of the flow was not done; `for_good=False`: in a plan, while it may still be done."""
        for name in self._names(word):
            (self._skipped if for_good else self._undecided)[name] = reason

    def is_open(self, word: FlowStep) -> bool:
        """Return whether what a word waits for may still be decided: in a plan, before anything ran."""
        waits = _named(word)
        gate = next((gate for gate in self._study.gates if gate.name == word.name), None)
        waits |= set(trained_arms(self._study, gate) if gate else ())
        trained = {arm.name for arm in self._study.arms if arm.stages}
        gates = {gate.name for gate in self._study.gates}
        return any(name in trained | gates and name not in self.words and name not in self._skipped for name in waits)

    def stopped(self, step: Step[Any]) -> bool:
        """Return whether a training belongs to an arm that was stopped: the rest of that arm is not trained."""
        return step.KIND == "train" and step.arm is not None and self.words.get(step.arm) == "STOPPED"

    def ends_the_study(self, step: Step[Any], result: LedgerRecord, rest: Sequence[FlowStep]) -> str:
        """Return the reason when a decision point stopped an arm and no word that follows depends on that arm."""
        if not isinstance(result, TrainResult) or result.word != "STOPPED":
            return ""
        last = result.decisions[-1]
        needed = any(step.arm in _named(word) for word in rest)
        return "" if needed or last.rule != "decision point" else f"{step.arm}: {last.reason}"

    def _names(self, word: FlowStep) -> Iterator[str]:
        if word.name == "train":
            yield from (arm.name for arm in self._study.arms if arm.stages and arm.name in (word.arms or (arm.name,)))
        else:
            yield word.name


def unmet(word: FlowStep, words: Mapping[str, str]) -> str:
    """Return why a word's condition does not hold, or an empty string when it does.

    Args:
        word: one word of the flow.
        words: gate or arm → the word that it has.

    >>> unmet(FlowStep("train", when={"good_enough": ("FAIL",)}), {"good_enough": "PASS"})
    'good_enough is PASS, not FAIL'
    """
    if word.any_of:
        reasons = [_unmet(condition, words) for condition in word.any_of]
        return "" if "" in reasons else "; ".join(reasons)
    return _unmet(word.when, words)


def trained_arms(study: Study, gate: Gate) -> list[str]:
    """Return the trained arms that a gate is about."""
    names = [name for name in (gate.arm, gate.control, gate.treatment) if name is not None]
    return [name for name in names if study.arm(name).stages]


def _named(word: FlowStep) -> set[str]:
    return {name for condition in (word.when, *word.any_of) for name in condition}


def _unmet(condition: Mapping[str, Sequence[str]], words: Mapping[str, str]) -> str:
    for name, wanted in condition.items():
        now = words.get(name, "undecided")
        if now not in wanted:
            return f"{name} is {now}, not {' or '.join(wanted)}"
    return ""
