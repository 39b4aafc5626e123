"""Pipeline: from a study to its verdicts. Modules import only those below them.

runner.py      runs the steps of a study's flow that are not cached
flow_plan.py   the steps of a study's flow, what is cached and what would run
flow_state.py  verdicts so far, and which steps of the flow are skipped
planning/      time and cost, the automatic batch, recipes that would be refused
steps/         one class for each kind of step
control/       one run at a time; status, logs and stop requests from other shells
engine.py      tasks on the study's engine: another pool of processes, or a cluster
budget.py      limits of money, GPU hours and energy
context.py     what all steps share: the study, its workspace, ledger and datasets
datasets.py    the study's datasets with groups and splits; mixing.py the images of a mix
step.py        a step, its key, its result, the cache in the ledger
spending.py    time and energy that training has used so far
notice.py      messages of a run to its caller
"""
