"""Parts of messages: the file and line of a label, counts with their nouns, a few examples of many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from liftgate.data.core.dataset import Dataset, Image

EXAMPLES = 5
"""How many of many equal faults a message names; `data` holds more."""
KEPT = 50
"""How many of many equal faults `data` holds."""


def row_place(dataset: Dataset, row: int) -> str:
    """Return file and line (YOLO), file and object (VOC) or file, image and annotation (COCO) of one label.

    Row numbers are the reader's: 1 is the first line or object.
    """
    labels = dataset.labels
    image, line = dataset.images[int(labels.image[row])], int(labels.line[row])
    if dataset.format == "yolo":
        return f"{image_place(dataset, image)}:{line}"
    if dataset.format == "voc":
        return f"{image_place(dataset, image)}, object {line}"
    return f"{image_place(dataset, image)}, image {image.id}, annotation {line}"


def image_place(dataset: Dataset, image: Image) -> str:
    """Return the label file of an image, or the image itself where it has none."""
    return str(image.label or image.path)


def listed(names: Iterable[str], total: int | None = None) -> str:
    """Return the first names and how many more there are.

    >>> listed("abcdefgh")
    'a, b, c, d, e and 3 more'
    """
    names = list(names)
    total = len(names) if total is None else total
    more = total - min(len(names), EXAMPLES)
    return ", ".join(names[:EXAMPLES]) + (f" and {more} more" if more else "")


def many(count: int, one: str, several: str | None = None) -> str:
    """Return a count with its noun.

    >>> many(1, "box", "boxes"), many(1234, "box", "boxes")
    ('1 box', '1,234 boxes')
    """
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def examples(items: Sequence[Any]) -> dict[str, Any]:
    """Return what `data` holds of many equal faults."""
    return {"count": len(items), "examples": list(items[:KEPT])}
