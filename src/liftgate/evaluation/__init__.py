"""Measuring: metrics of predictions against truth (`evaluate`), the paired difference of two models on the same images
(`compare`), several treatments (`multiple_comparisons`) and seeds (`seeds`), and what a gate says of them (`verdict`).

What is to be computed is one record (`spec`), what comes out another (`records`). Import from the modules: a package
that named the functions of its modules could no longer tell `compare` from `compare.compare`.
"""
