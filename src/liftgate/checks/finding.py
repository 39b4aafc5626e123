"""Finding: something wrong or suspicious, with a stable id, where, why it matters and a hint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `error` stops a run, so an error-level finding must be right."""

    id: str
    """`family.name`, stable: other programs rely on it"""
    severity: Severity
    where: str
    """file, file:line, dataset, arm and stage: the narrowest place that is true"""
    message: str
    """What is wrong there, with the figures."""
    hint: str
    """What a person can do about it."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Details for programs; plain JSON values."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; other programs rely on the names."""
        return {
            "id": self.id,
            "severity": self.severity,
            "where": self.where,
            "message": self.message,
            "hint": self.hint,
            "data": dict(self.data),
        }
