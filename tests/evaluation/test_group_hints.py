"""Group hints: names of video frames suggest one group for each video, whatever the exporter calls them."""

from __future__ import annotations

import re

import pytest

from evaluation.test_evaluate import BOX, said, truth
from liftgate.evaluation.compare import compare
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.group_hints import group_caveats, suggest_groups
from liftgate.evaluation.verdict import judge_claims
from liftgate.study.records import Claim, Gate


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


def test_images_that_the_rule_for_groups_does_not_fit_are_said_in_every_number() -> None:
    """A rule may leave out up to half of the images: each of them counts as a group, as if it were independent."""
    data = truth([1] * 20, [f"v{i // 2}" if i < 12 else None for i in range(20)])
    found = said([(i, BOX, 0.9) for i in range(0, 20, 3)], data)
    (caveat,) = group_caveats(data)
    assert caveat.startswith("8 of 20 images have no group") and "too narrow" in caveat
    assert caveat in compare(data, found, found).caveats
    measured = evaluate(data, found)
    assert measured.settings["groups"] == caveat
    gate = Gate("enough", on="d.test", arm="a", claims=(Claim("recall", at_least=0.1),))
    assert caveat in judge_claims(gate, measured).caveats


def test_groups_that_differ_only_in_case_or_spaces_are_said() -> None:
    data = truth([1] * 8, ["cam1", "Cam1", "cam 1", "cam2", "cam2 ", "cam3", "cam4", "cam5"])
    (caveat,) = group_caveats(data)
    assert "'Cam1' and 'cam 1' and 'cam1'" in caveat and "1 more" in caveat
    assert not group_caveats(truth([1] * 4, ["cam1", "cam2", "cam3", "cam4"]))


def test_a_caveat_on_few_groups_is_said_for_every_claim() -> None:
    """The first claim rests on 12 groups, the second on the six that hold objects."""
    data = truth([1] * 12 + [0] * 12, [f"v{i // 2}" for i in range(24)])
    found = said([(i, BOX, 0.9) for i in range(24)], data)
    claims = (Claim("false_positives_per_image", at_most=5.0), Claim("recall", at_least=0.1))
    gate = Gate("enough", on="d.test", arm="a", claims=claims)
    assert any("6 of 12 groups inform it" in text for text in judge_claims(gate, evaluate(data, found)).caveats)
