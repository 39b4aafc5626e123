"""Mixing: the training images of a stage that trains on several datasets, or on a part of one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset
from liftgate.data.merging.merge import plan_merge
from liftgate.data.merging.mix import Mix, mix
from liftgate.errors import StudyError
from liftgate.hashing import content_hash
from liftgate.progress import Progress, silent
from liftgate.study.records import Part, Stage


def mixed(stage: Stage, dataset: Callable[[str], Dataset], *, progress: Progress = silent) -> Mix:
    """Return what a stage trains on: training images of every part, and val (and test) of `stage.data` only.

    Args:
        stage: with a mix of datasets.
        dataset: returns the dataset of a name.
        progress: called while images are compared.

    Raises:
        StudyError: a part has fewer training images than the study takes from it.
        DataError: the datasets do not fit together (classes spelled alike, other skeletons, the same image in two).
    """
    chosen = {part.dataset: _training_mask(dataset(part.dataset), part) for part in stage.mix}
    validated = dataset(stage.data)
    held = _held_out_mask(validated)
    chosen[stage.data] = chosen.get(stage.data, np.zeros_like(held)) | held
    parts = {name: dataset(name).take(mask) for name, mask in chosen.items()}
    if len(parts) == 1:
        only, repeat = parts[stage.data], stage.mix[0].repeat
        train = [image.id for image in only.images if image.split == "train"]
        return Mix(only, dict.fromkeys(train, repeat) if repeat != 1 else {}, {})
    repeats = {part.dataset: part.repeat for part in stage.mix}
    plan = plan_merge([parts[name] for name in parts], progress=progress)
    return mix(plan, repeats=repeats, held_out=stage.data)


def mix_hash(stage: Stage, fingerprint: Callable[[str], str]) -> str:
    """Return the hash of what a stage trains on and is validated on."""
    parts = [[fingerprint(part.dataset), part.repeat, part.take] for part in stage.mix]
    return content_hash(["mix", parts, fingerprint(stage.data)])


def _training_mask(dataset: Dataset, part: Part) -> NDArray[np.bool_]:
    """Return the mask of the training images that a part contributes.

    `take` selects by the hash of the ids: the same images for every arm, seed and machine, and a selection of 50 is a
    subset of one of 100. (With a seed the data of two arms would differ by accident.)
    """
    train = [index for index, image in enumerate(dataset.images) if image.split == "train"]
    if len(train) < (part.take or 1):
        expected = "training images" if part.take is None else f"{part.take} training images"
        raise StudyError(f"{part.dataset} cannot give its part of a mix", expected=expected, got=len(train))
    if part.take is not None:
        train = sorted(train, key=lambda index: content_hash(dataset.images[index].id))[: part.take]
    mask = np.zeros(len(dataset.images), dtype=np.bool_)
    mask[train] = True
    return mask


def _held_out_mask(dataset: Dataset) -> NDArray[np.bool_]:
    """Return the mask of val and test; test is included to find copies of its images in other parts."""
    return np.array([image.split not in (None, "train") for image in dataset.images], dtype=np.bool_)
