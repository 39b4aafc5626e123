"""Flow state: verdicts of gates, how trainings ended, and which steps of the flow are therefore skipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from liftgate.ledger.records import LedgerRecord
from liftgate.ledger.results import GateResult, TrainResult
from liftgate.pipeline.step import Step
from liftgate.study.records import FlowStep, Gate, Study

_ARM_WORDS = ("FINISHED", "CAREFUL", "STOPPED")


class FlowState:
    """Verdicts of gates and outcomes of trainings so far."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self.words: dict[str, str] = {}
        """Gate or arm → its verdict or outcome (PASS, FINISHED, …)"""
        self._skipped: dict[str, str] = {}
        """Skipped gate or arm → why"""
        self._undecided: dict[str, str] = {}
        """The same in a plan, where it may still be run"""
        self._trained: set[str] = set()
        self._stopped: dict[str, str] = {}
        """Stopped arm → why"""

    def record(self, step: Step[Any], result: LedgerRecord) -> None:
        """Record the result of a finished step."""
        if isinstance(result, GateResult):
            self.words[step.name] = result.word
        elif isinstance(result, TrainResult) and step.arm is not None:
            before = self.words.get(step.arm, "FINISHED")
            self.words[step.arm] = max(before, result.word, key=_ARM_WORDS.index)
            if result.word == "STOPPED":
                self._stopped[step.arm] = result.decisions[-1].reason

    def why_not(self, flow_step: FlowStep) -> str:
        """Return why a step of the flow is skipped; empty: it is run."""
        if reason := unmet(flow_step, self.words):
            return reason
        named = _names_in_conditions(flow_step)
        for arm in _trained_arms_of(self._study, flow_step):
            if self.words.get(arm) == "STOPPED" and arm not in named:
                return f"{arm} was stopped: {self._stopped[arm]}"
            if arm not in self._trained and (why := self._skipped.get(arm) or self._undecided.get(arm)):
                return f"{arm} was not trained: {why}"
        return ""

    def enter(self, flow_step: FlowStep) -> None:
        """Record that a step of the flow is run."""
        self._trained |= set(self._names(flow_step)) if flow_step.name == "train" else set()

    def skip(self, flow_step: FlowStep, reason: str, *, for_good: bool = True) -> None:
        """Record that a step of the flow is skipped; `for_good=False`: in a plan, where it may still be run."""
        for name in self._names(flow_step):
            (self._skipped if for_good else self._undecided)[name] = reason

    def is_open(self, flow_step: FlowStep) -> bool:
        """Return whether the conditions of a step of the flow may still be decided: in a plan, before anything ran."""
        names = _names_in_conditions(flow_step)
        names |= set(_trained_arms_of(self._study, flow_step))
        trained = {arm.name for arm in self._study.arms if arm.stages}
        gates = {gate.name for gate in self._study.gates}
        return any(name in trained | gates and name not in self.words and name not in self._skipped for name in names)

    def stopped(self, step: Step[Any]) -> bool:
        """Return whether a training belongs to an arm that was stopped: the rest of that arm is not trained."""
        return step.KIND == "train" and step.arm is not None and self.words.get(step.arm) == "STOPPED"

    def ends_the_study(self, step: Step[Any], result: LedgerRecord, rest: Sequence[FlowStep]) -> str:
        """Return why the study ends, when a decision point stopped an arm that no later step depends on; else empty."""
        if not isinstance(result, TrainResult) or result.word != "STOPPED":
            return ""
        last = result.decisions[-1]
        needed = any(step.arm in _names_in_conditions(flow_step) for flow_step in rest)
        return "" if needed or last.rule != "decision point" else f"{step.arm}: {last.reason}"

    def _names(self, flow_step: FlowStep) -> Iterator[str]:
        if flow_step.name == "train":
            yield from (
                arm.name for arm in self._study.arms if arm.stages and arm.name in (flow_step.arms or (arm.name,))
            )
        else:
            yield flow_step.name


def unmet(flow_step: FlowStep, words: Mapping[str, str]) -> str:
    """Return why the conditions of a step of the flow do not hold; empty: they do.

    Args:
        flow_step: one step of the flow.
        words: gate or arm → its verdict or outcome.

    >>> unmet(FlowStep("train", when={"good_enough": ("FAIL",)}), {"good_enough": "PASS"})
    'good_enough is PASS, not FAIL'
    """
    if flow_step.any_of:
        reasons = [_unmet(condition, words) for condition in flow_step.any_of]
        return "" if "" in reasons else "; ".join(reasons)
    return _unmet(flow_step.when, words)


def trained_arms(study: Study, gate: Gate) -> list[str]:
    """Return the arms of a gate that are trained."""
    names = [name for name in (gate.arm, gate.control, gate.treatment) if name is not None]
    return [name for name in names if study.arm(name).stages]


def exported_arms(study: Study, flow_step: FlowStep) -> list[str]:
    """Return the arms that an export step of the flow exports.

    Those that it names; else the one that the study's answer, or the last gate before it, is about; else all that are
    trained.
    """
    if flow_step.arms is not None:
        return list(flow_step.arms)
    before = study.flow[: study.flow.index(flow_step)] if flow_step in study.flow else study.flow
    names = [step.name for step in before] if study.answer is None else [study.answer]
    gates = {gate.name: gate for gate in study.gates}
    found = [gates[name] for name in names if name in gates]
    arm = (found[-1].treatment or found[-1].arm) if found else None
    return [one.name for one in study.arms if one.stages] if arm is None else [arm]


def _trained_arms_of(study: Study, flow_step: FlowStep) -> list[str]:
    """Return the trained arms that a gate or an export step of the flow is about."""
    if flow_step.name == "export":
        return [name for name in exported_arms(study, flow_step) if study.arm(name).stages]
    gate = next((gate for gate in study.gates if gate.name == flow_step.name), None)
    return trained_arms(study, gate) if gate else []


def _names_in_conditions(flow_step: FlowStep) -> set[str]:
    return {name for condition in (flow_step.when, *flow_step.any_of) for name in condition}


def _unmet(condition: Mapping[str, Sequence[str]], words: Mapping[str, str]) -> str:
    for name, wanted in condition.items():
        now = words.get(name, "undecided")
        if now not in wanted:
            return f"{name} is {now}, not {' or '.join(wanted)}"
    return ""
