"""Flow state: verdicts of gates, how trainings ended, and which steps of the flow are therefore skipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from liftgate.ledger.records import LedgerRecord
from liftgate.ledger.results import GateResult, TrainResult
from liftgate.ledger.worth_records import WorthEntry
from liftgate.pipeline.step import Step
from liftgate.study.records import FlowStep, Gate, Study
from liftgate.study.vocabulary import ARM_WORDS

_WORTH = "worth"


class Winner(NamedTuple):
    """The best of several arms, which a gate is then about."""

    arm: str
    why: str
    """With the figures of all of them"""


class FlowState:
    """Verdicts of gates and outcomes of trainings so far."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self.words: dict[str, str] = {}
        """Gate, arm or `worth` → its verdict, outcome or word (PASS, FINISHED, ENOUGH, …)"""
        self._skipped: dict[str, str] = {}
        """Skipped gate or arm → why"""
        self._undecided: dict[str, str] = {}
        """The same in a plan, where it may still be run"""
        self._trained: set[str] = set()
        self._stopped: dict[str, str] = {}
        """Stopped arm → why"""
        self._results: dict[str, dict[int, TrainResult]] = {}
        """Arm → seed → the result of its newest stage"""

    def record(self, step: Step[Any], result: LedgerRecord) -> None:
        """Record the result of a finished step."""
        if isinstance(result, GateResult):
            self.words[step.name] = result.word
        elif isinstance(result, WorthEntry):
            self.words |= {} if result.word is None else {_WORTH: result.word}
        elif isinstance(result, TrainResult) and step.arm is not None:
            before = self.words.get(step.arm, "FINISHED")
            self.words[step.arm] = max(before, result.word, key=ARM_WORDS.index)
            self._results.setdefault(step.arm, {})[result.seed] = result
            if result.word == "STOPPED":
                self._stopped[step.arm] = result.decisions[-1].reason

    def why_not(self, flow_step: FlowStep) -> str:
        """Return why a step of the flow is skipped; empty: it is run."""
        if reason := unmet(flow_step, self.words):
            return reason
        named = _names_in_conditions(flow_step)
        if (gate := _gate_about(self._study, flow_step)) is not None and gate.winner_of:
            return self._why_no_winner(gate)
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
        asked = {_WORTH for step in self._study.flow if step.worth is not None}
        return any(
            name in trained | gates | asked and name not in self.words and name not in self._skipped for name in names
        )

    def winner(self, gate: Gate) -> Winner:
        """Return which of a gate's arms won: the best on val of those that were trained, by the mean over seeds.

        Equal ones are decided for the arm that the gate names first.
        """
        metric = self._study.arm(gate.winner_of[0]).stages[-1].watched
        values = {name: self._on_val(name, metric) for name in gate.winner_of if self._in_the_race(name)}
        known = {name: value for name, value in values.items() if value is not None}
        best = max(known, key=lambda name: known[name]) if known else next(iter(values))
        others = [f"{name} {value:.4f}" for name, value in known.items() if name != best]
        others += [f"{name} was stopped" for name in gate.winner_of if self.words.get(name) == "STOPPED"]
        others += [f"{name} was not trained" for name in gate.winner_of if name not in self.words]
        value = f"{metric} {known[best]:.4f} on val at its best epoch" if known else f"{metric} was not reported"
        return Winner(best, f"{best} won: {value}" + (f"; {', '.join(others)}" if others else ""))

    def exported(self, flow_step: FlowStep) -> list[str]:
        """Return the arms that an export step exports, see `exported_arms`; of several candidates the winner."""
        gate = _gate_about(self._study, flow_step)
        return [self.winner(gate).arm] if gate and gate.winner_of else exported_arms(self._study, flow_step)

    def _why_no_winner(self, gate: Gate) -> str:
        """Return why a gate about a winner is not decided; empty: one of its arms won."""
        if waiting := [name for name in gate.winner_of if name in self._undecided and name not in self.words]:
            return f"{waiting[0]} was not trained: {self._undecided[waiting[0]]}"
        unready = [name for name in gate.winner_of if name in self._trained and name not in self.words]
        if unready:  # of a plan: the training is to come
            return f"{unready[0]} has no figures on val yet"
        if any(self._in_the_race(name) for name in gate.winner_of):
            return ""
        return f"none of {', '.join(gate.winner_of)} was trained to its end"

    def _in_the_race(self, name: str) -> bool:
        return self.words.get(name) in ("FINISHED", "CAREFUL")

    def _on_val(self, name: str, metric: str) -> float | None:
        values = [result.best_metric(metric) for result in self._results[name].values()]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known and len(known) == len(values) else None

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
    return [name for name in gate.arm_names if study.arm(name).stages]


def exported_arms(study: Study, flow_step: FlowStep) -> list[str]:
    """Return the arms that an export step of the flow exports.

    Those that it names; else the one that the study's answer, or the last gate before it, is about; else all that are
    trained.
    """
    if flow_step.arms is not None:
        return list(flow_step.arms)
    gate = _deciding_gate(study, flow_step)
    if gate is None:
        return [one.name for one in study.arms if one.stages]
    return list(gate.winner_of) or [str(gate.treatment or gate.arm)]


def _trained_arms_of(study: Study, flow_step: FlowStep) -> list[str]:
    """Return the trained arms that a gate or an export step of the flow is about."""
    if flow_step.name == "export":
        return [name for name in exported_arms(study, flow_step) if study.arm(name).stages]
    gate = _gate_of(study, flow_step)
    return trained_arms(study, gate) if gate else []


def _deciding_gate(study: Study, flow_step: FlowStep) -> Gate | None:
    """Return the study's answer, or the last gate before a step of the flow."""
    before = study.flow[: study.flow.index(flow_step)] if flow_step in study.flow else study.flow
    names = [step.name for step in before] if study.answer is None else [study.answer]
    gates = {gate.name: gate for gate in study.gates}
    found = [gates[name] for name in names if name in gates]
    return found[-1] if found else None


def _gate_about(study: Study, flow_step: FlowStep) -> Gate | None:
    """Return the gate that a step decides, or by which an export without `arms` chooses its arm."""
    if flow_step.name == "export":
        return None if flow_step.arms is not None else _deciding_gate(study, flow_step)
    return _gate_of(study, flow_step)


def _gate_of(study: Study, flow_step: FlowStep) -> Gate | None:
    return next((gate for gate in study.gates if gate.name == flow_step.name), None)


def _names_in_conditions(flow_step: FlowStep) -> set[str]:
    return {name for condition in (flow_step.when, *flow_step.any_of) for name in condition}


def _unmet(condition: Mapping[str, Sequence[str]], words: Mapping[str, str]) -> str:
    for name, wanted in condition.items():
        now = words.get(name, "undecided")
        if now not in wanted:
            return f"{name} is {now}, not {' or '.join(wanted)}"
    return ""
