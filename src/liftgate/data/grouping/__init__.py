"""**Groups**: what must stay together in a split, and what a statistic counts as one unit; and **slices** of a dataset.

`groups` assigns them by a rule: a regex, a CSV, folders, EXIF or times in file names; `slicing` takes the same
rules for slices.
"""
