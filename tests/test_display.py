"""Results show themselves in a notebook: a table, a picture, and the report as a page; names of others stay text."""

from __future__ import annotations

from html import unescape
from pathlib import Path

import pytest

import liftgate
from liftgate import display
from liftgate.testing.backends import write_tree

STUDY = """
study: longer
question: Does a longer training lift it?
backend: toy
datasets: {scenes: {path: scenes/data.yaml, licence: CC0-1.0}}
arms:
  short: [{weights: start.yaml, data: scenes, recipe: {epochs: 1, lr0: 0.0001}}]
  long: [{weights: start.yaml, data: scenes, recipe: {epochs: 6, lr0: 0.5}}]
gates: {lift: {metric: mAP50, treatment: long, control: short, on: scenes.test, margin: 0.05}}
flow: [check, train, lift]
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    write_tree(tmp_path / "scenes", train=24, held_out=12)
    (tmp_path / "start.yaml").write_text("nc: 2\n")
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path / "study.yaml"


def test_check_plan_run_doctor_and_report_show_themselves(study: Path) -> None:
    checked = liftgate.check(study)._repr_html_()
    assert "<svg" in checked and "<table>" in checked and "No errors" in checked
    planned = liftgate.plan(study)
    assert isinstance(planned, tuple) and "train long seed 0" in planned._repr_html_()
    ran = liftgate.run(study)
    shown = ran._repr_html_()
    assert 'aria-label="lift: +' in shown and "<td>PASS</td>" in shown
    (run,) = (study.parent / "runs" / "longer").glob("*long*")
    assert "<polyline" in liftgate.doctor(run)._repr_html_()
    page = liftgate.report(study)
    assert page == ran.report and page.is_file() and isinstance(page, Path)
    frame = page._repr_html_()  # type: ignore[attr-defined]
    assert frame.startswith("<iframe") and "<h1" in unescape(frame)
    assert liftgate.report(str(study)).parent == page.parent


def test_what_others_named_stays_text() -> None:
    hostile = '<script>alert("x")</script>'
    for shown in (
        display.html_table(hostile, [{hostile: hostile}], hostile),
        display.bar_svg({hostile: 1}, {hostile: "red"}),
        display.curve_svg([0.1, None, 0.3], 2, hostile),
        display.interval_svg(0.1, 0.2, 0.3, 0.05, hostile),
    ):
        assert "<script" not in shown
    assert "<script" not in display.page_frame(hostile)


@pytest.mark.parametrize("values", [[], [0.5], [None, None, 0.2]])
def test_a_curve_of_less_than_two_points_is_not_drawn(values: list[float | None]) -> None:
    assert display.curve_svg(values, 0, "x") == ""


def test_a_flat_curve_and_an_interval_of_no_width_can_be_drawn() -> None:
    assert "nan" not in display.curve_svg([0.2, 0.2, 0.2], 1, "x")
    assert "nan" not in display.interval_svg(0.0, 0.0, 0.0, 0.0, "x")
