"""Group hints: names of video frames suggest one group for each video, whatever the exporter calls them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.test_evaluate import BOX, said, truth
from liftgate.data.grouping.groups import assign_groups
from liftgate.evaluation.compare import compare
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.group_hints import group_caveats, suggest_groups
from liftgate.evaluation.verdict import judge_claims
from liftgate.study.records import Claim, Gate

FORMS = [
    "{}_mp4-{}_jpg.rf.0a1b2c3d4e5f60718293a4b5c6d7e8f9.jpg",
    "{}-mp4-{}.jpg",
    "{}.mp4-{}.jpg",
    "{}.mp4.{:05}.jpg",
    "{}_MP4-{}_jpg.jpg",
    "{}_MOV-{:04}_png.rf.0a1b.png",
    "{}_avi_{}.png",
    "{}_webm-{}_jpg.jpg",
    "{}_mp4_frame_{}.jpg",
    "{}_3gp-{}_jpg.jpg",
    "{}_frame{:05}.jpg",
    "{} FRAME{}.jpg",
    "{}_{:03}.jpg",
    "{}_{:03}_jpg.rf.0a1b2c3d4e5f60718293a4b5c6d7e8f9.jpg",
    "{}_{}.jpg",
    "{} ({}).jpg",
    "{}_{}00ms.jpg",
    "{}_t{}s.jpg",
    "{}_img{:04}.jpg",
    "{}_00-01-{:02}.jpg",
    "{}_00h01m{:02}s.jpg",
    "{}-2024-05-02T10-00-{:02}.jpg",
    "{}_20240502_1000{:02}.jpg",
    "{}/{:06}.jpg",
    "images/train/{}/frame_{:04}.jpg",
]


def fitted_groups(names: list[str], rule: str) -> list[str | None]:
    """Groups by the rule, as `--groups` assigns them."""
    data = truth([1] * len(names))
    images = tuple(replace(image, id=name, group=None) for image, name in zip(data.images, names, strict=True))
    return [image.group for image in assign_groups(replace(data, images=images), rule, base=Path()).images]


@pytest.mark.parametrize("form", [*FORMS, "frame_{1:06}_{0}_png.rf.0a1b.jpg"])
def test_every_video_is_a_group(form: str) -> None:
    videos = ["gate", "yard 2", "cam_7"]
    names = [form.format(video, number) for video in videos for number in range(8)]
    hint = suggest_groups(names)
    assert hint is not None and hint.n_groups == 3 and len(hint.rule) < 120
    groups = fitted_groups(names, hint.rule)
    assert None not in groups and len(set(groups)) == 3
    assert [len(set(groups[start : start + 8])) for start in (0, 8, 16)] == [1, 1, 1]


def test_numbered_videos_and_augmented_copies_are_groups() -> None:
    numbered = suggest_groups([f"{video:04}_{number:05}.jpg" for video in range(4) for number in range(20)])
    assert numbered is not None and numbered.n_groups == 4
    for name in ("{:04}", "IMG_{:04}"):
        copies = suggest_groups([f"{name.format(i)}_jpg.rf.{copy:08x}.jpg" for i in range(20) for copy in range(3)])
        assert copies is not None and copies.groups == "copies of 20 pictures"


@pytest.mark.parametrize(
    "names",
    [
        [f"{number:012}.jpg" for number in range(40)],
        [f"{'abcdefghij'[number % 10]}{number}.jpg" for number in range(40)],
        [f"{2007 + number % 3}_{number:06}.jpg" for number in range(40)],
        [f"COCO_val2014_{number:012}.jpg" for number in range(40)],
        [f"{'IMG' if number % 2 else 'DSC'}_{number:04}.jpg" for number in range(40)],
        [f"IMG-20240501-WA{number:04}.jpg" for number in range(40)],
        [f"images/{'train' if number % 2 else 'val'}/{number:06}.jpg" for number in range(40)],
        [f"street_{number:03}.jpg" for number in range(40)],
    ],
)
def test_photographs_suggest_nothing(names: list[str]) -> None:
    assert suggest_groups(names) is None


@pytest.mark.parametrize("form", ["one_mp4-{}_jpg.rf.0a1b.jpg", "one_frame_{:04}.jpg", "frame{:04}.jpg"])
def test_frames_of_a_single_video_are_one_group(form: str) -> None:
    """They counted as independent without a word, because a rule had to find two groups."""
    data = truth([1] * 40)
    data = replace(data, images=tuple(replace(one, id=form.format(i), group=None) for i, one in enumerate(data.images)))
    (caveat,) = group_caveats(data)
    assert caveat.startswith("warning: no groups are given") and "frames of one video: then" in caveat
    assert set(fitted_groups([one.id for one in data.images], caveat.split("'")[1])) in ({"one"}, {"frame"})


def test_claims_about_one_model_say_that_no_groups_are_given() -> None:
    data = truth([1] * 20)
    data = replace(data, images=tuple(replace(image, group=None) for image in data.images))
    measured = evaluate(data, said([(i, BOX, 0.9) for i in range(0, 20, 3)], data))
    gate = Gate("enough", on="d.test", arm="a", claims=(Claim("recall", at_least=0.1),))
    assert any("every image counts as a group of its own" in text for text in judge_claims(gate, measured).caveats)


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
