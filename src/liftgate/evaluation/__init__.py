"""Metrics of predictions, comparisons of models, and the verdicts of gates.

`evaluate` measures predictions against truth, `compare` the paired difference of two models on the same images; several
treatments (`multiple_comparisons`) or seeds (`seeds`), and the verdict of a gate (`verdict`).

The settings are one record (`spec`), the results another (`records`). Import from the modules: a package
that named the functions of its modules could no longer tell `compare` from `compare.compare`.
"""
