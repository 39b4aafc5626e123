"""Measure what labels and pixels say together: label geometry, flip_idx, and learnability."""
