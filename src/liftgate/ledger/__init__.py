"""Ledger: the append-only, hash-chained record of everything that happened, and the run folders.

chain.py      Ledger: append, read, verify
records.py    one typed record for each kind of entry
results.py    one typed record for what each kind of step leaves
lookup.py     from a hash in a report to the entries that it is about
gates.py      a gate that was changed after its first evaluation is a new gate, and both are on record
step_costs.py what steps took, in time and money
lockbox.py    openings of locked test splits, counted against the declared budget
workspace.py  where a study keeps its ledger, store, predictions, runs and reports
runs.py       one folder for each run, and REPORT.md over all of them
preflight.py  the machine, the code and the data before a run
"""

from liftgate.ledger.chain import KINDS, Entry, Ledger

__all__ = ["KINDS", "Entry", "Ledger"]
