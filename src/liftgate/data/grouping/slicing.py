"""Divide a dataset into slices by which results are reported, such as camera, day or weather."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from liftgate.data.core.csv_tables import read_table
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.image_names import ImageNames
from liftgate.data.grouping.groups import assign_groups
from liftgate.errors import DataError
from liftgate.patterns import PatternError, compiled_pattern

EXPECTED = "FILE.csv#COLUMN, a regex with one (?P<name>…), folder, exif, name-time or group"


def slice_images(dataset: Dataset, rule: str, *, base: Path) -> dict[str, str]:
    """Return image id → slice, for every image that `rule` fits.

    `rule` is one of:
        FILE.csv#COLUMN   a CSV with a column image and this one (#COLUMN may be left out if there is only one other)
        a regex with one named group, as (?P<camera>…), searched in the file name and then in the id
        `group`           the image's own group
        `folder`, `exif`, `name-time`   as for groups

    Raises:
        DataError: the rule is invalid or fits no image.
    """
    if rule == "group":
        found = {image.id: image.group for image in dataset.images}
    elif rule in ("folder", "exif", "name-time"):
        found = {image.id: image.group for image in assign_groups(dataset, rule, base=base).images}
    elif ".csv" in rule.lower():
        found = dict(_by_column(dataset, base, rule))
    elif "(?P<" in rule:
        found = dict(_by_regex(dataset, rule))
    else:
        raise DataError("not a rule for slices", got=rule, expected=EXPECTED)
    named = {id_: name for id_, name in found.items() if name}
    if not named:
        example = dataset.images[0].id if dataset.images else "none"
        raise DataError("no image belongs to a slice", where=rule, expected=f"to fit images such as {example}")
    return named


def _by_regex(dataset: Dataset, rule: str) -> dict[str, str | None]:
    try:
        pattern = compiled_pattern(rule)
    except PatternError as error:
        raise DataError("the regex for slices is broken", where=rule, got=str(error)) from None
    if len(pattern.groupindex) != 1:
        raise DataError("a regex for slices needs exactly one named group", expected="one (?P<name>…)", got=rule)
    (name,) = pattern.groupindex
    matches = {
        image.id: pattern.search(PurePosixPath(image.id).name) or pattern.search(image.id) for image in dataset.images
    }
    return {id_: match[name] if match else None for id_, match in matches.items()}


def _by_column(dataset: Dataset, base: Path, rule: str) -> dict[str, str]:
    file, _, column = rule.partition("#")
    path = base / file
    rows = read_table(path, ("image", column) if column else ("image",))
    others = [name for name in (rows[0][1] if rows else {}) if name != "image"]
    if not column:
        if len(others) != 1:
            raise DataError(
                "which column?", where=path, expected=f"{file}#COLUMN", got=", ".join(others) or "no other column"
            )
        column = others[0]
    places = ImageNames(dataset.images).find_all([row["image"] for _, row in rows])
    found: dict[str, str] = {}
    for (line, row), place in zip(rows, places, strict=True):
        if place is None:
            continue
        image, value = dataset.images[place].id, row[column].strip()
        if found.setdefault(image, value) != value:
            raise DataError("an image in two slices", where=f"{path}:{line}", got=f"{image}: {found[image]}, {value}")
    return found
