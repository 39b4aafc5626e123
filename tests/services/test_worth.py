"""What more data are worth: from arms that differ only in how much they are trained on, and refused beyond."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import liftgate
from liftgate.cli import main
from liftgate.errors import UsageError
from liftgate.testing.backends import write_tree

STUDY = """
study: sizes
question: Are more images worth their labels?
backend: toy
datasets: {bench: {path: tree/data.yaml}}
arms:
  quarter: [{weights: start.yaml, data: [{dataset: bench, take: 6}], recipe: {epochs: 2}}]
  half: [{weights: start.yaml, data: [{dataset: bench, take: 12}], recipe: {epochs: 2}}]
  whole: [{weights: start.yaml, data: bench, recipe: {epochs: 2}}]
seeds: [0, 1]
gates:
  half_more: {metric: recall, treatment: half, control: quarter, on: bench.val}
  whole_more: {metric: recall, treatment: whole, control: half, on: bench.val}
flow: [train, half_more, whole_more]
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worth")
    write_tree(folder / "tree", train=24, held_out=10)
    (folder / "start.yaml").write_text("nc: 2\n")
    (folder / "study.yaml").write_text(STUDY)
    return folder / "study.yaml"


def test_before_it_ran_a_study_tells_nothing(study: Path) -> None:
    with pytest.raises(UsageError, match="has not run"):
        liftgate.worth(study)


def test_a_seed_that_two_gates_measured_at_two_thresholds_counts_once(study: Path) -> None:
    lax = "  lax: {metric: recall, treatment: half, control: quarter, on: bench.val, conf: 0.1}\n"
    text = STUDY.replace("flow:", f"{lax}flow:").replace("half_more, whole_more]", "half_more, whole_more, lax]")
    study.write_text(text)
    liftgate.run(study)
    twice = liftgate.worth(study)
    study.write_text(STUDY)
    liftgate.run(study)
    assert [one.seeds for one in twice.amounts] == [2, 2, 2]
    assert twice.amounts == liftgate.worth(study).amounts


def test_three_amounts_tell_what_more_would_bring(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    liftgate.run(study)
    found = liftgate.worth(study, 24, seconds_per_image=90)
    assert [(one.arm, one.images, one.seeds) for one in found.amounts] == [
        ("quarter", 6, 2), ("half", 12, 2), ("whole", 24, 2),
    ]  # fmt: skip
    assert (found.metric, found.on, found.more, found.hours) == ("recall", "bench.val", 24, 0.6)
    assert found.gain.low <= found.gain.value <= found.gain.high
    capsys.readouterr()
    assert main(["worth", str(study), "--more", "24", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["interval"] == [found.gain.low, found.gain.high] and len(said["amounts"]) == 3
    assert main(["worth", str(study), "--more", "24", "--seconds-per-image", "90"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "24 more images would bring" in text and "0.6 hours of labelling" in text


@pytest.mark.parametrize(
    ("more", "options", "message"),
    [
        (73, {}, "too far to say"),
        (0, {}, "at least one image"),
        (10, {"metric": "mAP_of_nothing"}, "has no interval"),
        (10, {"seconds_per_image": 0.0}, "some seconds"),
    ],
)
def test_what_it_cannot_say_is_refused(study: Path, more: int, options: dict[str, object], message: str) -> None:
    liftgate.run(study)
    with pytest.raises(UsageError, match=message):
        liftgate.worth(study, more, **options)  # type: ignore[arg-type]


def test_a_study_without_three_amounts_is_told_which_arms_to_add(study: Path) -> None:
    two = study.with_name("two.yaml")
    text = STUDY.replace("study: sizes", "study: two")
    lines = [line for line in text.splitlines() if "quarter" not in line]
    two.write_text("\n".join(lines).replace("flow: [train, half_more, whole_more]", "flow: [train, whole_more]"))
    with pytest.raises(UsageError, match="no arms tell") as told:
        liftgate.worth(two)
    assert "take: 6" in str(told.value) and "take: 24" in str(told.value)
