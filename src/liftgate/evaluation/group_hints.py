"""Group hints: what to say where no groups are given, and the rule that file names of video frames suggest."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import NamedTuple

from liftgate.data.core.dataset import Dataset

# Rules that fit names which frames of videos usually have, the most particular first.
_RULES = (
    r"^(?P<group>.+?)[-_](?:mp4|avi|mov|mkv)[-_]\d+",  # street_mp4-107_jpg.rf.0a1b.jpg, street-mp4-12.jpg
    r"^(?P<group>.+?)[-_.]?frame[-_]?\d+",  # street_frame0012.jpg
    r"^(?P<group>.*\D.*?)[-_]\d{3,}\.[^.]+$",  # street_000.jpg, v12_0045.png
)
_MOST = 0.9
"""Share of the names that a rule must fit"""
_LEAST_PER_GROUP = 3.0
"""Images in a group on average, from which on names look like frames of videos"""


class GroupHint(NamedTuple):
    """A rule that the file names suggest."""

    rule: str
    n_groups: int


def suggest_groups(names: list[str]) -> GroupHint | None:
    """Return the rule by which file names look like frames of several videos; None: they do not.

    >>> suggest_groups([f"{place}_{i:03}.jpg" for place in ("street", "yard") for i in range(20)]).n_groups
    2
    >>> suggest_groups([f"{i:012}.jpg" for i in range(40)])
    """
    for rule in _RULES:
        found = [match.group("group") for name in names if (match := re.search(rule, PurePosixPath(name).name))]
        groups = len(set(found))
        if len(found) >= _MOST * len(names) and groups >= 2 and len(found) >= _LEAST_PER_GROUP * groups:
            return GroupHint(rule, groups)
    return None


def group_caveats(truth: Dataset) -> tuple[str, ...]:
    """Return what must be said of the groups beside a verdict; empty where they are given."""
    if any(image.group is not None for image in truth.images):
        return ()
    text = "no groups are given: every image counts as a group of its own"
    hint = suggest_groups([image.path.name for image in truth.images])
    if hint is None:
        return (f"{text}; if they are frames of videos, the interval is too narrow (--groups)",)
    return (
        f"warning: {text}, and their names look like frames of {hint.n_groups} videos: then the interval is too "
        f"narrow; --groups '{hint.rule}' would fit",
    )
