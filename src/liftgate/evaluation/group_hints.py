"""Group hints: a caveat where groups are missing or spelled in two ways, and the rule that names of frames suggest."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath
from typing import NamedTuple

from liftgate.data.core.dataset import Dataset

# Regular expressions for common file names of video frames, the most specific first.
_RULES = (
    # street_mp4-107_jpg.rf.0a1b.jpg, street-mp4-12.jpg, street.MOV_frame_7.png
    r"^(?P<group>.+?)[-_.](?i:mp4|mov|avi|mkv|webm|mts|m4v|mpe?g|wmv|3gp)[-_]+(?:(?i:frame)[-_]*)?\d+",
    r"^(?P<group>.+?)[-_.]?frame[-_]?\d+",  # street_frame0012.jpg
    r"^(?P<group>.*\D.*?)[-_]\d{3,}\.[^.]+$",  # street_000.jpg, v12_0045.png
)
_MIN_MATCHING_SHARE = 0.9
"""Share of the file names that a rule must match"""
_MIN_IMAGES_PER_GROUP = 3.0
"""Mean number of images per group that a rule must yield"""


class GroupHint(NamedTuple):
    """A rule that the file names suggest."""

    rule: str
    n_groups: int


def suggest_groups(names: list[str]) -> GroupHint | None:
    """Return the group rule that fits the file names, if they look like frames of several videos; else None.

    >>> suggest_groups([f"{place}_{i:03}.jpg" for place in ("street", "yard") for i in range(20)]).n_groups
    2
    >>> suggest_groups([f"{i:012}.jpg" for i in range(40)])
    """
    for rule in _RULES:
        found = [match.group("group") for name in names if (match := re.search(rule, PurePosixPath(name).name))]
        groups = len(set(found))
        if (
            len(found) >= _MIN_MATCHING_SHARE * len(names)
            and groups >= 2
            and len(found) >= _MIN_IMAGES_PER_GROUP * groups
        ):
            return GroupHint(rule, groups)
    return None


def group_caveats(truth: Dataset) -> tuple[str, ...]:
    """Return the caveats that a verdict needs where groups are not given, or only in part; empty where all are."""
    if any(image.group is not None for image in truth.images):
        remark = group_remark(truth)
        return (remark,) if remark else ()
    text = "no groups are given: every image counts as a group of its own"
    hint = suggest_groups([image.path.name for image in truth.images])
    if hint is None:
        return (f"{text}; if they are frames of videos, the interval is too narrow (--groups)",)
    return (
        f"warning: {text}, and their names look like frames of {hint.n_groups} videos: then the interval is too "
        f"narrow; --groups '{hint.rule}' would fit",
    )


def group_remark(truth: Dataset) -> str:
    """Return what makes given groups too many: images without one, and names that are spelled in two ways; else empty.

    Both make the interval too narrow if such images belong together, and nobody asked for it.
    """
    given = sorted({image.group for image in truth.images if image.group is not None})
    alone = [image.id for image in truth.images if image.group is None]
    texts = []
    if given and alone:
        texts.append(
            f"{len(alone)} of {len(truth.images)} images have no group, such as {alone[0]}, and count as groups of "
            f"their own: if they are frames of videos, the interval is too narrow"
        )
    spelled: dict[str, list[str]] = {}
    for name in given:
        spelled.setdefault("".join(unicodedata.normalize("NFKC", name).casefold().split()), []).append(name)
    alike = [names for names in spelled.values() if len(names) > 1]
    if alike:
        named = " and ".join(map(repr, alike[0]))
        more = f" (and {len(alike) - 1} more such names)" if len(alike) > 1 else ""
        texts.append(f"the groups {named}{more} differ only in case or spaces, and count as different ones")
    return "; ".join(texts)
