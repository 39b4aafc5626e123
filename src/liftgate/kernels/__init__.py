"""Numeric kernels: Python functions over numpy arrays that are compiled to machine code."""
