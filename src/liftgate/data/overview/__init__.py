"""The **overview** of a data set: every number of `liftgate data stats`, without its page.

`columns` measures boxes and pixels, `record` gathers one data set, `difference` compares two, `comparison` several. The
page (`reporting.dataset_pages`) only renders.
"""

from liftgate.data.overview.comparison import ComparedSet
from liftgate.data.overview.difference import DatasetDifference, Distance, compare_datasets
from liftgate.data.overview.record import Overview, overview

__all__ = ["ComparedSet", "DatasetDifference", "Distance", "Overview", "compare_datasets", "overview"]
