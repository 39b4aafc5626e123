"""How keypoints are labelled: which are there, and where in the box they lie. Two conventions differ here first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.overview.columns import counted_labels


@dataclass(frozen=True, slots=True)
class KeypointRow:
    """One keypoint: how often it is labelled, and where it lies in the box."""

    name: str
    absent: float
    hidden: float
    visible: float
    """Shares of objects"""
    x: float | None
    y: float | None
    """Mean place in the box where labelled, 0 … 1 from left and top"""
    spread: float | None
    """Standard deviation around it, in box sizes"""
    n_labelled: int
    flips_to: str | None
    """Its partner when the image is mirrored"""


def keypoint_rows(dataset: Dataset) -> tuple[KeypointRow, ...]:
    """One row for each keypoint; none where the files do not say which are labelled (no visibility column)."""
    labels = counted_labels(dataset)
    if dataset.keypoints is None or dataset.keypoints.dims == 2 or labels.keypoints is None or not len(labels):
        return ()
    points, flips = labels.keypoints, dataset.keypoints.flip_idx
    size = labels.boxes[:, None, 2:] - labels.boxes[:, None, :2]
    place = np.divide(
        points[:, :, :2] - labels.boxes[:, None, :2], size, out=np.zeros_like(points[:, :, :2]), where=size > 0
    )
    rows = []
    for k, name in enumerate(dataset.keypoints.names):
        seen = points[:, k, 2]
        said = place[seen > 0, k]
        rows.append(
            KeypointRow(
                name=name,
                absent=float((seen == 0).mean()),
                hidden=float((seen == 1).mean()),
                visible=float((seen == 2).mean()),
                x=float(said[:, 0].mean()) if len(said) else None,
                y=float(said[:, 1].mean()) if len(said) else None,
                spread=float(np.sqrt(said.var(axis=0).sum())) if len(said) else None,
                n_labelled=len(said),
                flips_to=dataset.keypoints.names[flips[k]] if flips else None,
            )
        )
    return tuple(rows)
