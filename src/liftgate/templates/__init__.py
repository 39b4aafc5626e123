"""Texts that `liftgate init` fills in: a folder with a study.yaml.j2 for each template, and the README.md of all.

`liftgate.study.templates` reads them. No module is in here, and none may be: the floor below everything keeps it so.
"""
