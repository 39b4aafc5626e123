"""Which frame answers which request, and where seeking saves work."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from liftgate.data.video_frames.picking import chunks, nearest, runs

rising = st.lists(st.integers(0, 2000), min_size=1, max_size=60, unique=True).map(
    lambda stamps: [stamp / 100 for stamp in sorted(stamps)]
)


@given(items=rising, targets=rising)
def test_every_target_gets_the_item_that_a_search_of_all_would_give(items: list[float], targets: list[float]) -> None:
    found = list(nearest([(time, time) for time in items], targets))
    assert [target for target, *_ in found] == targets
    for target, time, item, after in found:
        assert time == item == min(items, key=lambda one: (abs(one - target), one))
        assert after == (items[-1] >= target)


@given(items=rising, targets=rising)
def test_no_more_than_one_item_past_the_last_target_is_read(items: list[float], targets: list[float]) -> None:
    read = []
    list(nearest(((time, read.append(time)) for time in items), targets))
    assert sum(time > targets[-1] for time in read) <= 1


def test_without_items_nothing_is_answered() -> None:
    assert list(nearest([], [1.0, 2.0])) == []


@given(targets=rising, keys=rising, gap=st.sampled_from([0.01, 0.04, 1.0]))
def test_runs_and_chunks_hold_every_target_once_and_in_order(
    targets: list[float], keys: list[float], gap: float
) -> None:
    parts = runs(targets, keys, gap)
    assert list(itertools.chain.from_iterable(parts)) == targets
    pieces = chunks(parts, keys, gap)
    assert [part for piece in pieces for part in piece] == parts
    assert all(pieces)


def test_sparse_targets_are_sought_one_by_one() -> None:
    keys = [k * 2.0 for k in range(100)]
    assert len(runs([0.0, 30.0, 60.0], keys, 0.04)) == 3


def test_dense_targets_are_decoded_in_one_go() -> None:
    keys = [k * 2.0 for k in range(10)]
    assert len(runs([k * 0.2 for k in range(100)], keys, 0.04)) == 1


def test_a_video_with_one_key_frame_is_never_sought() -> None:
    assert len(runs([k * 30.0 for k in range(100)], [0.0], 0.04)) == 1


def test_a_long_dense_video_is_cut_at_key_frames_for_other_cores() -> None:
    keys = [k * 2.0 for k in range(1800)]
    parts = runs([float(k) for k in range(3600)], keys, 0.04)
    assert len(parts) > 10
    assert all(part[0] in keys for part in parts)
