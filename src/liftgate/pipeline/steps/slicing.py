"""Slices in which the metrics of a gate are measured too."""

from __future__ import annotations

from liftgate.data.core.dataset import Dataset
from liftgate.data.grouping.slicing import slice_images
from liftgate.pipeline.context import Context
from liftgate.study.records import Gate

_MAX_GROUPS = 100
"""Most groups that are slices by themselves"""


def named_slices(context: Context, gate: Gate) -> dict[str, str] | None:
    """Return image id → slice by the gate's own rule; None: it has none.

    Raises:
        DataError: the rule fits no image.
    """
    if gate.by is None:
        return None
    return slice_images(context.datasets.truth(gate.on), gate.by, base=context.study.folder)


def groups_as_slices(truth: Dataset) -> dict[str, str] | None:
    """Return image id → group; None where groups are not known, or too many for a table."""
    found = {image.id: image.group for image in truth.images if image.group is not None}
    return found if found and len(set(found.values())) <= _MAX_GROUPS else None
