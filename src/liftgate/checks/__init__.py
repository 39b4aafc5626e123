"""The checks room. A **finding** is something wrong or suspicious: a stable id, where, why it matters and a hint.

finding.py            the record
subject.py            what is checked: data sets and the study that uses them
rule.py               what a rule is and how it registers
rules/                the catalogue, one module per family
run.py                run the rules; ignore findings with a reason; print a rule's page
images/               facts of image files (cached), copies and near-duplicates, neighbours in time
probes/               label geometry (do boxes lie on objects?), box conventions, flip_idx, learnability
ultralytics/          Ultralytics' training arguments, published models and checkpoint files, as data
fixes/                corrected copies of a data set or of a whole study; nothing is changed in place
duplicates.py         links between images that belong together, and the groups that follow
fault_findings.py     what the readers could not read, as findings
arm_differences.py    what differs between two arms
machine.py            facts of this machine; resource_needs.py: lower bounds of what a plan needs
rule_pages.py         writes docs/findings
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
