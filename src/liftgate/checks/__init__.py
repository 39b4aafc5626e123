"""The checks room. A **finding** is something wrong or suspicious: a stable id, where, why it matters and a hint.

finding.py   the record
subject.py   what is checked: data sets and the study that uses them
rule.py      what a rule is and how it registers
rules/       the catalogue, one module per family
run.py       running the rules; ignoring with a reason; explaining
scan.py      what pixels say, read once by all rules, cached
near.py      pairs of near-copies among perceptual hashes
edges.py     the label geometry probe: do box edges fall on edges?
flips.py     which keypoint becomes which in the mirror, from the names; mirror.py: from where they lie
machine.py   what this machine has; plan.py: the least that a plan takes of it
mending.py   what is safe to mend, in new files; mending_study.py: of a whole study
pickles.py   what a checkpoint holds, read without executing it
arguments.py Ultralytics' training arguments, as data
pages.py     writes docs/findings
"""

from liftgate.checks.finding import Finding, Severity
from liftgate.checks.rule import Rule
from liftgate.checks.rules import catalogue
from liftgate.checks.run import CheckResult, IgnoredFinding, explain, run, validate_selection
from liftgate.checks.subject import Subject

__all__ = [
    "CheckResult",
    "Finding",
    "IgnoredFinding",
    "Rule",
    "Severity",
    "Subject",
    "catalogue",
    "explain",
    "run",
    "validate_selection",
]
