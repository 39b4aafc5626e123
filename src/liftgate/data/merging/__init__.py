"""**Merging** combines several datasets by class name, after a plan that lists every conflict.

`merge` plans and merges, `mix` adds how often each image is seen per epoch, `class_rules` reads the rules file.
"""
