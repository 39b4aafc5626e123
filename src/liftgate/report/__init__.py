"""The report room: renders what the ledger holds, and computes nothing."""

from liftgate.report.content import ReportContent
from liftgate.report.page import render, render_html
from liftgate.report.tables import render_markdown, write_tables

__all__ = ["ReportContent", "render", "render_html", "render_markdown", "write_tables"]
