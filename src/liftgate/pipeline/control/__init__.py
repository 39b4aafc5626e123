"""Control: what keeps one study to one run, and what tells other shells of it and takes their wishes.

lock.py      one run at a time; who holds the lock, and why a lock is stale
request.py   stop.json: somebody asks the run to stop, now or after this epoch
deadline.py  the time limit of a job runner
live.py      now.json: what the run does at the moment
session.py   all of these around one run
status.py    what can be told from outside, from files and the ledger alone
"""
