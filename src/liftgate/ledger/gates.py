"""Gates in the ledger: written before the first number; a gate that changes is a new one, and both are on record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from liftgate.ledger.chain import Entry, Ledger
from liftgate.ledger.records import Body, GateEntry, VerdictEntry


@dataclass(frozen=True, slots=True)
class GateRegistration:
    """What the ledger held of a gate when it was registered."""

    name: str
    gate_hash: str
    changed: bool
    """Another gate had this name before."""
    judged_before: tuple[str, ...]
    """Hashes of the earlier gates of this name that already had a verdict: changed after the numbers were seen."""
    recorded: bool
    """A new entry was written; False: this very gate was the last one of its name."""

    @property
    def caveat(self) -> str | None:
        """A sentence for the verdict, if the gate was changed after its numbers had been seen."""
        if not self.judged_before:
            return None
        times = "once" if len(self.judged_before) == 1 else f"{len(self.judged_before)} times"
        return f"the gate `{self.name}` was changed after its verdict was known ({times}); the ledger has each version"


def record_gate(ledger: Ledger, name: str, gate_hash: str, body: Body) -> GateRegistration:
    """Write a gate down before it is evaluated, unless this very gate is the last one under its name.

    Args:
        ledger: the study's ledger.
        name: the gate's name in the study.
        gate_hash: `Gate.content_hash()`.
        body: the gate's keys as plain JSON values.
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
