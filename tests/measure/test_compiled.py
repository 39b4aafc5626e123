"""Kernels where nothing can be kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba.core.caching import CacheImpl

from liftgate.measure.compiled import compiled


def test_a_user_who_can_write_nowhere_gets_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CacheImpl, "_locator_classes", [])  # root can write everywhere: so no place is left by hand

    def total(values: Any) -> float:
        found = 0.0
        for value in values:
            found += value
        return found

    with pytest.raises(RuntimeError, match="cannot cache function"):
        _numba_alone(total)
    assert compiled(total)(np.array([0.5, 0.25])) == 0.75


def _numba_alone(function: Callable[..., Any]) -> Callable[..., Any]:
    import numba

    kernel: Callable[..., Any] = numba.njit(cache=True)(function)
    return kernel
