"""Markdown and CSV of a report: the same words and numbers as the page."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

from liftgate.report import words
from liftgate.report.content import ReportContent
from liftgate.report.tables import render_markdown, write_tables
from report.sample_report import sample


def test_the_markdown_says_verdict_interval_basis_and_hash() -> None:
    text = render_markdown(sample())
    assert text.startswith("# Does pre-training on cone-detector lift FSOCO-12 mAP50?")
    assert "## MARGINAL: two\\_stage − single" in text
    assert "[−0.0152, +0.0124]. 95% jackknife-t, 689 images in 24 groups." in text
    assert "- ! One seed" in text
    assert "- ! confounded: environment" in text
    assert f"Gate hash `{sample().gates[0].verdict.gate_hash}`" in text


def test_words_from_strangers_are_no_markup() -> None:
    attack = "<script>x</script> [a](b) `c` | d\n# e"
    text = render_markdown(replace(sample(), question=attack, study=attack, notes=(attack,)))
    assert "<script>" not in re.sub(r"`[^`]*`", "", text)  # inside code it is text already
    assert "\n# e" not in text


def test_tables_hold_the_numbers_in_full(tmp_path: Path) -> None:
    content = sample()
    paths = write_tables(content, tmp_path)
    assert [path.name for path in paths] == [
        "lift-figures.csv",
        "lift-classes.csv",
        "good_enough-figures.csv",
        "good_enough-classes.csv",
    ]
    rows = list(csv.DictReader(paths[0].read_text(encoding="utf-8").splitlines()))
    evaluation = content.gates[0].arms[1].evaluation
    assert evaluation
    treated = next(row for row in rows if row["metric"] == "mAP50" and row["arm"] == "two_stage")
    assert float(treated["value"]) == evaluation.metrics["mAP50"]
    assert float(treated["low"]) == evaluation.intervals["mAP50"].low
    assert (treated["n_images"], treated["n_groups"], treated["level"]) == ("689", "24", "0.95")
    missing = next(row for row in rows if row["metric"] == "mAP_large")
    assert missing["value"] == ""


def test_a_class_that_looks_like_a_formula_stays_a_class(tmp_path: Path) -> None:
    content = sample()
    gate = content.gates[0]
    arms = []
    for arm in gate.arms:
        assert arm.evaluation
        rows = {"=cmd()": next(iter(arm.evaluation.per_class.values()))}
        arms.append(replace(arm, evaluation=replace(arm.evaluation, per_class=rows)))
    paths = write_tables(replace(content, gates=(replace(gate, arms=tuple(arms)),)), tmp_path)
    assert "'=cmd()" in paths[1].read_text(encoding="utf-8")


def test_nothing_measured_gives_no_tables_and_a_short_text(tmp_path: Path) -> None:
    empty = ReportContent("empty", "Anything?")
    assert write_tables(empty, tmp_path) == ()
    assert render_markdown(empty) == "# Anything?\n\nStudy `empty`\n"


def test_numbers_are_written_as_on_the_page() -> None:
    value = sample().gates[0].arms[0].evaluation
    assert value
    assert words.number(value.metrics["mAP50"]) in render_markdown(sample())
