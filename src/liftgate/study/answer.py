"""Find the answer of a study: the verdict of the gate that it names, or of the gates of its last decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from liftgate.study.records import FlowStep, Study, VerdictWord

_WORST_FIRST: tuple[VerdictWord, ...] = ("FAIL", "MARGINAL", "PASS")


class Answer(NamedTuple):
    """The answer of a study."""

    word: VerdictWord
    gate: str
    """The gate that decides: the one that the study names, or the first with the worst word"""


def answer_of(study: Study, words: Mapping[str, str]) -> Answer | None:
    """Return the answer of a study; None: no such gate was decided.

    The last decision is that of the last decided gates of the flow with no other step between them. A gate that waits
    for the verdict of another begins a new decision. A gate about exports belongs to the decision before it: that a
    file is equal to its weights does not answer whether these are good.

    Args:
        study: the study.
        words: gate → its verdict, of the gates that were decided.

    >>> flow = tuple(map(FlowStep, ("baseline", "needed", "train", "kill", "over_v1", "export")))
    >>> study = Study("cones", "?", "detect", (), (), (), flow)
    >>> answer_of(study, {"needed": "PASS", "kill": "FAIL", "over_v1": "PASS"})
    Answer(word='FAIL', gate='kill')
    >>> answer_of(study, {"needed": "PASS"})
    Answer(word='PASS', gate='needed')
    """
    gates = _last_decision(study, words)
    if study.answer is not None:
        gates = (study.answer,) if study.answer in words else _decided_instead(study, words)
    decided = [(word, gate) for word in _WORST_FIRST for gate in gates if words.get(gate) == word]
    return Answer(*decided[0]) if decided else None


def _decided_instead(study: Study, words: Mapping[str, str]) -> tuple[str, ...]:
    """Return the gates whose verdicts make the answering gate superfluous; empty: none does.

    A study that trains only where the model is not good enough is answered by "it is" as well.
    """
    found: list[str] = []
    for step in study.flow:
        if step.name != study.answer:
            continue
        for condition in filter(None, (step.when, *step.any_of)):
            against = [name for name, allowed in condition.items() if name in words and words[name] not in allowed]
            if not against:
                return ()
            found += against
    return tuple(dict.fromkeys(found))


def _last_decision(study: Study, words: Mapping[str, str]) -> tuple[str, ...]:
    last: list[str] = []
    follows = False  # the step before was a gate of the same decision
    exports = {gate.name for gate in study.gates if gate.formats}
    for step in study.flow:
        if step.name not in words:
            follows = follows and any(gate.name == step.name for gate in study.gates)  # skipped gates do not count
            continue
        if step.name not in exports and (not follows or set(last) & _waits_for(step)):
            last = []
        last.append(step.name)
        follows = True
    return tuple(last)


def _waits_for(step: FlowStep) -> set[str]:
    return {name for condition in (step.when, *step.any_of) for name in condition}
