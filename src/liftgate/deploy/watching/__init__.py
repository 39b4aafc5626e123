"""**Watching**: the champion on cameras, files and folders, into a production log.

sources.py      what is watched: addresses, files, folders, with a name for each
mailbox.py      one frame for each camera: the newest wins, what it replaces is counted
live.py         an address: read, connected again when it is lost, never behind by more than seconds
recordings.py   files, and folders to which a recorder adds
counts.py       what each camera did, and how it is shown
watcher.py      detects in what is in the mailbox and keeps it in the log
"""
