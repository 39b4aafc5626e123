"""The report as Markdown: the same words and numbers as the page."""

from __future__ import annotations

import re
from dataclasses import replace

from liftgate.reporting import number_format, render_markdown
from liftgate.reporting.content import ReportContent
from liftgate.reporting.plain_answer import plain_answer
from reporting.sample_report import sample, two_seeds


def test_the_markdown_says_verdict_interval_basis_and_hash() -> None:
    text = render_markdown(sample())
    assert text.startswith("# Does pre-training on cone-detector lift FSOCO-12 mAP50?")
    assert "## MARGINAL: two\\_stage − single" in text
    assert "[−0.0152, +0.0124]. 95% jackknife-t, 689 images in 24 groups." in text
    assert "- ! One seed" in text
    assert "- ! confounded: environment" in text
    assert f"Gate hash `{sample().gates[0].verdict.gate_hash}`" in text


def test_what_a_caveat_says_already_is_not_said_again() -> None:
    gate = sample().gates[0]
    assert gate.comparison
    caveat = f"confounded: the arms also differ in {gate.comparison.differences[0]}"
    told = replace(gate, verdict=replace(gate.verdict, caveats=(caveat,)))
    _, _, figures = render_markdown(replace(sample(), gates=(told,))).partition("## ")
    assert figures.count("torch 2.15.0 for single") == 1


def test_every_seed_has_its_row() -> None:
    text = render_markdown(two_seeds())
    assert "| mAP50 | 3 | 0.7612 " in text and "| 0.7712 " in text
    assert "Of seed 3:" in text


def test_words_from_strangers_are_no_markup() -> None:
    attack = "<script>x</script> [a](b) `c` | d\n# e"
    text = render_markdown(replace(sample(), question=attack, study=attack, notes=(attack,)))
    assert "<script>" not in re.sub(r"`[^`]*`", "", text)  # inside code it is text already
    assert "\n# e" not in text


def test_nothing_measured_gives_a_short_text() -> None:
    text = render_markdown(ReportContent("empty", "Anything?"))
    assert text.startswith("# Anything?\n\nStudy `empty`\n\n**No answer yet: no gate has been judged yet.**")
    assert "Run `liftgate run STUDY`:" in text and "##" not in text


def test_numbers_are_written_as_on_the_page() -> None:
    value = sample().gates[0].arms[0].evaluation
    assert value
    assert number_format.number(value.metrics["mAP50"]) in render_markdown(sample())


def test_it_begins_with_the_answer_of_the_page() -> None:
    content = sample()
    text = render_markdown(content).replace(chr(92), "")
    answer = plain_answer(content.gates[0], content)
    assert text.index(answer.sentence) < text.index(answer.next_step) < text.index("## MARGINAL")
    assert all(f"- {line}" in text for line in answer.does_not_say)
    assert "No answer yet" in render_markdown(replace(content, unanswered="the run was stopped"))
