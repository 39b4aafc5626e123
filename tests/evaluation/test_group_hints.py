"""Group hints: names of video frames suggest one group for each video, whatever the exporter calls them."""

from __future__ import annotations

import re

import pytest

from liftgate.evaluation.group_hints import suggest_groups


@pytest.mark.parametrize(
    "form",
    [
        "{}_mp4-{}_jpg.rf.0a1b2c3d4e5f60718293a4b5c6d7e8f9.jpg",
        "{}-mp4-{}.jpg",
        "{}.mp4-{}.jpg",
        "{}_MP4-{}_jpg.jpg",
        "{}_MOV-{:04}_png.rf.0a1b.png",
        "{}_avi_{}.png",
        "{}_webm-{}_jpg.jpg",
        "{}_mp4_frame_{}.jpg",
        "{}_3gp-{}_jpg.jpg",
        "{}_frame{:05}.jpg",
        "{}_{:03}.jpg",
    ],
)
def test_every_video_is_a_group(form: str) -> None:
    videos = ["gate", "yard 2", "2024-05-01_cam"]
    names = [form.format(video, number) for video in videos for number in range(8)]
    hint = suggest_groups(names)
    assert hint is not None and hint.n_groups == 3
    groups = [match["group"] for name in names if (match := re.search(hint.rule, name))]
    assert [len(set(groups[start : start + 8])) for start in (0, 8, 16)] == [1, 1, 1]


@pytest.mark.parametrize(
    "names",
    [
        [f"{number:012}.jpg" for number in range(40)],
        [f"{'abcdefghij'[number % 10]}{number}.jpg" for number in range(40)],
        [f"one_mp4-{number}_jpg.jpg" for number in range(40)],
    ],
)
def test_photographs_and_one_single_video_suggest_nothing(names: list[str]) -> None:
    assert suggest_groups(names) is None
