"""Select at most N videos of each category, camera or day."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from liftgate.data.video_frames.records import FrameSource
from liftgate.errors import UsageError

Stratum = Literal["category", "camera", "day", "camera-day"]


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `count` sources of each stratum."""

    stratum: Stratum
    count: int

    @classmethod
    def parse(cls, text: str) -> Quota:
        """Read `category=3`.

        Raises:
            UsageError: unknown stratum, or not a positive number.

        >>> Quota.parse("camera-day=2")
        Quota(stratum='camera-day', count=2)
        """
        stratum, _, count = text.partition("=")
        if stratum not in get_args(Stratum) or not count.isascii() or not count.isdigit() or int(count) < 1:
            raise UsageError("not a quota", expected=f"{', '.join(get_args(Stratum))}, then =N", got=text)
        return cls(stratum, int(count))  # type: ignore[arg-type]  # one of get_args(Stratum)


def select(sources: Sequence[FrameSource], quotas: Sequence[Quota], seed: int) -> list[FrameSource]:
    """Return the sources that meet every quota, one quota after the other, in the order of `sources`.

    Sources are taken by rank, the SHA-256 of seed and name: a video that is added later takes part in the draw without
    changing the order of the others (as a shuffle of the list would).
    """
    kept = list(sources)
    for quota in quotas:
        strata: dict[str, list[FrameSource]] = defaultdict(list)
        for source in kept:
            strata[stratum_of(source, quota.stratum)].append(source)
        taken = {
            id(source)
            for members in strata.values()
            for source in sorted(members, key=lambda source: _rank(source, seed))[: quota.count]
        }
        kept = [source for source in kept if id(source) in taken]
    return kept


def stratum_of(source: FrameSource, stratum: Stratum) -> str:
    """Return the name of the stratum that a source is in; empty: unknown."""
    if stratum == "camera-day":
        return f"{source.camera} {source.day}".strip()
    return {"category": source.category, "camera": source.camera, "day": source.day}[stratum]


def _rank(source: FrameSource, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{source.name}".encode("utf-8", "surrogateescape")).digest()
