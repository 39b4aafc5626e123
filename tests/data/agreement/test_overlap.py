"""The frames to label twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liftgate.data.agreement import draw_overlap
from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.errors import UsageError


def videos(*frames: int) -> Dataset:
    images = tuple(
        Image(f"v{video}_{frame:03d}.jpg", Path(f"/d/v{video}_{frame}.jpg"), 10, 10, group=f"v{video}")
        for video, count in enumerate(frames)
        for frame in range(count)
    )
    return Dataset("d", Path("/d"), Path("/d"), "yolo", ("person",), images, Labels.build([], [], []))


def drawn(dataset: Dataset, count: int, seed: int = 0) -> list[str]:
    return [image.id for image in draw_overlap(dataset, count, np.random.default_rng(seed)).images]


def test_the_draw_spreads_over_groups_before_it_repeats_one() -> None:
    dataset = videos(100, 3, 50, 1)
    per_video = Counter(name[:2] for name in drawn(dataset, 10))
    assert per_video == {"v0": 3, "v1": 3, "v2": 3, "v3": 1}


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    dataset = videos(40, 40)
    assert drawn(dataset, 10) == drawn(dataset, 10) != drawn(dataset, 10, seed=1)


def test_the_order_of_files_makes_no_difference() -> None:
    dataset = videos(20, 20, 5)
    turned = replace(dataset, images=dataset.images[::-1])
    assert drawn(dataset, 9) == sorted(drawn(turned, 9))


def test_no_frame_is_drawn_twice_and_all_can_be() -> None:
    assert sorted(drawn(videos(3, 4), 7)) == sorted(image.id for image in videos(3, 4).images)


@pytest.mark.parametrize("count", [0, -1, 8])
def test_more_than_there_are_is_refused(count: int) -> None:
    with pytest.raises(UsageError, match="expected 1 to 7"):
        drawn(videos(3, 4), count)
