"""Orders: a stable radix sort of very many rows, in linear time; distinct values; quantiles of a sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liftgate.kernels.compiler import compiled

_BITS = 13
_MASK = (1 << _BITS) - 1


def stable_order(keys: NDArray[np.int64], order: NDArray[np.int32] | None = None) -> NDArray[np.int32]:
    """Return `order` (default 0 … n−1) sorted by `keys[order]`, taken as unsigned; equal keys keep their order.

    A radix sort, least significant digit first; digits in which all keys agree are skipped. Indices of 32 bits, for
    fewer than 2³¹ rows, take half of the memory.

    Args:
        keys: (n,) sort keys.
        order: (m,) indices into `keys`.

    >>> stable_order(np.array([3, 1, 3, 2]), np.array([3, 2, 1, 0], dtype=np.int32)).tolist()
    [1, 3, 2, 0]
    """
    order = np.arange(len(keys), dtype=np.int32) if order is None else order
    if not len(order):
        return order
    keys = keys[order]
    if (keys[1:] >= keys[:-1]).all() and keys[0] >= 0:  # as files often are; from 0 on, unsigned order is that of signs
        return order.copy()
    varies = int(np.bitwise_or.reduce(keys ^ keys[0])) & 0xFFFF_FFFF_FFFF_FFFF
    spare, counts = (np.empty_like(keys), np.empty_like(order)), np.empty(_MASK + 1, dtype=np.int64)
    current = (keys, order.copy())
    for shift in range(0, 64, _BITS):
        if (varies >> shift) & _MASK:
            _sort_by_digit(*current, shift, counts, *spare)
            current, spare = spare, current
    return current[1]


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """Return the distinct values of (n,) `values`, ascending: `np.unique` without the 50 ms that it imports for.

    >>> distinct(np.array([3, 1, 3])).tolist()
    [1, 3]
    """
    ordered = np.sort(values)
    first = np.append(np.ones(min(1, len(ordered)), dtype=np.bool_), ordered[1:] != ordered[:-1])
    found: NDArray[Any] = ordered[first]
    return found


def sample_quantiles(values: NDArray[np.float64], shares: ArrayLike) -> NDArray[np.float64]:
    """Return what `np.quantile` does for finite values, without the masked arrays that it imports.

    >>> sample_quantiles(np.array([3.0, 1.0, 2.0]), [0.5, 0.75]).tolist()
    [2.0, 2.5]
    """
    ordered, at = np.sort(values), np.asarray(shares) * (len(values) - 1)
    below = np.floor(at).astype(np.int64)
    part, low = at - below, ordered[below]
    high = ordered[np.minimum(below + 1, len(values) - 1)]
    between: NDArray[np.float64] = np.where(part < 0.5, low + (high - low) * part, high - (high - low) * (1 - part))
    return between


def descending_keys(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return keys (n,) for `stable_order` that sort `values` from the largest to the smallest; 0 and −0 are equal.

    >>> stable_order(descending_keys(np.array([0.5, -1.0, 2.0, -0.0, 0.0]))).tolist()
    [2, 0, 3, 4, 1]
    """
    bits = (values + 0.0).view(np.int64)
    return np.where(bits < 0, bits, ~bits & np.iinfo(np.int64).max)


@compiled
def _sort_by_digit(
    keys: NDArray[np.int64],
    order: NDArray[np.int32],
    shift: int,
    counts: NDArray[np.int64],
    keys_out: NDArray[np.int64],
    order_out: NDArray[np.int32],
) -> None:
    counts[:] = 0
    for i in range(len(keys)):
        counts[(keys[i] >> shift) & _MASK] += 1
    place = 0
    for digit in range(_MASK + 1):
        place += counts[digit]
        counts[digit] = place - counts[digit]
    for i in range(len(keys)):
        digit = (keys[i] >> shift) & _MASK
        keys_out[counts[digit]] = keys[i]
        order_out[counts[digit]] = order[i]
        counts[digit] += 1
