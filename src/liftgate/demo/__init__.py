"""The demo: a small data set of real handwriting with planted faults, and a study of one question about it."""
