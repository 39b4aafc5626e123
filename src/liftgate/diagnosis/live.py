"""Diagnose a run while it trains, and emit a warning for each finding while there is time to stop."""

from __future__ import annotations

from pathlib import Path

from liftgate.backends.events import Emit, EpochReport, Event, WarningEvent
from liftgate.diagnosis import learning_rules, record_rules, schedule_rules
from liftgate.diagnosis.trace import read_trace
from liftgate.errors import DataError

_LIVE = (
    learning_rules.non_finite_loss,
    schedule_rules.warmup_short,
    learning_rules.diverged,
    learning_rules.never_learned,
    learning_rules.forgetting,
    schedule_rules.lr_ignored,
    record_rules.no_step,
)
"""Rules that do not depend on how the run ends"""


class LiveDiagnosis:
    """An event listener that passes events on and adds a warning for each new finding.

    Each finding is reported once for each head of the model.
    """

    def __init__(self, out: Path, on_event: Emit) -> None:
        """Watch `results.csv` in the results folder `out`."""
        self._curve = out / "results.csv"
        self._on_event = on_event
        self._reported = set[tuple[str, str]]()

    def __call__(self, event: Event) -> None:
        """Pass one event on; after an epoch, diagnose the curve."""
        self._on_event(event)
        if not isinstance(event, EpochReport) or self._is_behind(event):
            return
        try:
            trace = read_trace(self._curve)
        except DataError:
            return  # a backend that writes no Ultralytics results.csv
        if not len(trace):
            return
        for rule in _LIVE:
            for symptom in rule(trace):
                key = symptom.id, str(symptom.evidence.get("metric", ""))
                if key not in self._reported:
                    self._reported.add(key)
                    finding = symptom.finding(str(self._curve)).to_dict()
                    self._on_event(WarningEvent(message=symptom.message, finding=finding))

    def _is_behind(self, report: EpochReport) -> bool:
        """Return whether the curve has later epochs already, whose event will cover this one.

        Otherwise every epoch of a fast run would read the whole curve, and the events would pile up.
        """
        try:
            rows = self._curve.read_bytes().count(b"\n") - 1
        except OSError:
            return False
        return rows > report.epoch
