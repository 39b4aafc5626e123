"""Which times are wanted of one video."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.data.video_frames.records import Window
from liftgate.data.video_frames.times import bounds, check_window, grid, parse_time
from liftgate.errors import UsageError

seconds = st.floats(0, 1e5, allow_nan=False)


@given(start=st.integers(0, 100), count=st.integers(0, 500), every=st.sampled_from([0.04, 0.1, 1 / 3, 1.0, 5.0, 30.0]))
def test_an_end_on_the_grid_is_not_part_of_it(start: int, count: int, every: float) -> None:
    times = grid(start, start + count * every, every)
    assert len(times) == count
    assert all(time == start + k * every for k, time in enumerate(times))


@pytest.mark.parametrize("every", [0, -1, float("nan"), float("inf")])
def test_a_step_without_sense_is_refused(every: float) -> None:
    with pytest.raises(UsageError):
        grid(0, 10, every)


@given(length=st.floats(0.1, 1e4), centre=seconds, duration=st.floats(0.1, 1e5))
def test_a_centred_window_lies_in_the_video_and_is_as_long_as_it_can_be(
    length: float, centre: float, duration: float
) -> None:
    start, end = bounds(Window(length=length, centre=centre), duration)
    assert 0 <= start <= end <= duration
    assert end - start == pytest.approx(min(length, duration), abs=1e-6)


def test_a_window_away_from_the_ends_has_its_centre_where_it_was_asked_for() -> None:
    assert bounds(Window(length=10, centre=50.0), 100) == (45, 55)
    assert bounds(Window(length=10, centre="motion"), 100, busiest=20) == (15, 25)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_a_time_reads_back(hours: int, minutes: int, secs: int, milli: int) -> None:
    whole = hours * 3600 + minutes * 60 + secs + milli / 1000
    assert parse_time(f"{hours}:{minutes:02d}:{secs:02d}.{milli:03d}") == pytest.approx(whole)
    assert parse_time(f"{whole:.3f}") == pytest.approx(whole)


@given(st.text(max_size=12))
def test_any_text_is_a_time_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert parse_time(text) >= 0


@pytest.mark.parametrize("text", ["", "-1", "1:60", "1:2:3:4", "nan", "1e3", "½"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_time(text)


@pytest.mark.parametrize("window", [Window(start=5, end=5), Window(start=-1), Window(length=0), Window(5, length=10)])
def test_a_window_that_no_video_can_have_is_refused(window: Window) -> None:
    with pytest.raises(UsageError):
        check_window(window)
