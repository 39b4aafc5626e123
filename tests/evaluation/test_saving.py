"""What pre-labels saved: half of the groups had none, and the difference has an interval over groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.errors import DataError
from liftgate.evaluation.saving import MeasuredSaving, WorkTimes, timed, work_times

WHERE = Path("/nowhere/task.xml")


def batch(groups: int, rng: np.random.Generator, per_group: int = 4, objects: float = 3.0) -> Dataset:
    """Images in groups, each with some boxes."""
    images = tuple(
        Image(f"g{g:02d}_{k}.jpg", WHERE, 100, 100, group=f"g{g:02d}", label=WHERE)
        for g in range(groups)
        for k in range(per_group)
    )
    image = np.repeat(np.arange(len(images)), rng.poisson(objects, len(images)))
    boxes = np.tile([10.0, 10, 30, 30], (len(image), 1))
    labels = Labels.build(image, np.zeros(len(image), dtype=np.int64), boxes)
    return Dataset("made", WHERE.parent, WHERE, "cvat", ("cat",), images, labels)


def spent(dataset: Dataset, had: Mapping[str, bool], rng: np.random.Generator, saved: float = 6.0) -> dict[str, float]:
    """Seconds of work: 3 s to look at an image, and 15 s for each object less what pre-labels save."""
    pace = {group: rng.lognormal(0, 0.25) for group in sorted({image.key for image in dataset.images})}
    boxes = np.bincount(dataset.labels.image, minlength=len(dataset.images))
    return {
        image.id: pace[image.key] * (3 + (15 - saved * had[image.id]) * int(count)) * rng.lognormal(0, 0.2)
        for image, count in zip(dataset.images, boxes, strict=True)
    }


def measured(groups: int, seed: int, saved: float = 6.0) -> MeasuredSaving:
    rng = np.random.default_rng(seed)
    dataset = batch(groups, rng)
    chosen = set(rng.permutation(groups)[: groups // 2].tolist())
    had = {image.id: int(image.key[1:]) in chosen for image in dataset.images}
    found = work_times(dataset, spent(dataset, had, rng, saved), had).saving
    assert found is not None
    return found


def test_the_saving_is_what_an_object_takes_without_less_what_it_takes_with_pre_labels() -> None:
    found = measured(40, seed=1)
    with_, without = found.with_prelabels, found.without
    assert with_.per_object is not None and without.per_object is not None
    assert found.per_object.estimate == without.per_object.estimate - with_.per_object.estimate
    assert found.per_object.low is not None and 0 < found.per_object.low < 6 < (found.per_object.high or 0)
    assert found.minutes.estimate == pytest.approx(found.per_object.estimate * with_.n_objects / 60)
    assert (found.per_object.n_images, found.per_object.n_groups, found.per_object.level) == (160, 40, 0.95)
    assert "pre-labels saved time" in found.text and "160 images in 40 groups" in found.text
    assert "two-sample" in found.text and "95%" in found.text


def test_pre_labels_that_cost_time_are_said_to() -> None:
    assert "pre-labels cost time: -" in measured(40, seed=2, saved=-12).text
    assert "may have saved time or cost it" in measured(12, seed=3, saved=0).text


@pytest.mark.parametrize("groups", [10, 16])
def test_the_interval_covers_the_truth_as_often_as_it_says(groups: int) -> None:
    """The truth is that of ten thousand groups; 300 batches leave 2.5 points of chance."""
    truth = measured(4000, seed=0).per_object.estimate
    found = [measured(groups, seed).per_object for seed in range(1, 301)]
    assert all(one.established for one in found)
    assert np.mean([(one.low or 0) <= truth <= (one.high or 0) for one in found]) >= 0.925


def test_under_five_groups_in_a_half_or_without_variance_there_is_no_interval() -> None:
    few = measured(8, seed=4)
    assert not few.per_object.established and not few.minutes.established
    assert "not established" in few.text and "at least 5 are needed" in few.text
    dataset = batch(12, np.random.default_rng(5))
    boxes = np.bincount(dataset.labels.image, minlength=len(dataset.images))
    had = {image.id: int(image.key[1:]) % 2 == 0 for image in dataset.images}
    exact = {image.id: 2.0 * int(n) + 1e-9 * (n == 0) for image, n in zip(dataset.images, boxes, strict=True) if n}
    found = work_times(dataset, exact, had).saving
    assert found is not None and found.per_object.estimate == 0 and not found.per_object.established
    assert "never vary" in found.text


def test_images_without_a_time_are_not_counted_and_said() -> None:
    rng = np.random.default_rng(6)
    dataset = batch(12, rng)
    had = {image.id: int(image.key[1:]) % 2 == 0 for image in dataset.images}
    seconds = spent(dataset, had, rng)
    gone = [image.id for image in dataset.images][::8]
    found = work_times(dataset, {name: one for name, one in seconds.items() if name not in gone}, had)
    assert (found.all.n_untimed, found.all.n_images) == (len(gone), 48 - len(gone))
    assert f"{len(gone)} images have no time: not counted in it" in found.lines
    one_sided = work_times(dataset, {name: one for name, one in seconds.items() if had[name]}, had)
    assert one_sided.saving is None and one_sided.all.n_untimed == 24
    assert one_sided.lines[-1] == "in the half without no object has a time: what pre-labels saved is not known"
    with pytest.raises(DataError, match="no time of work is known"):
        work_times(dataset, {}, had)


def test_groups_without_objects_were_work_too_and_widen_the_interval() -> None:
    rng = np.random.default_rng(7)
    dataset = batch(14, rng)
    empty = np.array([image.key >= "g10" for image in dataset.images])
    bare = replace(dataset, labels=dataset.labels.take(~empty[dataset.labels.image]))
    seconds = {image.id: 20.0 + rng.uniform(0, 4) for image in dataset.images}
    all_ = timed(bare, seconds).per_object
    some = timed(bare.take(~empty), seconds).per_object
    assert all_ is not None and some is not None
    assert all_.estimate == pytest.approx(some.estimate * 14 / 10, rel=0.05)
    assert (all_.n_groups, all_.informative) == (14, 10)
    assert (all_.high or 0) - (all_.low or 0) > (some.high or 0) - (some.low or 0)


def test_without_halves_the_seconds_are_told_and_no_saving() -> None:
    rng = np.random.default_rng(8)
    dataset = batch(10, rng)
    found = work_times(dataset, dict.fromkeys((image.id for image in dataset.images), 30.0), None, 0.9)
    assert isinstance(found, WorkTimes) and found.saving is None
    assert found.all.per_image == 30 and found.all.per_object is not None and found.all.per_object.level == 0.9
    (line,) = found.lines
    assert "s an object" in line and "40 images in 10 groups" in line
    nothing = replace(dataset, labels=dataset.labels.take(np.zeros(len(dataset.labels), dtype=np.bool_)))
    assert timed(nothing, {dataset.images[0].id: 3.0}).per_object is None
