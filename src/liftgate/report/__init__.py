"""The report room: renders what the ledger holds, and computes nothing."""

from liftgate.report.content import ReportContent
from liftgate.report.markdown import render_markdown
from liftgate.report.page import render, render_html
from liftgate.report.paper import write_paper

__all__ = ["ReportContent", "render", "render_html", "render_markdown", "write_paper"]
