"""What a study's ledger says about certain weights: which verdict rests on them, and whether it allows a promotion."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from liftgate.errors import LedgerError
from liftgate.hashing import short
from liftgate.ledger.chain import Ledger
from liftgate.ledger.entry import Entry
from liftgate.ledger.last_run import LastRun, StepInputs, read_runs
from liftgate.ledger.model_records import VersionVerdict
from liftgate.ledger.records import CONTAMINATED, GateEntry, LedgerRecord, StepEntry, StudyEntry, VerdictEntry
from liftgate.ledger.results import ExportResult, GateResult, PredictResult, TrainResult

RERUN_HINT = "`liftgate run STUDY` decides its gates again"


@dataclass(frozen=True, slots=True)
class _GateSubject(LedgerRecord):
    """The parts of a recorded gate that say what it is about."""

    on: str
    treatment: str | None = None
    arm: str | None = None
    formats: tuple[str, ...] = ()
    """Not empty: it is about exports of the arm"""

    @property
    def name(self) -> str:
        """The arm that the gate's verdict is about."""
        return self.treatment or self.arm or ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The newest answer of a study in whose run certain weights were measured."""

    verdict: VersionVerdict
    rests_on_weights: bool
    """Whether the gate measured these weights as its subject"""
    about_exports: bool = False
    """Whether the gate compares exports with these weights: it does not say whether these are good"""
    exports: str = ""
    """Word and gate of exports of these weights that were not shown to be equal to them; empty: there are none"""
    late: bool = False
    """Whether the gate was written when a verdict of its name was known already"""

    @property
    def refusal(self) -> str:
        """Why it does not allow a promotion; empty: it does."""
        verdict = self.verdict
        if verdict.word != "PASS":
            return f"the study's answer is {verdict.word}, by the gate {verdict.gate}"
        if verdict.about != verdict.arm:
            return f"the study's answer is about {verdict.about}, and these weights are of {verdict.arm}"
        if self.about_exports:
            return f"the gate {verdict.gate} shows that exports equal these weights, not that the weights are good"
        if not self.rests_on_weights:
            return f"the verdict of {verdict.gate} rests on other weights of {verdict.arm}, such as another seed's"
        if self.exports:
            return f"exports of these weights are {self.exports}"
        if not verdict.complete:
            return "the study's last run with these weights ended before its end, so its answer may be another"
        if self.late:
            return f"the gate {verdict.gate} was changed after its verdict was known"
        if any(caveat.startswith(CONTAMINATED) for caveat in verdict.caveats):
            return "the verdict is contaminated: its locked split was opened more often than declared"
        return ""


def judgement_on(ledger: Ledger, weights: str, registry: Path) -> Judgement | None:
    """Return the newest answer of a study in whose run certain weights were measured; None: there is none.

    The ledger's chain is checked as it is read. The way from the verdict to the weights is followed in it: verdict →
    gate → predictions → SHA-256 of the weights that they were made with.

    Args:
        ledger: the study's.
        weights: SHA-256 of the weights file.
        registry: folder that the ledger's path is recorded relative to.

    Raises:
        LedgerError: the ledger was changed, or its entries contradict each other.
    """
    for run in reversed(read_runs(ledger)):
        if run.flow is None or run.flow.answer is None or run.flow.answered_by is None:
            continue
        measured = [(step, result) for step, result in _predictions(run) if weights in _weights_of(run, step, result)]
        if not measured:
            continue
        gate = run.gate(run.flow.answered_by)
        if gate is None:
            raise LedgerError(f"the gate {run.flow.answered_by} answers, and has no step", where=ledger.path)
        return _judgement(ledger, run, gate, weights, registry)
    return None


def _judgement(ledger: Ledger, run: LastRun, gate: StepEntry, weights: str, registry: Path) -> Judgement:
    assert run.flow is not None
    result = GateResult.from_body(gate.result)
    _require_recorded(ledger, result)
    if result.word != run.flow.answer:
        what = f"the run's answer is {run.flow.answer}, and the gate that decides it says {result.word}"
        raise LedgerError(what, where=ledger.path)
    gate_entry = _gate_entry(ledger, result)
    subject = _GateSubject.from_body(gate_entry.parse(GateEntry).body)
    rests = run.all_needs(gate)
    used = [one for step, one in _predictions(run) if step in rests and weights in _weights_of(run, step, one)]
    own = [one for one in used if one.arm == subject.name and one.on == subject.on]
    anywhere = [one for step, one in _predictions(run) if weights in _weights_of(run, step, one)]
    of = (own or used or anywhere)[0]
    names = {entry.hash: entry.name for entry in ledger.records(StudyEntry)}
    verdict = VersionVerdict(
        study=names.get(run.flow.study, ""),
        study_hash=run.flow.study,
        gate=result.gate,
        gate_hash=result.gate_hash,
        word=result.word,
        sentence=result.sentence,
        caveats=result.caveats,
        arm=of.arm,
        about=subject.name,
        seed=of.seed,
        ledger=os.path.relpath(ledger.path.absolute(), registry.absolute()),
        head=ledger.head,
        complete=not run.flow.ended,
    )
    exports = _unequal_exports(run, weights)
    return Judgement(verdict, bool(own), bool(subject.formats), exports, _is_late(ledger, gate_entry))


def _unequal_exports(run: LastRun, weights: str) -> str:
    """Return word and name of a gate about exports of the weights that is no PASS; empty: there is none."""
    for step in run.of_kind("gate"):
        made = [ExportResult.from_body(need.result) for need in run.needs(step) if need.kind == "export"]
        result = GateResult.from_body(step.result)
        if result.word != "PASS" and any(one.weights_sha256 == weights for one in made):
            return f"{result.word}, by the gate {result.gate}"
    return ""


def _predictions(run: LastRun) -> Iterator[tuple[StepEntry, PredictResult]]:
    for step in run.of_kind("predict"):
        yield step, PredictResult.from_body(step.result)


def _weights_of(run: LastRun, step: StepEntry, result: PredictResult) -> set[str]:
    """Return the SHA-256 of the weights that predictions were made with."""
    trained = [need for need in run.needs(step) if need.kind == "train"]
    if not trained:
        given = StepInputs.from_body(step.inputs).weights
        return set() if given is None else {given}
    made_from = {name: content for name, content in step.made_from.items() if name in {one.name for one in trained}}
    return set(made_from.values()) or {TrainResult.from_body(one.result).sha256 for one in trained}


def _require_recorded(ledger: Ledger, result: GateResult) -> None:
    """Require that the verdict of a gate's step has its own entry, which `ledger show` and the report are about.

    Raises:
        LedgerError: there is none that says the same.
    """
    same = (result.gate, result.gate_hash, result.word, result.sentence)
    for entry in ledger.records(VerdictEntry):
        if (entry.gate, entry.gate_hash, entry.word, entry.sentence) == same:
            return
    raise LedgerError(f"no entry has the verdict of {result.gate} as its step has it", where=ledger.path)


def _gate_entry(ledger: Ledger, result: GateResult) -> Entry:
    for entry in reversed(ledger.entries(GateEntry.KIND)):
        gate = entry.parse(GateEntry)
        if gate.gate == result.gate and gate.gate_hash == result.gate_hash:
            return entry
    what = f"the verdict of {result.gate} names a gate that was never recorded: {short(result.gate_hash)}"
    raise LedgerError(what, where=ledger.path, hint=RERUN_HINT)


def _is_late(ledger: Ledger, gate_entry: Entry) -> bool:
    name = gate_entry.parse(GateEntry).gate
    verdicts = (entry for entry in ledger.entries(VerdictEntry.KIND) if entry.parse(VerdictEntry).gate == name)
    return any(entry.seq < gate_entry.seq for entry in verdicts)
