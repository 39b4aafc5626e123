"""Planning: how long a study will take and cost, the automatic batch, and recipes that would be refused.

estimate.py    expected seconds of steps, from the same or similar ones in the ledger
auto_batch.py  `batch: auto`, chosen once for all arms
recipes.py     arguments and weights that the trainer would refuse
prices.py      machines to rent or to buy
"""
