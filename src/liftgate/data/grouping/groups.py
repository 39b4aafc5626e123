"""Assign groups: sets of images that stay together in a split and count as one unit in statistics.

Frames of one video are near-copies; an interval that counts them as independent is too narrow, and a split through a
video tests on what was trained. Only the owner of the data knows the groups, so nothing is guessed here: there is one
rule, and figures on how well it fits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath

from liftgate.data.core.csv_tables import read_table, table_bytes
from liftgate.data.core.dataset import Dataset, Fault, Image
from liftgate.data.core.image_names import ImageNames
from liftgate.errors import DataError
from liftgate.files import write_bytes
from liftgate.patterns import PatternError, compiled_pattern

GROUPS_FILE = "groups.csv"
"""File of the groups in a written data set, because no format stores them"""
_EXAMPLE = "such as '^(?P<group>[^_]+)_': what stands before the first _ of the file name"
SESSION_GAP = timedelta(minutes=30)
"""Longest pause within a session, for the rule `name-time`."""

# Folder names that describe their contents and are not a group.
_PLACES = frozenset(
    "images image imgs img jpegimages data train val valid validation test trainval".split()  # noqa: SIM905
)
_STAMP = re.compile(
    r"(?<!\d)(?P<date>(?:19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d)[-_. T]?(?P<time>[0-2]\d[-_.:]?[0-5]\d[-_.:]?[0-5]\d)"
)


def write_groups(folder: Path, groups: Iterable[tuple[str, str | None]]) -> None:
    """Write pairs (image, group) as groups.csv, which `assign_groups` reads, unless no group is known."""
    if rows := [(image, group) for image, group in groups if group is not None]:
        write_bytes(folder / GROUPS_FILE, table_bytes(("image", "group"), rows))


def assign_groups(dataset: Dataset, rule: str, *, base: Path) -> Dataset:
    """Return the dataset with the groups that `rule` assigns.

    `rule` is one of:
        a regex with (?P<group>…), searched in the image's file name and then in its id
        a CSV with columns image,group (path relative to `base`); image is an id, a file name or a stem
        `folder`      the image's folder, without the parts that name a split or `images`
        `exif`        camera and day of the photograph
        `name-time`   time stamps in file names (IMG_20190209_224138), divided into sessions by a pause of 30 minutes
    An image that the rule does not fit keeps group None: it is a group of its own. A fault has the number of these.

    Raises:
        DataError: the rule is invalid, fits under half of the images, or puts all of them into one group by folder.
    """
    find = _finder(dataset, rule, base)
    groups = find(dataset.images)
    count = sum(group is not None for group in groups)
    total = len(groups)
    strays = [image.id for image, group in zip(dataset.images, groups, strict=True) if group is None]
    if total and count < total / 2:
        raise DataError(
            f"the rule for groups fits {count} of {total} images",
            where=rule,
            got=f"names such as {', '.join(strays[:3])}",
            hint="try it on these names; images that it does not fit would be counted as independent",
        )
    faults = list(dataset.faults)
    if strays:
        message = f"{rule} does not fit {len(strays)} of {total} images, such as {strays[0]}"
        faults.append(Fault("group_unmatched", str(dataset.source), message))
    images = [
        image if group == image.group else replace(image, group=group)
        for image, group in zip(dataset.images, groups, strict=True)
    ]
    return replace(dataset.with_images(images), faults=tuple(faults))


_Finder = Callable[[Sequence[Image]], list[str | None]]


def _finder(dataset: Dataset, rule: str, base: Path) -> _Finder:
    named: dict[str, _Finder] = {"folder": _by_folder, "exif": _by_exif, "name-time": _by_name_time}
    if rule in named:
        return named[rule]
    if rule.lower().endswith(".csv"):
        return lambda images: _by_csv(dataset, base / rule)
    if "(?P<group>" in rule:
        return lambda images: _by_regex(images, rule)
    raise DataError(
        "not a rule for groups",
        got=rule,
        expected="a regex with (?P<group>…), a CSV with columns image,group, folder, exif or name-time",
    )


def _by_regex(images: Sequence[Image], rule: str) -> list[str | None]:
    try:
        pattern = compiled_pattern(rule)
    except PatternError as error:
        raise DataError("the regex for groups is broken", where=rule, got=str(error), hint=_EXAMPLE) from None
    if "group" not in pattern.groupindex:  # (?P<group> may stand within brackets, or behind a backslash
        raise DataError("the regex for groups names no group", where=rule, expected="(?P<group>…)", hint=_EXAMPLE)

    def group(image: Image) -> str | None:
        match = pattern.search(PurePosixPath(image.id).name) or pattern.search(image.id)
        return match["group"] or None if match else None

    return [group(image) for image in images]


def _by_csv(dataset: Dataset, path: Path) -> list[str | None]:
    rows = read_table(path, ("image", "group"))
    places = ImageNames(dataset.images).find_all([row["image"] for _, row in rows])
    found: list[str | None] = [None] * len(dataset.images)
    unknown: list[str] = []
    for (line, row), index in zip(rows, places, strict=True):
        if index is None:
            unknown.append(row["image"])
        elif found[index] not in (None, row["group"]):
            raise DataError(
                "an image in two groups", where=f"{path}:{line}", got=f"{row['image']}: {found[index]}, {row['group']}"
            )
        else:
            found[index] = row["group"] or None
    if unknown and all(group is None for group in found):
        raise DataError(
            "no image of the CSV is in the data set",
            where=path,
            expected=f"names such as {dataset.images[0].id}" if dataset.images else "images",
            got=", ".join(unknown[:3]),
        )
    return found


def folder_of(image_id: str) -> str | None:
    """Return the folder of an image without the parts that name a split or `images`; None: nothing is left.

    >>> folder_of("train/images/yard/0001.jpg"), folder_of("images/0001.jpg")
    ('yard', None)
    """
    parts = [part for part in PurePosixPath(image_id).parent.parts if part.lower() not in _PLACES]
    return "/".join(parts) or None


def _by_folder(images: Sequence[Image]) -> list[str | None]:
    return [folder_of(image.id) for image in images]


def _by_exif(images: Sequence[Image]) -> list[str | None]:
    from PIL import ExifTags
    from PIL import Image as Picture

    def group(image: Image) -> str | None:
        try:
            with Picture.open(image.path) as picture:
                exif = picture.getexif()
                taken = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal)
                day = str(taken or exif.get(ExifTags.Base.DateTime) or "")[:10].replace(":", "-")
                camera = " ".join(str(exif.get(tag, "")).strip("\0 ") for tag in (0x010F, 0x0110)).strip()
        except Exception:  # missing or damaged: the fault `image_unreadable` reports it
            return None
        return f"{camera or 'camera'} {day}" if day.strip("-0 ") else None

    return [group(image) for image in images]


def _by_name_time(images: Sequence[Image]) -> list[str | None]:
    """Return sessions: images in order of time, divided where the pause exceeds SESSION_GAP; named by their first time.

    The text before the time stamp (a camera's name, `IMG`) is part of the session: two cameras are two sessions.
    """
    stamped: list[tuple[str, datetime, int]] = []
    for index, image in enumerate(images):
        name = PurePosixPath(image.id).name
        if (match := _STAMP.search(name)) and (moment := _moment(match)) is not None:
            stamped.append((name[: match.start()].strip("-_ "), moment, index))
    groups: list[str | None] = [None] * len(images)
    last: tuple[str, datetime] | None = None
    session = ""
    for prefix, moment, index in sorted(stamped):
        if last is None or last[0] != prefix or moment - last[1] > SESSION_GAP:
            session = f"{prefix} {moment:%Y-%m-%d %H:%M:%S}".strip()
        last = (prefix, moment)
        groups[index] = session
    return groups


def _moment(match: re.Match[str]) -> datetime | None:
    digits = re.sub(r"\D", "", match["date"] + match["time"])
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S")
    except ValueError:
        return None
