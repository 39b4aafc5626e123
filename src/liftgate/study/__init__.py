"""The study room. A **study** is the whole question in one study.yaml: datasets, arms, gates, flow, budget.

records.py        the frozen records that every other room sees
study_file.py     the file: load it, recognise it, read its name alone
study_parser.py   its text as records, or every mistake in it with its line
yaml_source.py    YAML text as values, with the place of each key
yaml_keys.py      what each key accepts (pydantic); gate_keys.py: of gates; value_types.py: of their values
partial_study.py  the well-formed part of a study that has mistakes
rules.py          what must hold between keys; gate_rules.py: of gates
conditions.py     conditions of decision points, such as `mAP50 > 0.3`
ablations.py      the variants that an arm's `ablate` stands for
overrides.py      --set key=value
vocabulary.py     the words that a study may use
weights_cache.py  where start weights are looked for
schema.py         docs/study.schema.json and docs/study.md
templates.py      studies to edit, for `liftgate init`
"""
