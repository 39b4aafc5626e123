"""Registry of models: versions with their evidence, and which of them is the champion.

version.py       names of versions and of their files
store.py         Registry: reads and verifies versions, adds exports to them
registration.py  register versions, the same only once
promotion.py     which version is the champion: promote and roll back
evidence.py      what a study's ledger says about certain weights
contents.py      the files of a version, from a study
model_card.py    the card of a version, for people
signing.py       sign versions with a local key
registered.py    compare a file of a registry with its recorded hash before it is used
"""
