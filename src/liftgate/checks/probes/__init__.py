"""Measure labels and pixels together: label geometry, flip_idx, and learnability."""
