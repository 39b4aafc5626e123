"""**Groups**, whose images stay together in a split and count as one unit in statistics; and **slices** of a dataset.

`groups` assigns them by a rule: a regex, a CSV, folders, EXIF or times in file names; `slicing` uses similar
rules to divide a dataset into slices.
"""
