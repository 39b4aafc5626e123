"""Pipeline: from a study to its verdicts. Modules import only those below them.

runner.py      plan and execute: the steps of each word of the flow, what is cached, what runs
flow_state.py  verdicts so far, and which words of the flow are skipped
planning/      how long it will take and cost, the automatic batch, recipes that would be refused
steps/         one class for each kind of step
control/       one run at a time; status, logs and stop requests from other shells
budget.py      ceilings of money, GPU hours and energy
context.py     what all steps share: the study, its workspace, ledger and datasets
datasets.py    the study's datasets with groups and splits; mixing.py those of a mix
step.py        a step, its key, results by step, the cache in the ledger
spending.py    what training has taken so far
notice.py      what a run reports while it runs
"""
