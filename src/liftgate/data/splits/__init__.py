"""A **split** assigns every image to train, val or test, by group, and is frozen in a CSV with a hash.

`split` makes, reads and applies one; `balance` is the assignment itself (arrays only); `folds` makes folds, extends
an older split, and proves that a held-out set is disjoint.
"""
