"""Where a video moves most."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from liftgate.data.video_frames.motion import busiest_window, changed_share


@given(values=st.lists(st.integers(0, 9), min_size=1, max_size=40), length=st.integers(1, 10))
def test_the_steepest_stretch_is_the_first_with_the_largest_sum(values: list[int], length: int) -> None:
    sums = [sum(values[start : start + length]) for start in range(max(1, len(values) - length + 1))]
    assert busiest_window(np.array(values, dtype=float), length) == sums.index(max(sums))


def test_exposure_that_jumps_and_noise_are_no_motion() -> None:
    generator = np.random.default_rng(0)
    dark = np.full((36, 64), 50, dtype=np.uint8)
    noisy = dark + generator.integers(0, 3, dark.shape, dtype=np.uint8)
    walker = dark.copy()
    walker[10:30, 20:30] = 120
    assert changed_share([dark, noisy, dark + 60, dark + 60]).tolist() == [0, 0, 0]
    assert changed_share([dark, walker])[0] > 0.05
