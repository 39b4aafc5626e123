"""Pages about data: the overview of one data set or two side by side, and what annotators disagree about.

They render records that `data.overview` and `measure.agreement` have filled, in the house style of the report.
"""

from liftgate.reporting.dataset_pages.agreement import AgreementPage, agreement_page, render_agreement
from liftgate.reporting.dataset_pages.dataset_content import DatasetPage, dataset_page
from liftgate.reporting.dataset_pages.page import render_dataset

__all__ = ["AgreementPage", "DatasetPage", "agreement_page", "dataset_page", "render_agreement", "render_dataset"]
