"""The doctor: diagnose an Ultralytics training run from its files (results.csv, args.yaml, its log).

A wrong diagnosis costs days, so a finding must be significant against the curve's own noise, and nothing is guessed
that the files do not show.
`trace.py` reads the files, `signals.py` and `schedule.py` measure, the `*_rules.py` hold the rules, one function each,
`diagnose.py` applies them, and `live.py` does so while a run trains.
"""

from __future__ import annotations

from liftgate.diagnosis.catalogue import explain as explain
from liftgate.diagnosis.diagnose import Diagnosis as Diagnosis
from liftgate.diagnosis.diagnose import diagnose as diagnose
from liftgate.diagnosis.diagnose import doctor as doctor
from liftgate.diagnosis.diagnose import examine as examine

__all__ = ["Diagnosis", "diagnose", "doctor", "examine", "explain"]
