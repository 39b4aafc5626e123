"""Keeping classes and keypoints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liftgate.data.core.dataset import Dataset, Keypoints
from liftgate.data.core.filters import emptied_images, keep_classes, keep_keypoints, rename_classes
from liftgate.errors import DataError
from liftgate.testing import data as factory


def test_boxes_of_other_classes_go_and_images_stay() -> None:
    made = factory.dataset(6, classes=("cat", "dog", "cow"))
    kept = keep_classes(made, ["cow", "cat"])
    assert kept.classes == ("cow", "cat")
    assert kept.category_ids == (3, 1)
    assert len(kept.images) == 6
    names = [made.classes[cls] for cls in made.labels.cls]
    assert [kept.classes[cls] for cls in kept.labels.cls] == [name for name in names if name != "dog"]


def test_an_unknown_class_suggests_the_near_word() -> None:
    with pytest.raises(DataError, match="did you mean cat"):
        keep_classes(factory.dataset(2), ["cta"])
    with pytest.raises(DataError, match="no class to keep"):
        keep_classes(factory.dataset(2), [])


def test_renamed_classes_keep_their_boxes_and_two_of_one_name_are_joined() -> None:
    made = factory.dataset(6, classes=("Cat", "dog", "kitten"))
    named = rename_classes(made, {"Cat": "cat", "kitten": "cat"})
    assert (named.classes, named.category_ids) == (("cat", "dog"), (1, 2))
    becomes = {"Cat": "cat", "dog": "dog", "kitten": "cat"}
    before = [becomes[made.classes[cls]] for cls in made.labels.cls]
    assert [named.classes[cls] for cls in named.labels.cls] == before
    with pytest.raises(DataError, match="did you mean Cat"):
        rename_classes(made, {"cta": "cat"})


def skeleton() -> Dataset:
    names = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
    made = factory.dataset(2, objects=1)
    points = np.arange(30, dtype=np.float64).reshape(2, 5, 3)
    keypoints = Keypoints(names, (0, 2, 1, 4, 3), (0.1, 0.2, 0.2, 0.3, 0.3))
    return replace(made, keypoints=keypoints, labels=replace(made.labels, keypoints=points))


def test_keypoints_are_chosen_and_reordered_and_flip_idx_and_sigmas_follow() -> None:
    kept = keep_keypoints(skeleton(), ["right_eye", "nose", "left_eye"])
    assert kept.keypoints == Keypoints(("right_eye", "nose", "left_eye"), (2, 1, 0), (0.2, 0.1, 0.2))
    assert kept.labels.keypoints is not None
    assert kept.labels.keypoints[0, :, 0].tolist() == [6, 0, 3]


@pytest.mark.parametrize(
    ("names", "says"),
    [(["nose", "left_eye"], "mirror"), (["knee"], "no such keypoint"), (["nose", "nose"], "once"), ([], "once")],
)
def test_a_choice_that_cannot_be_mirrored_or_is_none_is_refused(names: list[str], says: str) -> None:
    with pytest.raises(DataError, match=says):
        keep_keypoints(skeleton(), names)


def test_case_ks_24_become_14_with_the_flip_that_was_missing() -> None:
    flip = [1, 0, 3, 2, 5, 4, 7, 6, 8, 10, 9, 12, 11, 13]
    names = [f"k{n}" for n in range(14)]
    more = [f"extra{n}" for n in range(10)]
    everything = Keypoints((*more, *names), (*range(10), *(10 + n for n in flip)))
    made = factory.dataset(1, objects=1)
    made = replace(made, keypoints=everything, labels=replace(made.labels, keypoints=np.zeros((3, 24, 3))[:1]))
    kept = keep_keypoints(made, names)
    assert kept.keypoints is not None
    assert kept.keypoints.flip_idx == tuple(flip)


def test_images_that_lose_all_their_boxes_stay_and_are_known() -> None:
    made = factory.dataset(12, classes=("cat", "dog"))
    cats = set(made.labels.image[made.labels.cls == 0].tolist())
    empty = set(range(12)) - set(made.labels.image.tolist())
    kept = keep_classes(made, ["cat"])
    assert len(kept.images) == 12
    assert len(kept.labels) == int((made.labels.cls == 0).sum())
    assert np.flatnonzero(~emptied_images(made, kept)).tolist() == sorted(cats | empty)
