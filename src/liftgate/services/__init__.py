"""**Services**: the verbs on files, as plain functions.

Each reads what it is given, does the work with the rooms below and returns a typed result; the command line and the
Python API only pass arguments on and print.
"""
