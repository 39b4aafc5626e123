"""Planning: how long a study will take and cost, the automatic batch, and recipes that would be refused.

estimate.py    seconds of steps, by what the ledger has of them or their like
auto_batch.py  `batch: auto`, settled once for all arms
recipes.py     arguments and weights that the trainer would refuse
prices.py      machines to rent or to buy
"""
