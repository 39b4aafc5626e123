"""How arms were made, in one line for experts and in words for somebody who trains no models."""

from __future__ import annotations

from dataclasses import replace

from liftgate.reporting.arm_descriptions import describe, plain_names
from liftgate.reporting.content import Contribution
from liftgate.reporting.page import render_html
from liftgate.reporting.plain_answer import plain_answer
from liftgate.study.records import Arm, Part, Stage
from reporting.sample_report import sample
from reporting.test_plain_answer import CONTENT, claimed, compared

MIXED = Stage("real", "/far/away/v1.pt", {"epochs": 25}, (Part("made"), Part("real", 8, 100)))


def test_the_line_for_experts_has_weights_data_and_recipe() -> None:
    assert describe(Arm("a", (MIXED,))) == "v1.pt → made + 100 of real × 8, validated on real (epochs 25)"
    assert describe(Arm("v1", weights="v1.pt")) == "v1.pt, off the shelf"


def test_the_words_are_of_the_data_and_of_what_differs_alone() -> None:
    alone = Stage("real", "/far/away/v1.pt", {"epochs": 25})
    assert plain_names([Arm("a", (MIXED,)), Arm("b", (alone,))]) == (
        ("a", "trained on “made” and 100 images of “real” (each image used 8 times)"),
        ("b", "trained on “real”"),
    )


def test_settings_stages_and_start_weights_that_differ_are_named() -> None:
    def made(weights: str, size: int, mosaic: float = 0.0) -> Arm:
        recipe = {"imgsz": size, "mosaic": mosaic, "epochs": 80}
        return Arm(f"at_{size}", (Stage("dice", weights, recipe),))

    (_, small), (_, large) = plain_names([made("n.pt", 416), made("s.pt", 640, 0.5)])
    assert small == "trained on “dice” at an image size of 416, with mosaic 0, starting from n.pt"
    assert large == "trained on “dice” at an image size of 640, with mosaic 0.5, starting from s.pt"
    two = Arm("two", (Stage("big", "n.pt", {"epochs": 200}), Stage("dice", None, {"epochs": 150})))
    assert plain_names([two, made("n.pt", 640)])[0] == ("two", "trained on “big”, then on “dice”")


def test_the_first_screen_has_the_names_before_the_answer_that_uses_them() -> None:
    content = sample()
    gate = replace(content.gates[0], names=(("two_stage", "trained on big, then on bench"),))
    page = render_html(replace(content, gates=(gate, *content.gates[1:]), unanswered=""))
    named = page.index("“two_stage”: trained on big, then on bench.")
    assert page.index('class="asked"') < named < page.index('class="plain"')


def test_a_claim_with_a_control_asks_for_both() -> None:
    gate = claimed("recall", 0.94, 0.91, 0.97, word="FAIL", trained=True)
    comparison = compared(-0.06, -0.02).comparison
    assert comparison is not None
    credited = replace(gate, contributions=(Contribution(comparison, "b"),))
    assert plain_answer(credited, CONTENT).asked == "Is “plain” good enough, and better than “b”?"
