"""Diagnosis of a run while it trains: what is certain already becomes a warning while there is time to stop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from liftgate.backends.base import Event
from liftgate.diagnosis import learning_rules, record_rules, schedule_rules
from liftgate.diagnosis.trace import read_trace
from liftgate.errors import DataError

_LIVE = (
    learning_rules.not_a_number,
    schedule_rules.warmup_short,
    learning_rules.diverged,
    learning_rules.never_learned,
    learning_rules.forgetting,
    schedule_rules.lr_ignored,
    record_rules.no_step,
)
"""Rules that need no end: whether a run stopped too early cannot be asked while it runs."""


class LiveDiagnosis:
    """Passes events on; after an epoch it also asks the rules and says each thing once, as a warning.

    The warning's body has `finding`, in the shape of `Finding.to_dict`.
    """

    def __init__(self, out: Path, on_event: Callable[[Event], None]) -> None:
        self._curve = out / "results.csv"
        self._on_event = on_event
        self._said = set[tuple[str, str]]()

    def __call__(self, event: Event) -> None:
        self._on_event(event)
        if event.kind != "epoch" or self._is_ahead_of(event):
            return
        try:
            trace = read_trace(self._curve)
        except DataError:
            return  # a backend that writes another curve: there is nothing to watch
        if not len(trace):
            return
        for rule in _LIVE:
            for symptom in rule(trace):
                about = symptom.id, str(symptom.evidence.get("metric", ""))  # each head is told apart
                if about not in self._said:
                    self._said.add(about)
                    finding = symptom.finding(str(self._curve)).to_dict()
                    self._on_event(Event("warning", {"message": symptom.message, "finding": finding}))

    def _is_ahead_of(self, event: Event) -> bool:
        """Whether the curve has later epochs already: the look after the last of them sees this one too.

        Without this, every epoch of a fast run costs a reading of the whole curve, and the watch falls behind for good.
        """
        try:
            rows = self._curve.read_bytes().count(b"\n") - 1
        except OSError:
            return False
        return rows > int(event.body.get("epoch") or 0)
