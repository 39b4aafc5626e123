"""Ledger: the append-only, hash-chained record of a study, and the folders of its training runs.

chain.py      Ledger: append, read, verify
entry.py      one entry, and the row that stores it
head_file.py  sequence number and hash of the last entry
records.py    one typed record for each kind of entry
results.py    one typed record for the result of each kind of step
model_records.py   entries of a registry of models
mistake_records.py suspected mistakes in labels, found by models that have not seen them
worth_records.py what more training data would bring
lookup.py     search entries by a hash in a report
gates.py      versions of gates: a changed gate is a new one, and both are recorded
last_run.py   runs of a study, with their steps and results
step_costs.py time and cost of steps
nearby.py     ledgers around some data, found before anything of a ledger is imported
lockbox.py    openings of locked test splits, counted against the declared budget
workspace.py  paths of a study's ledger, predictions, runs and reports
runs.py       one folder for each training run, and REPORT.md, a table of all
preflight.py  machine, versions and git state before a run
"""

from typing import TYPE_CHECKING

from liftgate.public_names import lazy_names

if TYPE_CHECKING:
    from liftgate.ledger.chain import KINDS as KINDS
    from liftgate.ledger.chain import Ledger as Ledger
    from liftgate.ledger.entry import Entry as Entry

_TYPES = {"KINDS": "liftgate.ledger.chain", "Ledger": "liftgate.ledger.chain", "Entry": "liftgate.ledger.entry"}
__getattr__ = lazy_names(__name__, {}, _TYPES)  # what looks for a ledger needs none of it where there is none

__all__ = ["KINDS", "Entry", "Ledger"]
