"""Group hints: a caveat where groups are missing or spelled in two ways, and the rule that names of frames suggest."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

from liftgate.data.core.dataset import Dataset
from liftgate.data.grouping.groups import folder_of

_END, _END_OF_ROBOFLOW = r"\.\w+$", r"(?:_[A-Za-z]{3,4})?(?:\.rf\.\w+)?\.\w+$"
"""What follows the number of a frame"""
_PHOTOGRAPH = re.compile(r"^(?i:img|image|dsc[nf]?|pxl|dji|gopr|photo|pic|picture)[-_ ]?\d+[_.]")
"""Names that cameras give to photographs in turn, which are no videos"""


class _NameRule(NamedTuple):
    """A rule for groups that a kind of file names suggests."""

    start: str
    """The regular expression, up to the number of the frame"""
    to_end: bool = True
    """Whether nothing but the ending may follow"""
    groups: str = "frames of {} videos"
    """What the names look like"""
    certain: bool = False
    """Whether a single group is one too: nothing but frames is called so"""
    least: float = 3.0
    """Mean number of images per group that the rule must yield"""
    of_photographs: bool = False
    """Whether it may fit names that cameras give to photographs"""


# The most specific first.
_RULES = (
    # street_mp4-107_jpg.rf.0a1b.jpg, street-mp4-12.jpg, street.MOV_frame_7.png, street.mp4.00012.jpg
    _NameRule(
        r"^(?P<group>.+?)[-_.](?i:mp4|mov|avi|mkv|webm|mts|m4v|mpe?g|wmv|3gp)[-_.]+(?:(?i:frame)[-_]*)?\d+",
        to_end=False, certain=True,
    ),
    _NameRule(r"^(?P<group>.+?)[-_. ]?(?i:frame|frm)[-_ ]?\d+", to_end=False, certain=True),  # street_frame0012.jpg
    _NameRule(r"^(?P<group>(?i:frame|frm))[-_ ]?\d+", certain=True),  # frame0012.jpg
    _NameRule(r"^(?i:frame|frm)[-_ ]?\d+[-_](?P<group>.+?)", certain=True),  # frame_0012_street.jpg
    # cam1-2024-05-01T10-00-00.jpg, gate_20240501_100000.jpg
    _NameRule(
        r"^(?P<group>.*?(?<!\d)(?:19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d)[-_. T]?[0-2]\d[-_.:h]?[0-5]\d(?!\d{5})",
        to_end=False, groups="pictures of {} days of cameras",
    ),
    # street_00-01-12.jpg, street_00h01m12s.jpg
    _NameRule(r"^(?P<group>.*?\D.*?)[-_ ]\d\d[-_.:h]\d\d(?:[-_.:m]\d\d)?(?:[-_.]\d{1,6})?s?"),
    _NameRule(r"^(?P<group>.*\D.*?)[-_ ]\d{3,}"),  # street_000.jpg, v12_0045_jpg.rf.0a1b.jpg
    _NameRule(r"^(?P<group>(?!(?:19|20)\d\d[-_])\d{1,8})[-_]\d{3,}"),  # 0003_00012.jpg
    _NameRule(r"^(?P<group>.*?\D.*?)[-_ ](?i:f|t|img|image)[-_ ]?\d+(?:ms|s)?"),  # street_f12.jpg, street_t5s.jpg
    _NameRule(r"^(?P<group>.*\D.*?)(?:[-_ ]\d+(?:ms|s)?| ?\(\d+\))"),  # street_7.jpg, street_500ms.jpg, street (7).jpg
    _NameRule(r"^(?P<group>.+)\.rf\.\w+", groups="copies of {} pictures", least=1.5, of_photographs=True),  # Roboflow
)  # fmt: skip
_MIN_MATCHING_SHARE = 0.9
"""Share of the file names that a rule must match"""
_PROBED = 100
"""Names that are looked at before all of them are: thousands of images cost as little as a hundred"""
_IN_FOLDERS = re.compile(r"^(?:(?i:frame|frm|img|image|f)?[-_ ]?\d+)" + _END_OF_ROBOFLOW)
"""Names of frames whose video is the folder"""


class GroupHint(NamedTuple):
    """A rule that the file names suggest."""

    rule: str
    n_groups: int
    groups: str
    """What the names look like, in words"""


def suggest_groups(names: Sequence[str]) -> GroupHint | None:
    """Return the group rule that fits the images' names, if they look like frames of videos; else None.

    Args:
        names: file names, with their folders where these are known.

    >>> suggest_groups([f"{place}_{i:03}.jpg" for place in ("street", "yard") for i in range(20)]).n_groups
    2
    >>> suggest_groups([f"{i:012}.jpg" for i in range(40)])
    """
    folders = _of_most(names, _folders)
    if _enough(folders, _NameRule("")):
        return _hint("folder", folders, "frames of {} videos")
    end = _END_OF_ROBOFLOW if any(".rf." in name for name in names) else _END
    for one in _RULES:
        rule = one.start + (end if one.to_end else "")
        found = _of_most(names, functools.partial(_groups, rule=rule, kind=one))
        if _enough(found, one):
            return _hint(rule, found, one.groups)
    return None


def _of_most(names: Sequence[str], find: Callable[[Sequence[str]], list[str]]) -> list[str]:
    """Return what is found in the names, or nothing where it is not found in nearly all of them."""
    found: list[str] = []
    for some in (names[:: max(1, len(names) // _PROBED)], names):
        found = find(some)
        if len(found) < _MIN_MATCHING_SHARE * len(some):
            return []
    return found


def _folders(names: Sequence[str]) -> list[str]:
    """Return the folders of the images that are named like frames of a video."""
    found = (folder_of(name) for name in names if _IN_FOLDERS.search(_file_name(name)))
    return [folder for folder in found if folder]


def _groups(names: Sequence[str], rule: str, kind: _NameRule) -> list[str]:
    """Return the groups of the images that the rule fits."""
    files = [_file_name(name) for name in names]
    any_name = kind.certain or kind.of_photographs
    matches = [re.search(rule, file) for file in files if any_name or not _PHOTOGRAPH.match(file)]
    return [match["group"] for match in matches if match]


def _file_name(name: str) -> str:
    return name.rpartition("/")[2]


def _enough(found: Sequence[str], rule: _NameRule) -> bool:
    groups = len(set(found))
    return groups >= (1 if rule.certain else 2) and len(found) >= max(rule.least * groups, 5)


def _hint(rule: str, found: Sequence[str], groups: str) -> GroupHint:
    count = len(set(found))
    text = groups.format(count)
    return GroupHint(rule, count, text.replace("1 videos", "one video") if count == 1 else text)


def group_caveats(truth: Dataset) -> tuple[str, ...]:
    """Return the caveats that a verdict needs where groups are not given, or only in part; empty where all are."""
    return _caveats([image.id for image in truth.images], [image.group for image in truth.images])


def key_caveats(names: Sequence[str], keys: Sequence[str]) -> tuple[str, ...]:
    """Return `group_caveats` of images whose groups are known by their keys, as draws and samples record them.

    Args:
        names: of the images.
        keys: `Image.key` of each: that of an image without a group begins with `image:`.
    """
    return _caveats(names, [None if key.startswith("image:") else key for key in keys])


def _caveats(names: Sequence[str], groups: Sequence[str | None]) -> tuple[str, ...]:
    if all(group is None for group in groups):
        return (missing_groups(names),)
    remark = _remark(names, groups)
    return (remark,) if remark else ()


def missing_groups(names: Sequence[str]) -> str:
    """Return the caveat on images without groups, with the rule that fits where their names look like frames."""
    text = "no groups are given: every image counts as a group of its own"
    hint = suggest_groups(names)
    if hint is None:
        return f"{text}; if they are frames of videos, the interval is too narrow (--groups)"
    return (
        f"warning: {text}, and their names look like {hint.groups}: then the interval is too narrow; "
        f"--groups '{hint.rule}' would fit"
    )


def _remark(names: Sequence[str], groups: Sequence[str | None]) -> str:
    """Return what makes given groups too many: images without one, and names that are spelled in two ways; else empty.

    Both make the interval too narrow if such images belong together, and nobody asked for it.
    """
    given = sorted({group for group in groups if group is not None})
    alone = [name for name, group in zip(names, groups, strict=True) if group is None]
    texts = []
    if given and alone:
        texts.append(
            f"{len(alone)} of {len(names)} images have no group, such as {alone[0]}, and count as groups of "
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
