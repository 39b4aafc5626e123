"""**Services**: the verbs of the command line as plain functions on files.

Each reads its input, does the work with the packages below and returns a typed result; the command line and the Python
API only pass arguments on and print.
"""
