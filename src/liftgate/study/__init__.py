"""The study room. A **study** is the whole question in one study.yaml: datasets, arms, gates, flow, budget.

records.py    the frozen records that every other room sees
document.py   reads study.yaml into them and names the line of every mistake
source.py     YAML text as values, with the place of each key
keys.py       what each key accepts (pydantic, nowhere else)
rules.py      what must hold between keys
overrides.py  --set key=value
words.py      the words that a study may use
schema.py     docs/study.schema.json and docs/study.md
templates.py  studies to edit, for `liftgate init`
"""
