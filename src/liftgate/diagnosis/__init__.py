"""The doctor reads what any Ultralytics run left (results.csv, args.yaml, its log) and says what went wrong.

A wrong diagnosis costs days, so it speaks only when the trace shows it against its own noise; what a trace cannot
show it does not guess. `trace.py` reads, `signals.py` measures, `learning.py`, `schedule.py` and `record.py` hold the
rules, one function each.
"""

from __future__ import annotations

from liftgate.diagnosis.catalogue import explain as explain
from liftgate.diagnosis.diagnose import Diagnosis as Diagnosis
from liftgate.diagnosis.diagnose import diagnose as diagnose
from liftgate.diagnosis.diagnose import doctor as doctor
from liftgate.diagnosis.diagnose import examine as examine

__all__ = ["Diagnosis", "diagnose", "doctor", "examine", "explain"]
