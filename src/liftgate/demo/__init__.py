"""The demo: a small data set from real handwriting, with planted faults, and the story of one question asked of it."""
