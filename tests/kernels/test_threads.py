"""Work on all cores: every item once, and the first exception of any of them."""

from __future__ import annotations

import threading

import pytest

from liftgate.kernels.threads import for_each


def test_every_item_is_worked_on_once() -> None:
    found: list[int] = []
    lock = threading.Lock()

    def note(item: int) -> None:
        with lock:
            found.append(item)

    for_each(note, range(1000))
    assert sorted(found) == list(range(1000))


def test_an_exception_ends_it_and_is_raised() -> None:
    def refuse(item: int) -> None:
        if item == 3:
            raise ValueError("three")

    with pytest.raises(ValueError, match="three"):
        for_each(refuse, range(10))
