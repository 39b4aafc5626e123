"""What a second stage costs on the data of the first is measured, said, and judged where a gate asks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from liftgate import api
from liftgate.pipeline.steps.retention import retention_checks
from liftgate.study.records import Arm, Stage
from liftgate.testing.backends import write_tree

Write = Callable[..., Path]


@pytest.fixture
def two_sets(write_study: Write, tmp_path: Path) -> Callable[..., Path]:
    """`scenes`, and `swapped`, where red things are called blue and blue ones red: learning it unlearns the other."""
    write_tree(tmp_path / "swapped", train=24, held_out=12)
    for label in (tmp_path / "swapped" / "labels").iterdir():
        lines = label.read_text().splitlines()
        label.write_text("".join(f"{1 - int(line[0])}{line[1:]}\n" for line in lines))
    for number, path in enumerate(sorted((tmp_path / "swapped" / "images").iterdir())):  # copies would be findings
        with Image.open(path) as image:
            pixels = np.array(image)
        pixels[0, 0] = number
        Image.fromarray(pixels).save(path)

    def write(**gate: Any) -> Path:
        recipe = {"epochs": 6, "lr0": 0.5}
        chain = [{"weights": "start.yaml", "data": "scenes", "recipe": recipe}, {"data": "swapped", "recipe": recipe}]
        claims = {"arm": "chain", "on": "swapped.test", "claims": [{"metric": "mAP50", "at_least": 0.5}]}
        return write_study(
            datasets={"scenes": {"path": "scenes/data.yaml"}, "swapped": {"path": "swapped/data.yaml"}},
            arms={"chain": chain},
            gates={"learned": {**claims, "rule": "point", **gate}},
            flow=["train", "learned"],
        )

    return write


def test_before_and_after_stand_beside_the_verdict_with_an_interval(two_sets: Write) -> None:
    verdict = api.run(two_sets()).verdicts["learned"]
    assert verdict["word"] == "PASS", "nobody asked to judge it"
    (row,) = [row for row in verdict["evidence"] if row["kind"] == "forgetting"]
    assert row["on"] == "scenes.val"
    assert row["control"] > row["treatment"] + 0.3
    assert row["interval"][1] < 0
    (caveat,) = [caveat for caveat in verdict["caveats"] if caveat.startswith("forgetting on scenes.val")]
    for part in (f"{row['control']:.4f} before", f"{row['treatment']:.4f} after", "12 images in 12 groups", "95%"):
        assert part in caveat


def test_old_images_whose_labels_could_not_be_read_are_left_out_and_counted(two_sets: Write, tmp_path: Path) -> None:
    (tmp_path / "scenes" / "labels" / "val003.txt").write_text("0,0.5,0.5,0.2,0.2\n")
    verdict = api.run(two_sets()).verdicts["learned"]
    (caveat,) = [caveat for caveat in verdict["caveats"] if caveat.startswith("forgetting on scenes.val")]
    assert "11 images in 11 groups" in caveat and "1 of 12 images of the truth are left out" in caveat


def test_a_gate_that_asks_fails_when_too_much_is_forgotten(two_sets: Write) -> None:
    verdict = api.run(two_sets(forget_at_most=0.1)).verdicts["learned"]
    assert verdict["word"] == "FAIL"
    assert verdict["sentence"].startswith("FAIL: the gate says PASS, but it may forget at most 0.1")


def test_a_gate_that_allows_as_much_stays_as_it_was(two_sets: Write) -> None:
    assert api.run(two_sets(forget_at_most=1.0)).verdicts["learned"]["word"] == "PASS"


def test_before_is_the_model_that_the_run_made_and_nothing_is_trained_twice(two_sets: Write) -> None:
    notices: list[tuple[str, str]] = []
    api.run(two_sets(), notify=lambda notice: notices.append((notice.kind, notice.step)))
    started = [step for kind, step in notices if kind == "started" and step.startswith("train")]
    assert started == ["train chain stage 1 seed 0", "train chain stage 2 seed 0"]


def named(*stages: Stage, remember: tuple[str, ...] | None = None) -> list[tuple[str, int, str | None]]:
    found = retention_checks(Arm("a", stages, remember=remember))
    return [(one.place, len(one.before.stages), one.before.weights) for one in found]


def test_the_same_data_again_is_not_old_data() -> None:
    assert named(Stage("bench", weights="x.pt"), Stage("bench")) == []


def test_each_old_set_is_measured_as_it_was_when_its_stage_ended() -> None:
    stages = (Stage("first", weights="x.pt"), Stage("second"), Stage("third"))
    assert named(*stages) == [("first.val", 1, None), ("second.val", 2, None)]


def test_a_study_may_name_what_the_start_weights_knew() -> None:
    assert named(Stage("bench", weights="x.pt"), remember=("coco.val",)) == [("coco.val", 0, "x.pt")]


def test_a_study_may_leave_it_out_and_from_scratch_nothing_is_known() -> None:
    assert named(Stage("big", weights="x.pt"), Stage("bench"), remember=()) == []
    assert named(Stage("bench", weights="x.yaml"), remember=("coco.val",)) == []


def test_a_chain_that_starts_anew_has_nothing_to_forget_of_what_came_before() -> None:
    assert named(Stage("big", weights="x.pt"), Stage("bench", weights="y.pt")) == []
