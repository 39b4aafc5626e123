"""Which decoded frame answers which request, and where seeking saves work. Pure: times and anything that bears one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

_SEEK_COSTS = 8  # frames: a seek empties the decoder, and a B-frame stream fills it again before the first one is out
_CHUNK_COSTS = 1500  # frames of decoding in one piece of work, about a second of one core
_CHUNK_TARGETS = 64


def nearest(items: Iterable[tuple[float, T]], targets: Sequence[float]) -> Iterator[tuple[float, float, T, bool]]:
    """Yield (target, time, item, after) for every target, in order; of two items equally near, the earlier.

    `items` come in rising order of time, `targets` too. Reads one item past the last target at most. `after` is False
    where the items ended before the target; without any item nothing is yielded.

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
    """Cut `targets` where seeking is cheaper than decoding on.

    Each run is decoded from the key frame before its first target. A long one is cut at a key frame all the same, for
    another core to go on. `keys` are the times of the key frames, rising;
    `gap` is the usual time between two frames.

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
        long_enough = key > run[-1] and run[-1] - run[0] > _CHUNK_COSTS * gap  # another core may take the rest
        if near and not long_enough:
            run.append(target)
        else:
            found.append([target])
    return found


def chunks(parts: Sequence[list[float]], keys: Sequence[float], gap: float) -> list[list[list[float]]]:
    """Pack runs into pieces of work for the cores.

    The pieces depend on the video and the request alone, never on the number of cores: what a damaged video decodes to
    may depend on where decoding began, and the same command must give the same bytes on every machine.
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
