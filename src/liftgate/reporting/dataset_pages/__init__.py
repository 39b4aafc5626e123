"""HTML pages about data: one data set or two side by side, findings, pairs of copies, disagreements of annotators.

They show records that other rooms have filled, in the style of the report.
"""

from liftgate.reporting.dataset_pages.agreement import AgreementPage, agreement_page, render_agreement
from liftgate.reporting.dataset_pages.dataset_content import DatasetPage, dataset_page
from liftgate.reporting.dataset_pages.page import render_dataset

__all__ = ["AgreementPage", "DatasetPage", "agreement_page", "dataset_page", "render_agreement", "render_dataset"]
