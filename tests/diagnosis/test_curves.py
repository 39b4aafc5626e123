"""Real trainings, sound ones and ones that were spoilt on purpose: what the doctor finds, and where it is quiet."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from liftgate.backends.events import EpochReport, Event
from liftgate.diagnosis import diagnose
from liftgate.diagnosis.live import LiveDiagnosis

CURVES = Path(__file__).parent / "curves"

SOUND = {
    "sound_s0": "from scratch, 40 epochs of AdamW",
    "sound_s1": "the same with another seed",
    "sgd_sound": "SGD from scratch: its training loss rises sixfold before anything is found",
    "defaults": "stock defaults on few images: 40 epochs are fifty steps, too few to call it dead",
    "fine_sound": "fine-tuned at a small rate",
    "cos": "a cosine schedule over 30 epochs",
    "patience_sound": "150 epochs, at .95 and creeping up still",
    "pose_sound": "two keypoints to a box, 36 epochs",
}
SPOILT = {
    "transposed": (["trace.never_learned"], "geometry probe"),  # x and y of every box were exchanged
    "fine_auto": (["trace.lr_ignored"], "optimizer=auto"),  # lr0=0.0001 was asked for
    "fine_high": (["trace.never_learned"], "learning rate of 0.2"),  # SGD at 0.2 from a good checkpoint
    "lr_huge": (["trace.never_learned"], "learning rate of 0.951"),  # SGD at 1.0
    "no_warmup_sgd": (["trace.stopped_rising"], "rate of 0.1"),  # SGD at 0.1: learned once the rate had fallen
    "overfit": (["trace.stopped_rising"], "more images"),  # twelve images
    "patience_cut": (["trace.stopped_rising"], "patience=4"),  # stopped at 37 of 200
    "forgot": (["trace.oscillation"], "learning rate is too high"),  # SGD at 0.04 from a good checkpoint
    "pose_invisible": (  # every keypoint labelled as not there; the boxes beside them were still rising
        ["trace.never_learned", "trace.stopped_rising"],
        "keypoints are all unlabelled",
    ),
    "rare_class": (["trace.stopped_rising"], "too few epochs"),  # 30 epochs, as sound_s0 had 40
    "short_rising": (["trace.stopped_rising"], "too few epochs"),  # 14 epochs that find something in the last two
}


def test_no_curve_is_left_out() -> None:
    assert {path.name for path in CURVES.iterdir() if path.is_dir()} == {*SOUND, *SPOILT}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_run_is_quiet(name: str) -> None:
    assert diagnose([CURVES / name])[0].findings == ()


@pytest.mark.parametrize(("name", "found", "said"), [(name, *rest) for name, rest in SPOILT.items()])
def test_what_was_spoilt_is_found_and_the_likeliest_cause_comes_first(name: str, found: list[str], said: str) -> None:
    findings = diagnose([CURVES / name])[0].findings
    assert [finding.id for finding in findings] == found
    assert said in findings[0].data["causes"][0]


def test_two_seeds_are_no_repeats() -> None:
    assert [one.findings for one in diagnose([CURVES / "sound_s0", CURVES / "sound_s1"])] == [(), ()]


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_run_is_watched_in_silence(tmp_path: Path, name: str) -> None:
    for path in (CURVES / name).iterdir():
        shutil.copy(path, tmp_path)
    rows = (CURVES / name / "results.csv").read_text().splitlines(keepends=True)
    heard: list[Event] = []
    watch = LiveDiagnosis(tmp_path, heard.append)
    for epoch in range(1, len(rows)):
        (tmp_path / "results.csv").write_text("".join(rows[: epoch + 1]))
        watch(EpochReport(epoch=epoch))
    assert [event for event in heard if event.kind == "warning"] == []
