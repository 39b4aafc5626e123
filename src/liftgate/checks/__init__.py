"""Check data sets and studies. A **finding** is something wrong or suspicious: a stable id, a place, a reason, a hint.

finding.py            the record
subject.py            what is checked: data sets and the study that uses them
rule.py               what a rule is and how it registers
rules/                the catalogue, one module per family
run.py                run the rules; ignore findings with a reason; print a rule's page
images/               facts of image files (cached), copies and near-duplicates, neighbours in time
probes/               label geometry (do boxes lie on objects?), box conventions, flip_idx, learnability
ultralytics/          Ultralytics' training arguments, published models and checkpoint files, as data
fixes/                corrected copies of a data set or of a whole study; nothing is changed in place
duplicates.py         links between duplicate or related images, and the groups that keep them in one split
fault_findings.py     turns labels that the readers could not read into findings
arm_differences.py    what differs between two arms
machine.py            facts of this machine
resource_needs.py     lower bounds of the disk space and GPU memory that a study needs
rule_pages.py         writes the pages in docs/findings
"""
