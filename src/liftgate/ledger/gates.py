"""Gates in the ledger: recorded before they are evaluated; a changed gate is a new entry, and both stay on record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from liftgate.ledger.chain import Ledger
from liftgate.ledger.entry import Entry
from liftgate.ledger.records import Body, GateEntry, VerdictEntry


@dataclass(frozen=True, slots=True)
class GateRegistration:
    """Versions of a gate in the ledger at the time when it was recorded."""

    name: str
    gate_hash: str
    changed: bool
    """Another version of the gate was recorded before."""
    judged_before: tuple[str, ...]
    """Hashes of earlier versions that already had a verdict: the gate was changed after its result was known."""
    recorded: bool
    """Whether a new entry was written; False: the newest version is this one."""

    @property
    def caveat(self) -> str | None:
        """Caveat for the verdict, if the gate was changed after its result was known; else None."""
        if not self.judged_before:
            return None
        times = "once" if len(self.judged_before) == 1 else f"{len(self.judged_before)} times"
        return f"the gate `{self.name}` was changed after its verdict was known ({times}); the ledger has each version"


def record_gate(ledger: Ledger, name: str, gate_hash: str, body: Body) -> GateRegistration:
    """Record a gate before it is evaluated, unless its newest recorded version is this one.

    Args:
        ledger: the study's ledger.
        name: the gate's name in the study.
        gate_hash: `Gate.content_hash()`.
        body: the gate's keys and values, as plain JSON.
    """
    earlier: list[str] = []

    def decide(gates: Sequence[Entry]) -> Body | None:
        known = [entry.parse(GateEntry) for entry in gates]
        earlier.extend(gate.gate_hash for gate in known if gate.gate == name)
        if earlier and earlier[-1] == gate_hash:
            return None
        return GateEntry(name, gate_hash, earlier[-1] if earlier else None, dict(body)).to_body()

    entry = ledger.append_if(GateEntry.KIND, decide)
    others = [known for known in dict.fromkeys(earlier) if known != gate_hash]
    judged = {verdict.gate_hash for verdict in ledger.records(VerdictEntry) if verdict.gate == name}
    return GateRegistration(
        name=name,
        gate_hash=gate_hash,
        changed=bool(others),
        judged_before=tuple(known for known in others if known in judged),
        recorded=entry is not None,
    )
