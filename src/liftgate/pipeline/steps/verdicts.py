"""Verdicts in the ledger: recorded with their gate, and the locked split that they open."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, replace
from typing import Any

from liftgate.evaluation.records import Comparison, Verdict
from liftgate.hashing import content_hash
from liftgate.ledger.gates import record_gate
from liftgate.ledger.lockbox import Lockbox, Opening
from liftgate.ledger.records import CONTAMINATED, CheckEntry, FindingRow, VerdictEntry
from liftgate.ledger.results import GateResult
from liftgate.pipeline.context import Context
from liftgate.pipeline.notice import Notice
from liftgate.pipeline.steps.exporting import export_step
from liftgate.pipeline.steps.predicting import PredictStep, prediction_settings
from liftgate.stats.distributions import normal_quantile
from liftgate.stats.multiplicity import optimism
from liftgate.study.records import Gate


def left_out(context: Context, places: Collection[str]) -> dict[str, Any]:
    """Return a step input that distinguishes results from those of versions that counted unread images as empty."""
    counts = context.datasets.left_out(places)
    return {"left_out": counts} if counts else {}


def record_verdict(context: Context, gate: Gate, decided: Verdict, comparison: Comparison | None = None) -> GateResult:
    """Add caveats from the ledger to the verdict, and record it."""
    registration = record_gate(context.ledger, gate.name, gate.content_hash(), asdict(gate))
    opening = open_lockbox(context, gate)
    caveats = [*decided.caveats]
    if registration.caveat is not None:
        caveats.append(registration.caveat)
    if opening is not None and opening.contaminated:
        times = f"{opening.number} times, {opening.budget} were declared"
        within = "for a reason that the ledger has, where it would have been refused"
        caveats.append(f"{CONTAMINATED} {gate.on} was opened {times if opening.number > opening.budget else within}")
    if opening is not None and opening.number > 1:
        caveats.append(_reuse_caveat(gate, opening, decided))
    caveats += _leak_caveats(context, gate)
    record = replace(decided, caveats=tuple(caveats)).to_dict()
    context.ledger.append(VerdictEntry.KIND, record)
    context.notify(Notice("verdict", gate.name, record))
    return GateResult(**record, comparison=None if comparison is None else comparison.to_dict())


def _leak_caveats(context: Context, gate: Gate) -> list[str]:
    """Return the caveat for images that `check` found on both sides of a split; ignoring a finding does not mend it."""
    entries = [one for one in context.ledger.records(CheckEntry) if one.study == context.study.content_hash()]
    rows = (*entries[-1].findings, *entries[-1].ignored) if entries else ()
    leaks = [row.id for row in rows if row.severity != "info" and _leaks_into(row, gate.on)]
    return [f"training may know images of {gate.on}: {', '.join(dict.fromkeys(leaks))}"] if leaks else []


def _leaks_into(row: FindingRow, on: str) -> bool:
    if not row.id.startswith(("splits.leak", "splits.same")):
        return False
    dataset = on.rpartition(".")[0]
    return on in row.data.get("sides", (on,)) and row.data.get("dataset", dataset) == dataset


def _reuse_caveat(gate: Gate, opening: Opening, decided: Verdict) -> str:
    """Return the caveat for a split that was opened before: the best of several evaluations overstates."""
    text = f"opening number {opening.number} of {gate.on}"
    if opening.elsewhere:
        text += f", {len(opening.elsewhere)} of them by {', '.join(dict.fromkeys(opening.elsewhere))}"
    bounds = next((row["interval"] for row in decided.evidence if row.get("interval", [None])[0] is not None), None)
    if bounds is None:
        return f"{text}: the best of several openings overstates"
    error = (bounds[1] - bounds[0]) / (2 * normal_quantile(gate.level))
    much = optimism(opening.number, error)
    return f"{text}: the best of {opening.number} openings may overstate by up to {much:.3f} (95%)"


def open_lockbox(context: Context, gate: Gate) -> Opening | None:
    """Record that a gate opens a locked split; all arms and seeds of a gate are one opening.

    Raises:
        Refused: the declared openings are spent.
    """
    name, _, split = gate.on.rpartition(".")
    lockbox = Lockbox.of_study(context.study, context.ledger)
    if not lockbox.locks(name, split):
        return None
    opened = [export_step(context, gate).key] if gate.formats else _predictions(context, gate)
    truth = context.datasets.truth(gate.on).truth_hash()
    return lockbox.open(name, split, gate.name, content_hash(sorted(opened)), truth=truth, reason=context.open_anyway)


def _predictions(context: Context, gate: Gate) -> list[str]:
    """Return the keys of the predictions that a gate judges."""
    arms = [context.study.arm(arm) for arm in gate.arm_names]
    # By one size each: an untrained control at a second one is the same question, and no further opening.
    usual = {arm.name: prediction_settings(context.study, gate, arm) for arm in arms}
    return [
        PredictStep(context, arm, seed, gate, settings=usual[arm.name]).key
        for arm in arms
        for seed in context.study.seeds
    ]
