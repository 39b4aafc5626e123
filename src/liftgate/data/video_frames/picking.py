"""Match decoded frames to requested times, and plan where to seek. Pure functions of times and timed items."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

_SEEK_COSTS = 8  # frames: a seek empties the decoder, and a B-frame stream fills it again before the first one is out
_CHUNK_COSTS = 1500  # frames of decoding in one piece of work, about a second of one core
_CHUNK_TARGETS = 64


def nearest(items: Iterable[tuple[float, T]], targets: Sequence[float]) -> Iterator[tuple[float, float, T, bool]]:
    """Yield (target, time, item, after) for every target, in order; of two equally near items, the earlier.

    `items` are (time, item) in ascending order, and so are `targets`. At most one item past the last target is read.
    `after` is False if the items ended before the target; without items nothing is yielded.

    >>> list(nearest([(0.0, "a"), (0.4, "b"), (0.8, "c")], [0.1, 0.6, 2.0]))
    [(0.1, 0.0, 'a', True), (0.6, 0.4, 'b', True), (2.0, 0.8, 'c', False)]
    """
    stream = iter(items)
    before = after = next(stream, None)
    if after is None:
        return
    for target in targets:
        while after is not None and after[0] < target:
            before, after = after, next(stream, None)
        assert before is not None
        if after is not None and abs(after[0] - target) < abs(before[0] - target):
            yield target, after[0], after[1], True
        else:
            yield target, before[0], before[1], after is not None


def runs(targets: Sequence[float], keys: Sequence[float], gap: float) -> list[list[float]]:
    """Divide `targets` into runs where seeking is cheaper than decoding on.

    Each run is decoded from the key frame before its first target. A long one is divided at a key frame too, so that
    another core can continue. `keys` are the times of the key frames, ascending; `gap` is the usual time between two
    frames.

    >>> runs([0, 5, 30, 60], keys=[0, 2, 4, 6, 28, 58], gap=0.04)
    [[0], [5], [30], [60]]
    >>> runs([0, 1, 2, 3], keys=[0, 2], gap=0.5)
    [[0, 1, 2, 3]]
    """
    found: list[list[float]] = []
    for target in targets:
        place = bisect_right(keys, target)
        key = keys[place - 1] if place else 0.0
        run = found[-1] if found else [-float("inf")]
        near = key - run[-1] <= _SEEK_COSTS * gap
        long_enough = key > run[-1] and run[-1] - run[0] > _CHUNK_COSTS * gap  # the rest may go to another core
        if near and not long_enough:
            run.append(target)
        else:
            found.append([target])
    return found


def chunks(parts: Sequence[list[float]], keys: Sequence[float], gap: float) -> list[list[list[float]]]:
    """Pack runs into units of work for the cores.

    They depend on the video and the request alone, never on the number of cores: the pixels of a damaged video may
    depend on where decoding begins, and the same command must give the same bytes on every machine.
    """
    packed: list[list[list[float]]] = []
    cost, count = float("inf"), 0
    for part in parts:
        place = bisect_right(keys, part[0])
        key = keys[place - 1] if place else 0.0
        own = (part[-1] - key) / gap + _SEEK_COSTS
        if cost + own > _CHUNK_COSTS or count + len(part) > _CHUNK_TARGETS:
            packed.append([])
            cost, count = 0.0, 0
        packed[-1].append(part)
        cost, count = cost + own, count + len(part)
    return packed
