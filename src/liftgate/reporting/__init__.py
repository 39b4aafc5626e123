"""The report room: renders what the ledger holds, and computes nothing."""

from liftgate.reporting.content import ReportContent
from liftgate.reporting.markdown import render_markdown
from liftgate.reporting.page import render, render_html
from liftgate.reporting.paper import write_paper

__all__ = ["ReportContent", "render", "render_html", "render_markdown", "write_paper"]
