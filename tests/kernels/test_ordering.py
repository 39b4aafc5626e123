"""Order: numpy's stable sort, in linear time."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from liftgate.kernels.ordering import descending_keys, stable_order

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 0.5, 1e-300])


@settings(deadline=None)
@given(arrays.arrays(np.int64, st.integers(0, 60), elements=st.integers(0, 2**62) | st.integers(0, 3)))
def test_keys_rise_and_equal_ones_keep_their_order(keys: np.ndarray) -> None:
    np.testing.assert_array_equal(stable_order(keys), np.argsort(keys, kind="stable"))


def test_keys_in_order_are_left_as_they_are_but_negative_ones_come_last_as_unsigned() -> None:
    assert stable_order(np.array([1, 1, 4, 7])).tolist() == [0, 1, 2, 3]
    assert stable_order(np.array([-2, -1, 4, 7])).tolist() == [2, 3, 0, 1]


@settings(deadline=None)
@given(arrays.arrays(np.float64, st.integers(0, 60), elements=numbers))
def test_falling_numbers_are_those_of_a_stable_sort_of_their_negatives(values: np.ndarray) -> None:
    np.testing.assert_array_equal(stable_order(descending_keys(values)), np.argsort(-values, kind="stable"))


@settings(deadline=None)
@given(arrays.arrays(np.int64, (40, 2), elements=st.integers(0, 5)))
def test_one_order_after_another_is_an_order_by_both(keys: np.ndarray) -> None:
    both = stable_order(keys[:, 0].copy(), stable_order(keys[:, 1].copy()))
    np.testing.assert_array_equal(both, np.lexsort((keys[:, 1], keys[:, 0])))


def test_a_kernel_leaves_what_it_was_given_alone() -> None:
    keys, order = np.array([2, 1, 0]), np.array([0, 1, 2])
    assert stable_order(keys, order).tolist() == [2, 1, 0]
    assert (keys.tolist(), order.tolist()) == ([2, 1, 0], [0, 1, 2])
