"""Gates in the ledger: written before the first number; one that changes is a new gate, and both stand there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from liftgate.ledger.chain import Entry, Ledger


@dataclass(frozen=True, slots=True)
class GateRegistration:
    """What the ledger knew of a gate when it was registered."""

    name: str
    gate_hash: str
    changed: bool
    """Another gate stood under this name before."""
    judged_before: tuple[str, ...]
    """Hashes of the earlier gates of this name that already had a verdict: changed after the numbers were seen."""
    recorded: bool
    """A new entry was written; False: this very gate stands there already."""

    @property
    def caveat(self) -> str | None:
        """A sentence for the verdict, if the gate was changed after its numbers had been seen."""
        if not self.judged_before:
            return None
        times = "once" if len(self.judged_before) == 1 else f"{len(self.judged_before)} times"
        return f"the gate `{self.name}` was changed after its verdict was known ({times}); the ledger has each version"


def record_gate(ledger: Ledger, name: str, gate_hash: str, body: Mapping[str, Any]) -> GateRegistration:
    """Write a gate down before it is evaluated, unless this very gate is the last one under its name.

    Args:
        ledger: where to.
        name: the gate's name in the study.
        gate_hash: `Gate.content_hash()`.
        body: the gate's words as plain JSON values.
    """
    earlier: list[str] = []

    def decide(gates: Sequence[Entry]) -> Mapping[str, Any] | None:
        earlier.extend(entry.body["gate_hash"] for entry in gates if entry.body["gate"] == name)
        if earlier and earlier[-1] == gate_hash:
            return None
        return {"gate": name, "gate_hash": gate_hash, "replaces": earlier[-1] if earlier else None, "body": dict(body)}

    entry = ledger.append_if("gate", decide)
    others = [known for known in dict.fromkeys(earlier) if known != gate_hash]
    judged = {
        verdict.body.get("gate_hash") for verdict in ledger.entries("verdict") if verdict.body.get("gate") == name
    }
    return GateRegistration(
        name=name,
        gate_hash=gate_hash,
        changed=bool(others),
        judged_before=tuple(known for known in others if known in judged),
        recorded=entry is not None,
    )
