"""Gates that cannot fail, cannot pass or are passed by chance are found before anything is measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from checks.plants import checkpoint
from checks.small_set import SmallSet
from liftgate.checks.finding import Finding
from liftgate.checks.run import run
from liftgate.checks.subject import Subject
from liftgate.study.records import Arm, Claim, Gate, Stage

STAGE = Stage("small", "yolov8n.pt", {"epochs": 60})
ARMS = (Arm("base", (), weights="w.pt"), Arm("control", (STAGE,)), Arm("treatment", (replace(STAGE, recipe={}),)))


def asked(small: SmallSet, *gates: Gate, arms: tuple[Arm, ...] = ARMS, **fields: Any) -> Subject:
    subject = small.subject(arms=arms)
    assert subject.study is not None
    return replace(subject, study=replace(subject.study, gates=gates), **fields)


def found(subject: Subject) -> list[Finding]:
    return list(run(subject, select=["gate.vacuous"]).findings)


def claims(*rows: Claim, **more: Any) -> Gate:
    return Gate("enough", "small.test", arm="treatment", claims=rows, **more)


def versus(**keys: Any) -> Gate:
    return Gate(
        "lift", **{"on": "small.test", "metric": "mAP50", "treatment": "treatment", "control": "control", **keys}
    )


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        (claims(Claim("mAP50", at_least=0.0)), "cannot fail"),
        (claims(Claim("recall", at_least=-0.1)), "cannot fail"),
        (claims(Claim("recall", at_least=0.5), Claim("precision", at_least=0.0)), "cannot fail"),
        (claims(Claim("mAP50", at_least=95)), "cannot pass: mAP50 is at most 1, not 95"),
        (claims(Claim("recall", at_least=1.0)), "cannot pass: no interval"),
        (claims(Claim("false_alarm_rate", at_most=1.0), threats=("cup",)), "cannot fail"),
        (claims(Claim("false_alarm_rate", at_most=-0.1), threats=("cup",)), "cannot pass"),
        (claims(Claim("false_positives_per_image", at_most=-1.0)), "cannot pass"),
        (versus(claim="equal", margin=1.0), "cannot fail: no two values"),
        (versus(margin=-1.0), "cannot fail: no value of mAP50 is lower"),
        (versus(margin=1.0), "cannot pass: no value of mAP50 is higher"),
        (versus(control="treatment", margin=0.1), "compares a model with itself"),
        (versus(control="twin", margin=0.1), "compares a model with itself"),
        (versus(control="twin", margin=0.1, claim="equal"), "can only say equal"),
    ],
)
def test_what_is_certain_before_any_number_exists_is_a_finding(small: SmallSet, gate: Gate, says: str) -> None:
    twin = replace(ARMS[2], name="twin")
    (certain,) = found(asked(small, gate, arms=(*ARMS, twin)))
    assert certain.severity == "warning" and says in certain.message


@pytest.mark.parametrize(
    "gate",
    [
        claims(Claim("mAP50", at_least=0.5)),
        claims(Claim("recall", at_least=1.0), rule="point"),
        claims(Claim("false_positives_per_image", at_most=3.0)),
        claims(Claim("ms_per_image", at_most=20.0)),
        versus(margin=0.01),
        versus(margin=-0.02),
        versus(margin=0.02, claim="equal"),
        versus(margin=0.5, rule="point"),
        versus(metric="false_positives_per_image", margin=-1.0),
    ],
)
def test_a_gate_that_can_go_either_way_is_no_finding(small: SmallSet, gate: Gate) -> None:
    assert found(asked(small, gate)) == []


def exported(**keys: Any) -> Gate:
    fixed = {"arm": "treatment", "metric": "mAP50-95", "claim": "equal", "formats": ("onnx",)}
    return Gate("same", **{"on": "small.test", "margin": 0.01, "precisions": ("fp32", "int8"), **fixed, **keys})


def test_a_gate_about_exports_that_is_certain_before_is_a_finding(small: SmallSet) -> None:
    """No two values differ by more than 1; INT8 is calibrated on the images that it would be judged on."""
    assert found(asked(small, exported())) == []
    assert found(asked(small, exported(on="small.train", precisions=("fp32",)))) == []
    (wide,) = found(asked(small, exported(margin=1.0)))
    assert wide.severity == "warning" and "cannot fail: no two values of mAP50-95" in wide.message
    (calibrated,) = found(asked(small, exported(on="small.train")))
    assert calibrated.severity == "error" and "int8 is calibrated on small.train" in calibrated.message


def test_a_point_gate_within_what_chance_gives_is_named_unless_it_is_replayed(small: SmallSet) -> None:
    (chance,) = found(asked(small, versus(margin=0.05, rule="point")))
    assert chance.severity == "warning" and "is passed by chance" in chance.message and "groups" in chance.message
    assert found(asked(small, versus(margin=0.05, rule="point", published="Doe 2024"))) == []


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        (versus(margin=0.5, claim="equal"), "calls models equal of which one has 0.5 less mAP50"),
        (versus(margin=-0.5), "passes a treatment that has 0.5 less mAP50 than its control"),
    ],
)
def test_a_gate_that_tolerates_a_great_loss_is_named(small: SmallSet, gate: Gate, says: str) -> None:
    (generous,) = found(asked(small, gate))
    assert generous.severity == "warning" and says in generous.message


def test_a_gate_on_whole_images_is_weighed_by_images(small: SmallSet) -> None:
    gate = versus(metric="accuracy", threats=("cup",), margin=0.001, rule="point")
    (chance,) = found(asked(small, gate))
    count = len(asked(small, gate).datasets["small"].split("test").images)
    assert f"less than one of the {count} images of small.test" in chance.message


def test_a_published_rate_needs_the_confidence_that_it_was_published_at(small: SmallSet) -> None:
    rates = (Claim("precision", at_least=0.84), Claim("recall", at_least=0.65))
    (point,) = found(asked(small, claims(*rates, rule="point", published="the paper, Table 2")))
    assert "precision and recall as published" in point.message and "conf:" in point.hint
    stated = claims(*rates, rule="point", published="the paper, Table 2", conf=0.4)
    assert found(asked(small, stated)) == []
    assert found(asked(small, claims(Claim("mAP50", at_least=0.7), rule="point", published="Table 2"))) == []


def test_a_split_without_what_the_gate_counts_cannot_decide_it(small: SmallSet) -> None:
    subject = asked(small, claims(Claim("mAP50", at_least=0.5)), versus(margin=0.1))
    dataset = subject.datasets["small"]
    bare = replace(dataset, labels=dataset.labels.take(np.zeros(len(dataset.labels), dtype=np.bool_)))
    empty = found(replace(subject, datasets={"small": bare}))
    assert [one.severity for one in empty] == ["error", "error"] and "has no object" in empty[0].message
    threat = claims(Claim("detection_rate", at_least=0.5), threats=("cup",))
    cups = dataset.labels.cls == dataset.classes.index("cup")
    none = replace(dataset, labels=dataset.labels.take(~cups))
    (without,) = found(replace(asked(small, threat), datasets={"small": none}))
    assert without.severity == "error" and "no image of small.test has cup" in without.message


@pytest.mark.parametrize(("baseline", "is_met"), [(0.31, True), (0.24, True), (0.2, False), (None, False)])
@pytest.mark.parametrize("arm", ["base", "control"])
def test_a_target_that_the_baseline_reaches_asks_for_nothing(
    small: SmallSet, arm: str, baseline: float | None, is_met: bool
) -> None:
    gates = (claims(Claim("mAP50", at_least=0.24), rule="point"), versus(margin=0.1))
    measured = {(arm, "small.test"): {"mAP50": baseline}, ("treatment", "small.test"): {"mAP50": 0.9}}
    messages = [one.message for one in found(asked(small, *gates, measured=measured))]
    assert [f"`{arm}` reaches it without the training" in one for one in messages] == [True] * is_met
    both = (claims(Claim("mAP50", at_least=0.24), Claim("recall", at_least=0.9)), versus(margin=0.1))
    assert not found(asked(small, *both, measured=measured)), "the other claim is not reached"


def test_a_control_without_the_classes_is_beaten_by_anything(small: SmallSet) -> None:
    checkpoint(small, {"model": {"names": {0: "person", 1: "car"}}})
    (blind,) = found(asked(small, versus(control="base", margin=0.01)))
    assert "`base` has none of the classes" in blind.message
    checkpoint(small, {"model": {"names": {0: "Cups", 1: "car"}}})
    assert not found(asked(small, versus(control="base", margin=0.01)))
