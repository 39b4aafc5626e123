"""Format parts of messages: the file and line of a label, a count with its noun, the first few of many names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from liftgate.data.core.dataset import Dataset, Image

MAX_NAMED = 5
"""The most names in a message"""
MAX_EXAMPLES = 50
"""The most examples in a finding's `data`"""


def label_location(dataset: Dataset, row: int) -> str:
    """Return file and line (YOLO), file and object (VOC) or file, image and annotation (COCO) of one label.

    Row numbers start at 1: the first line or object of the file.
    """
    labels = dataset.labels
    image, line = dataset.images[int(labels.image[row])], int(labels.line[row])
    if dataset.format == "yolo":
        return f"{label_file(dataset, image)}:{line}"
    if dataset.format == "voc":
        return f"{label_file(dataset, image)}, object {line}"
    return f"{label_file(dataset, image)}, image {image.id}, annotation {line}"


def label_file(dataset: Dataset, image: Image) -> str:
    """Return the label file of an image, or the image itself where it has none."""
    return str(image.label or image.path)


def first_few(names: Iterable[str], total: int | None = None) -> str:
    """Return the first names and the number of those left out, for a message.

    >>> first_few("abcdefgh")
    'a, b, c, d, e and 3 more'
    """
    names = list(names)
    total = len(names) if total is None else total
    more = total - min(len(names), MAX_NAMED)
    return ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more else "")


def plural(count: int, one: str, several: str | None = None) -> str:
    """Return a count with its noun.

    >>> plural(1, "box", "boxes"), plural(1234, "box", "boxes")
    ('1 box', '1,234 boxes')
    """
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def examples(items: Sequence[Any]) -> dict[str, Any]:
    """Return the keyword arguments `count` and `examples` of `Rule.finding` for many equal faults."""
    return {"count": len(items), "examples": list(items[:MAX_EXAMPLES])}
