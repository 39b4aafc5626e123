"""The folder for a paper: CSV in full, LaTeX rounded as on the page, figures that any program opens."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import defusedxml.ElementTree as ElementTree
import pytest

from liftgate.ledger.mistake_records import MistakeRow, MistakesResult
from liftgate.reporting import latex, number_format, write_paper
from liftgate.reporting.content import GateContent, ReportContent
from liftgate.reporting.paper import chart_svg
from reporting.sample_report import sample, two_seeds

ATTACK = r"</text><script>x</script>\input{passwd}%$&_^~#{}|"


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def with_class(name: str) -> ReportContent:
    """The sample with one class of that name."""
    content = sample()
    gate = content.gates[0]
    arms = []
    for arm in gate.arms:
        assert arm.evaluation
        rows = {name: next(iter(arm.evaluation.per_class.values()))}
        arms.append(replace(arm, evaluation=replace(arm.evaluation, per_class=rows)))
    return replace(content, gates=(replace(gate, arms=tuple(arms)),))


def test_two_searches_of_one_dataset_leave_a_table_each(tmp_path: Path) -> None:
    row = MistakeRow("class", "a.png", "a", "red", "blue", (0.0, 0.0, 1.0, 1.0), 0.5)
    one = MistakesResult(
        step="1" * 64, dataset="scenes", arm="quick", seed=0, folds=2, n_images=1, n_groups=1, n_labels=1, n_found=1,
        n_locked=0, flagged={"class": 1}, predictions="", notes=(), file="", truth="", n_ranked=1, rows=(row,),
    )  # fmt: skip
    other = replace(one, step="2" * 64, rows=(replace(row, suspicion=0.25),))
    written = write_paper(ReportContent("labels", "?", mistakes=(one, other)), tmp_path)
    tables = [path for path in written if path.suffix == ".csv"]
    assert [rows_of(path)[0]["suspicion"] for path in tables] == ["0.5", "0.25"]
    assert [path.name for path in write_paper(ReportContent("labels", "?", mistakes=(one,)), tmp_path)][1:] == [
        "mistakes-scenes-quick.csv"
    ]


def test_every_gate_leaves_tables_and_figures(tmp_path: Path) -> None:
    names = {path.name for path in write_paper(sample(), tmp_path)}
    assert names == {path.name for path in tmp_path.iterdir()}
    assert {"report.md", "verdicts.csv", "verdicts.tex"} <= names
    for gate in ("lift", "good_enough"):
        assert {f"{gate}-{what}.{kind}" for what in ("figures", "classes") for kind in ("csv", "tex")} <= names
    assert {"lift-difference.svg", "good_enough-recall.svg", "good_enough-best_confidence_median.svg"} <= names
    assert {
        "lift-precision-over-recall-at-iou-0-5.svg",
        "training-map50-on-val.svg",
        "training-map50-on-val.csv",
    } <= names
    assert "lift-seeds.tex" not in names  # one seed: the figures are all that there is


def test_tables_hold_the_numbers_in_full(tmp_path: Path) -> None:
    content = sample()
    write_paper(content, tmp_path)
    rows = rows_of(tmp_path / "lift-figures.csv")
    evaluation = content.gates[0].arms[1].evaluation
    assert evaluation
    treated = next(row for row in rows if row["metric"] == "mAP50" and row["arm"] == "two_stage")
    assert float(treated["value"]) == evaluation.metrics["mAP50"]
    assert float(treated["low"]) == evaluation.intervals["mAP50"].low
    assert (treated["n_images"], treated["n_groups"], treated["level"]) == ("689", "24", "0.95")
    missing = next(row for row in rows if row["metric"] == "mAP_large")
    assert missing["value"] == ""


def test_the_table_of_verdicts_has_a_row_for_every_comparison_and_claim(tmp_path: Path) -> None:
    write_paper(sample(), tmp_path)
    found = [(row["gate"], row["metric"], row["verdict"]) for row in rows_of(tmp_path / "verdicts.csv")]
    assert found == [
        ("lift", "mAP50", "MARGINAL"),
        ("good_enough", "recall", "MARGINAL"),
        ("good_enough", "best_confidence_median", "PASS"),
    ]
    text = (tmp_path / "verdicts.tex").read_text(encoding="utf-8")
    assert "$-$0.0014 [$-$0.0152, +0.0124]" in text and r"95\% jackknife-t, 689 images in 24 groups" in text


def test_all_seeds_are_in_the_tables_and_one_is_named_where_one_is_shown(tmp_path: Path) -> None:
    write_paper(two_seeds(), tmp_path)
    rows = [row for row in rows_of(tmp_path / "lift-figures.csv") if row["metric"] == "mAP50"]
    assert [(row["arm"], row["seed"]) for row in rows] == [("single", "")] + [("two_stage", seed) for seed in "38"]
    seeds = (tmp_path / "lift-seeds.tex").read_text(encoding="utf-8")
    assert seeds.count("mAP50 & ") == 2 and "689 images in 24 groups" in seeds and "jackknife-t" in seeds
    assert "Of seed 3" in (tmp_path / "lift-figures.tex").read_text(encoding="utf-8")


@pytest.mark.parametrize("table", [latex.figure_table, latex.class_table])
def test_a_latex_table_is_rectangular_and_rounds_as_the_page_does(table: object, tmp_path: Path) -> None:
    gate = sample().gates[0]
    text = table(gate)  # type: ignore[operator]
    columns = re.search(r"\\begin{tabular}{(\w+)}", text)
    assert columns
    body = text.partition(r"\toprule")[2].partition(r"\bottomrule")[0]
    lines = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert {line.count(" & ") for line in lines} == {len(columns[1]) - 1}
    evaluation = gate.arms[0].evaluation
    assert evaluation
    value = (
        next(iter(evaluation.per_class.values()))["AP50"] if table is latex.class_table else evaluation.metrics["mAP50"]
    )
    assert number_format.number(value) in text
    assert "689 images in 24 groups" in text


def test_words_from_strangers_are_text_in_latex_and_svg(tmp_path: Path) -> None:
    content = with_class(ATTACK)
    gate = content.gates[0]
    named = GateContent(replace(gate.gate, treatment=ATTACK), gate.verdict, gate.arms, gate.comparison)
    write_paper(replace(content, gates=(named,)), tmp_path)
    assert r"\input" not in (tmp_path / "lift-classes.tex").read_text(encoding="utf-8")
    tags = {node.tag.rpartition("}")[2] for node in ElementTree.parse(tmp_path / "lift-difference.svg").iter()}
    assert tags <= {"svg", "title", "text", "line", "circle"}


@pytest.mark.parametrize("name", ["[2cm] cone", "*", "*[1em]"])
def test_no_name_becomes_an_option_of_the_line_break_before_it(name: str) -> None:
    assert not latex.escape_latex(name).startswith(("[", "*"))


def test_a_class_that_looks_like_a_formula_stays_a_class(tmp_path: Path) -> None:
    write_paper(with_class("=cmd()"), tmp_path)
    assert "'=cmd()" in (tmp_path / "lift-classes.csv").read_text(encoding="utf-8")


def test_a_figure_says_what_it_rests_on_and_its_points_lie_beside_it(tmp_path: Path) -> None:
    content = sample()
    write_paper(content, tmp_path)
    drawn = ElementTree.parse(tmp_path / "lift-difference.svg").getroot()
    said = " ".join(text for text in drawn.itertext() if text.strip())
    assert "−0.0014" in said and "margin" in said and "95% jackknife-t, 689 images in 24 groups" in said
    rows = rows_of(tmp_path / "training-map50-on-val.csv")
    given = [(s.label, x, y) for s in content.charts[0].series for x, y in s.points]
    assert [(row["line"], float(row["epoch"]), float(row["mAP50 on val"])) for row in rows] == given


def test_points_lie_inside_the_frame_of_their_figure() -> None:
    drawn = chart_svg(sample().charts[2])  # with a value missing: two pieces
    assert drawn
    pieces = re.findall(r'<polyline points="([^"]*)"', drawn)
    assert len(pieces) == 4
    points = [tuple(map(float, point.split(","))) for piece in pieces for point in piece.split()]
    assert all(58 <= x <= 458 and 34 <= y <= 224 for x, y in points)


def test_nothing_measured_leaves_the_text_alone(tmp_path: Path) -> None:
    assert [path.name for path in write_paper(ReportContent("empty", "Anything?"), tmp_path)] == ["report.md"]


def test_an_interval_is_not_called_unestablished_because_another_arm_has_none() -> None:
    content = sample()
    gate = next(gate for gate in content.gates if gate.comparison)
    control, *others = gate.arms
    assert control.evaluation is not None
    name = str(gate.gate.metric)
    none = replace(control.evaluation.intervals[name], low=None, high=None)
    evaluation = replace(control.evaluation, intervals={**control.evaluation.intervals, name: none})
    table = latex.figure_table(replace(gate, arms=(replace(control, evaluation=evaluation), *others)))
    (row,) = [line for line in table.splitlines() if line.startswith(f"{name} ")]
    assert row.count("[") == 1 and none.method in row and "not established" not in row
