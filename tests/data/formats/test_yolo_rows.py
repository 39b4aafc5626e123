"""One YOLO label file: every row is good, or named with its line and kind."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.data.core.faults import KINDS
from liftgate.data.formats.yolo.rows import parse_rows


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("0 .5 .5 .2", "row_columns"),
        ("0 .5 .5 .2 .2 .9", "row_columns"),
        ("0 .5 .5 .2 x", "row_not_number"),
        ("0 .5 .5 .2 nan", "row_not_number"),
        ("0 .5 inf .2 .2", "row_not_number"),
        ("0 1.02 .5 .2 .2", "row_out_of_range"),
        ("0 -0.02 .5 .2 .2", "row_out_of_range"),
        ("0 .5 .5 -.2 .2", "row_out_of_range"),
        ("0 320 240 64 48", "row_out_of_range"),
        ("2 .5 .5 .2 .2", "class_out_of_range"),
        ("-1 .5 .5 .2 .2", "class_out_of_range"),
        ("0.5 .5 .5 .2 .2", "class_not_integer"),
    ],
)
def test_a_bad_row_is_left_out_and_named_by_line_and_kind(row: str, kind: str) -> None:
    rows = parse_rows(f"0 .1 .1 .1 .1\n\n{row}\n1 .2 .2 .1 .1\n", n_classes=2)
    assert [good.line for good in rows.good] == [1, 4]
    assert [(bad[0], bad[1]) for bad in rows.bad] == [(kind, 3)]


@pytest.mark.parametrize("row", ["0 1.005 .5 .2 .2", "0 -0.005 .5 .2 .2", "1.0 .5 .5 0 0", "0 .5 .5 1 1"])
def test_what_ultralytics_tolerates_is_kept(row: str) -> None:
    assert len(parse_rows(row, n_classes=2).good) == 1


def test_a_six_column_row_is_recognised_as_a_prediction() -> None:
    assert "confidence" in parse_rows("0 .5 .5 .2 .2 .9", n_classes=1).bad[0][2]


def test_a_row_that_stands_twice_counts_once() -> None:
    rows = parse_rows("0 .5 .5 .2 .2\n0 0.50 .5 .2 .2\n", n_classes=1)
    assert len(rows.good) == 1
    assert rows.bad == [("row_duplicate", 2, "the same row is above")]


def test_an_outline_becomes_its_box_and_keeps_its_area() -> None:
    (row,) = parse_rows("0 .2 .2 .6 .2 .2 .8", n_classes=1).good
    assert row.box == pytest.approx((0.4, 0.5, 0.4, 0.6))
    assert row.area == pytest.approx(0.4 * 0.6 / 2)


def test_boxes_among_outlines_are_kept_and_said() -> None:
    rows = parse_rows("0 .2 .2 .6 .2 .2 .8\n0 .5 .5 .2 .2", n_classes=1)
    assert len(rows.good) == 2
    assert rows.bad[0][0] == "rows_mixed"


def test_keypoints_are_read_with_or_without_visibility() -> None:
    assert parse_rows("0 .5 .5 .2 .2 .4 .4 2 .6 .6 1", 1, n_keypoints=2).good[0].points == (0.4, 0.4, 2, 0.6, 0.6, 1)
    assert parse_rows("0 .5 .5 .2 .2 .4 .4 .6 .6", 1, n_keypoints=2, dims=2).good[0].points == (0.4, 0.4, 0.6, 0.6)
    assert parse_rows("0 .5 .5 .2 .2", 1, n_keypoints=2).bad[0][0] == "row_columns"


_WORD = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True).map(repr),
    st.floats(-0.1, 1.1).map(repr),
    st.integers(-3, 5).map(str),
    st.text(max_size=5),
)
_TEXT = st.one_of(
    st.text(max_size=200),
    st.lists(st.lists(_WORD, max_size=12).map(" ".join), max_size=8).map("\n".join),
)


@settings(max_examples=400, deadline=None)
@given(_TEXT, st.integers(1, 4), st.sampled_from([(0, 3), (1, 2), (1, 3), (2, 3)]))
def test_no_text_raises_and_every_fault_is_of_a_known_kind(text: str, n_classes: int, shape: tuple[int, int]) -> None:
    rows = parse_rows(text, n_classes, *shape)
    lines = len(text.splitlines())
    for row in rows.good:
        assert 0 <= row.cls < n_classes
        assert 1 <= row.line <= lines
        assert all(abs(number) < 1e308 for number in row.box)
    assert {kind for kind, _, _ in rows.bad} <= KINDS.keys()


def test_ten_thousand_damaged_files_never_raise() -> None:
    draw = random.Random(0)
    whole = "0 .5 .5 .2 .2\n1 0.1 0.1 0.05 0.05\n0 .2 .2 .6 .2 .2 .8\n"
    for _ in range(10_000):
        letters = list(whole)
        for _ in range(draw.randint(1, 6)):
            letters[draw.randrange(len(letters))] = draw.choice("0123456789.-+eE naif\n\t\x00\u2028é,_")
        rows = parse_rows("".join(letters), n_classes=2)
        assert {kind for kind, _, _ in rows.bad} <= KINDS.keys()
        assert all(0 <= row.cls < 2 and max(map(abs, row.box)) < 1.02 for row in rows.good)
