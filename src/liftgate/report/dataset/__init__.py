"""Pages about data: the overview of one data set or two side by side, and what annotators disagree about.

They render records that `data.overview` and `measure.agreement` have filled, in the house style of the report.
"""

from liftgate.report.dataset.agreement import AgreementPage, agreement_page, render_agreement
from liftgate.report.dataset.content import DatasetPage, dataset_page
from liftgate.report.dataset.page import render_dataset

__all__ = ["AgreementPage", "DatasetPage", "agreement_page", "dataset_page", "render_agreement", "render_dataset"]
