"""How numeric kernels are compiled: once, to machine code that is kept on disk, free of the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile `function` at its first call and cache the machine code (beside the file, else in the user's cache).

    Where neither place can be written (a user without a home, an installation that belongs to root), nothing is kept
    and each process compiles for itself: seconds, but no failure.

    No fastmath: a metric that is to equal another implementation to the last bits may not reorder its sums.
    """
    try:
        return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
    except RuntimeError:  # "cannot cache function": numba looks for a place when it decorates
        return cast(F, numba.njit(nogil=True, error_model="numpy")(function))
