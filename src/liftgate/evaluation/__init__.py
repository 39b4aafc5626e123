"""Metrics of predictions, comparisons of models, and the verdicts of gates.

`evaluate` measures predictions against truth, `compare` the paired difference of two models on the same images; several
treatments (`multiple_comparisons`) and seeds (`seeds`), and what a gate says of them (`verdict`).

What is to be computed is one record (`spec`), what comes out another (`records`). Import from the modules: a package
that named the functions of its modules could no longer tell `compare` from `compare.compare`.
"""
