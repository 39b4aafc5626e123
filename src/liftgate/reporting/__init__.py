"""Reports: a study's ledger as HTML, Markdown, tables and figures. Nothing is computed here.

gather.py         from the ledger to a ReportContent
content.py        ReportContent: everything that a report shows
evaluation_figures.py  thresholds, confidences, confusion, slices
galleries.py      pictures where arms differ, and the worst
browsing.py       images to look through
missing.py        what a study left and is no longer there
plain_answer.py   the verdict for somebody who knows no statistics
metric_words.py   a sentence for each metric
lineage.py        from a verdict back to recipe, weights and data
curves.py         charts of trainings and evaluations
run_rows.py       rows about trainings and costs
pictures.py       small copies of images, with boxes to draw
drawing.py        positions of intervals and charts on the page
number_format.py  how a number is written
page.py           the HTML page
markdown.py, latex.py, tables.py, paper.py   the folder of tables and figures
pareto.py         accuracy over latency of several models
dataset_pages/    pages about data sets, findings, copies and annotators
"""

from liftgate.reporting.content import ReportContent
from liftgate.reporting.markdown import render_markdown
from liftgate.reporting.page import render, render_html
from liftgate.reporting.paper import write_paper

__all__ = ["ReportContent", "render", "render_html", "render_markdown", "write_paper"]
