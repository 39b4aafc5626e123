"""Run the tasks of a study (trainings, predictions, parts of evaluations) on an engine: here, or on a cluster.

task.py      a task, and what is on disk about each attempt at it
base.py      what an engine can do
matching.py  a task that matches detections to objects
store.py     files and documents in an object store; mirror.py: a task in one
agent.py     the process beside a task: runs it in its folder, and writes its result there
dispatch.py  the driver's side: submits, follows, submits again, stops
local.py     processes of this machine
slurm.py     jobs of a Slurm cluster, by submitit
ray_cluster.py  tasks of a Ray cluster

Nothing in this room knows the ledger: the driver alone writes it, from the results that it has checked.
"""
