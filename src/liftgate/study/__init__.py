"""A **study** is one question in one study.yaml: datasets, arms, gates, flow, budget.

records.py        the frozen records that other packages use
study_file.py     the file: load it, recognise it, read only its name
study_parser.py   parse its text to records, or report every mistake with its line
yaml_source.py    YAML text as values, with the place of each key
yaml_keys.py      what each key accepts (pydantic); gate_keys.py: of gates; value_types.py: of their values
partial_study.py  the well-formed part of a study that has mistakes
rules.py          rules between keys; gate_rules.py: rules of gates
conditions.py     conditions of decision points, such as `mAP50 > 0.3`
ablations.py      the arms and gates that `ablate` expands to
overrides.py      --set key=value
vocabulary.py     the names of steps, verdicts, metrics and arguments in a study, and their literal types
weights.py        where start weights are searched, and the licence of an arm's weights
schema.py         docs/study.schema.json and docs/study.md
templates.py      studies to edit, for `liftgate init`
"""
