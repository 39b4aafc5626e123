"""Control: lock of a running study, its status, and requests to stop it from other shells.

study_lock.py    one run at a time
stop_request.py  stop.json: a request to stop, now or after this epoch
deadline.py      the time limit of a job runner
status_file.py   now.json: the current state of the run
session.py       all of these around one run
status.py        the status of a study, read from files and the ledger alone
logs.py          run.log and the log of the current training
detach.py        a run that outlives the shell
"""
