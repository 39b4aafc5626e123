"""The ledger room: the append-only, hash-chained record of everything that happened, and the run folders.

chain.py      Ledger: append, read, verify
records.py    one typed record for each kind of entry
results.py    one typed record for what each kind of step leaves
step_costs.py what steps took, in time and money
lookup.py     from a hash that somebody read to the entries that it is about
gates.py      a gate changed after its first evaluation is a new gate, and both stand there
lockbox.py    openings of locked test splits, counted against the declared budget
workspace.py  where a study keeps its ledger, store, predictions, runs and reports
runs.py       one folder for each run, and REPORT.md over all of them
preflight.py  what the machine, the code and the data were before a run
"""

from liftgate.ledger.chain import KINDS, Entry, Ledger

__all__ = ["KINDS", "Entry", "Ledger"]
