"""Work on all cores: threads for kernels, which release the interpreter lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def for_each(work: Callable[[T], None], items: Iterable[T]) -> None:
    """Call `work` with each of the items, on all cores, this thread included; the first exception is raised.

    A pool of `concurrent.futures` does the same, and its import takes longer than threads take to start.

    >>> found = set()
    >>> for_each(found.add, range(100))
    >>> len(found)
    100
    """
    left, lock, errors = iter(items), threading.Lock(), list[BaseException]()

    def take_and_work() -> None:
        while not errors:
            with lock:
                try:
                    item = next(left)
                except StopIteration:
                    return
            try:
                work(item)
            except BaseException as error:  # raised again below
                errors.append(error)

    others = [threading.Thread(target=take_and_work, daemon=True) for _ in range((os.cpu_count() or 1) - 1)]
    for thread in others:
        thread.start()
    take_and_work()
    for thread in others:
        thread.join()
    if errors:
        raise errors[0]
