"""Symptom: what a rule found in a trace, with evidence, causes and the next experiment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from liftgate.checks.finding import Finding, Severity


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing that went wrong in a run, with the evidence and the next step."""

    id: str
    severity: Severity
    message: str
    evidence: Mapping[str, object]
    """epochs and values that show it, as JSON values"""
    causes: tuple[str, ...]
    """possible causes, the most likely first, each with a cheap way to confirm it"""
    experiment: Mapping[str, object] = field(default_factory=dict)
    """changed recipe arguments of the next experiment; empty: no change of the recipe helps"""
    curve: str = ""
    """sparkline of the curve that shows it"""

    def finding(self, where: str) -> Finding:
        """Return it as a finding about the file `where`."""
        change = ", ".join(f"{name}={value}" for name, value in self.experiment.items())
        hint = self.causes[0] + (f"; next experiment: {change}" if change else "")
        data = {
            "evidence": dict(self.evidence),
            "causes": list(self.causes),
            "experiment": dict(self.experiment),
            "curve": self.curve,
        }
        return Finding(self.id, self.severity, where, self.message, hint, data)
