"""Jinja templates of `liftgate init`: a folder with a study.yaml.j2 for each, and one README.md.

`liftgate.study.templates` renders them. This package has no modules; import-linter keeps it so.
"""
