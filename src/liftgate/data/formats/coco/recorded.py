"""Predictions that a record vouches for: a file that was damaged or edited since is refused, with how to go on."""

from __future__ import annotations

from pathlib import Path

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats.coco.predictions import read_predictions
from liftgate.errors import DataError
from liftgate.hashing import short


def read_recorded(path: Path, dataset: Dataset, sha256: str | None) -> Predictions:
    """Read predictions that a step left.

    Args:
        path: COCO results JSON.
        dataset: the images that they were made on, as they were then.
        sha256: their content hash on record; None: the dataset may have changed since, so it cannot be compared.

    Raises:
        DataError: the file cannot be read, or holds other predictions.
    """
    hint = f"delete {path.name}: `liftgate run` predicts again"
    try:
        predictions = read_predictions(path, dataset)
    except DataError as error:
        raise DataError(error.what, where=error.where, expected=error.expected, got=error.got, hint=hint) from None
    if sha256 is not None and (found := predictions.content_hash()) != sha256:
        what = "not the predictions on record: the file was changed"
        raise DataError(what, where=path, expected=short(sha256), got=short(found), hint=hint)
    return predictions
