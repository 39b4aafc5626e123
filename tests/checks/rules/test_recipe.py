"""What a recipe says and what will happen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from checks.small_set import SmallSet
from liftgate.checks.finding import Finding
from liftgate.checks.run import run
from liftgate.checks.subject import Subject
from liftgate.checks.ultralytics.arguments import ARGUMENTS, auto_choice, nearest_argument, optimizer_steps, refusal
from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.study.records import Arm, Stage


def of_size(small: SmallSet, n_images: int, classes: int = 5) -> Dataset:
    """A data set that only counts: `n_images` training images, nothing on disk."""
    images = tuple(Image(f"{i}.jpg", small.root / f"{i}.jpg", 640, 640, split="train") for i in range(n_images))
    names = tuple(f"c{i}" for i in range(classes))
    return Dataset("small", small.root, small.yaml, "yolo", names, images, Labels.build([], [], []))


def findings(small: SmallSet, id_: str, recipe: dict[str, object], dataset: Dataset | None = None) -> list[Finding]:
    study = small.study(arms=(Arm("treatment", (Stage("small", "yolov8n.pt", recipe),)),))
    return list(run(Subject({"small": dataset or small.read()}, study), select=[id_]).findings)


def test_fine_tuning_at_a_thousandth_without_optimizer_will_run_at_a_hundredth(small: SmallSet) -> None:
    recipe = {"lr0": 0.001, "batch": 64, "epochs": 300}
    (found,) = findings(small, "recipe.lr_ignored", recipe, of_size(small, 7120))
    assert found.severity == "error"
    assert found.where == "arm treatment, stage 1"
    assert found.data["used"] == {"optimizer": "MuSGD", "lr0": 0.01, "momentum": 0.9}
    assert "ignores lr0=0.001" in found.message
    assert "lr0 0.01" in found.message


def test_a_small_run_gets_adamw_at_a_rate_fitted_to_the_classes(small: SmallSet) -> None:
    (found,) = findings(small, "recipe.lr_ignored", {"lr0": 0.01, "epochs": 10}, of_size(small, 200, classes=6))
    assert found.data["used"]["optimizer"] == "AdamW"
    assert found.data["used"]["lr0"] == pytest.approx(0.001)


def test_asking_for_what_auto_takes_anyway_is_no_error(small: SmallSet) -> None:
    (found,) = findings(small, "recipe.lr_ignored", {"lr0": 0.01, "epochs": 300, "batch": 64}, of_size(small, 7120))
    assert found.severity == "warning"


def test_a_named_optimizer_keeps_its_rate(small: SmallSet) -> None:
    assert not findings(small, "recipe.lr_ignored", {"lr0": 0.001, "optimizer": "SGD"})


@given(st.integers(1, 10**6), st.integers(1, 1000), st.integers(1, 256), st.integers(1, 80))
def test_auto_switches_above_ten_thousand_iterations(images: int, epochs: int, batch: int, classes: int) -> None:
    choice = auto_choice(images, classes, {"epochs": epochs, "batch": batch})
    assert choice.iterations == -(-images // max(batch, 64)) * epochs
    assert (choice.optimizer == "MuSGD") == (choice.iterations > 10_000)
    assert 0 < choice.lr0 <= 0.01


@pytest.mark.train
def test_argument_names_and_the_choice_of_auto_are_those_of_the_installed_ultralytics() -> None:
    ultralytics = pytest.importorskip("importlib.util").find_spec("ultralytics")
    if ultralytics is None:
        pytest.skip("Ultralytics is not installed")
    from pathlib import Path

    package = Path(ultralytics.origin).parent
    installed = set(yaml.safe_load((package / "cfg" / "default.yaml").read_text()))
    assert installed == set(ARGUMENTS) - {"half", "int8"}
    source = (package / "engine" / "trainer.py").read_text()
    assert '("MuSGD", 0.01, 0.9) if iterations > 10000 else ("AdamW", lr_fit, 0.9)' in source
    assert "round(0.002 * 5 / (4 + nc), 6)" in source


@given(st.integers(1, 3000), st.integers(1, 200), st.integers(1, 30), st.integers(0, 8))
def test_steps_are_those_of_the_loop_that_takes_them(images: int, batch: int, epochs: int, warmup: int) -> None:
    """The trainer's loop, written out."""
    batches = -(-images // batch)
    nominal = min(max(round(64 / batch), 1), batches * epochs)
    warm = round(min(warmup, epochs - 1) * batches)
    steps, last, collect = 0, -1, nominal
    for at in range(batches * epochs):
        if warm and at <= warm:
            collect = max(1, int(np.interp(at, [0, warm], [1, nominal]).round()))
        if at - last >= collect:
            steps, last = steps + 1, at
    assert optimizer_steps(images, {"batch": batch, "epochs": epochs, "warmup_epochs": warmup}) == steps


def test_a_typing_error_gets_the_near_word(small: SmallSet) -> None:
    (found,) = findings(small, "recipe.unknown", {"epoch": 3})
    assert found.severity == "error"
    assert found.hint == "did you mean epochs?"


def test_yaml_text_that_looks_like_a_number_gets_the_spelling_that_works(small: SmallSet) -> None:
    (found,) = findings(small, "recipe.value", {"lr0": yaml.safe_load("1e-3"), "optimizer": "SGD"})
    assert "1.0e-3" in found.hint
    assert yaml.safe_load("1.0e-3") == 0.001


@pytest.mark.parametrize("batch", [16, 1, -1, 0.7, "auto", None])
def test_a_batch_is_a_number_of_images_a_share_of_the_memory_or_automatic(batch: object) -> None:
    assert refusal("batch", batch) is None


@pytest.mark.parametrize("batch", [0, -2, 16.5, "many"])
def test_no_batch_is_told(batch: object) -> None:
    assert str(refusal("batch", batch)).startswith("expected a ")


@given(st.sampled_from(sorted(ARGUMENTS)), st.one_of(st.none(), st.text(), st.floats(), st.integers(), st.booleans()))
def test_any_value_gets_an_answer(name: str, value: object) -> None:
    answer = refusal(name, value)
    assert answer is None or answer.startswith("expected")


@given(st.text(max_size=30))
def test_any_name_gets_a_near_word_or_none(name: str) -> None:
    assert nearest_argument(name) in {None, *ARGUMENTS}


def two_arms(
    small: SmallSet, control: dict[str, object], treatment: dict[str, object], *declared: str
) -> list[Finding]:
    subject = small.subject(recipe=treatment, control=control, gate={"differ": declared})
    return list(run(subject, select=["recipe.confounded"]).findings)


def test_every_undeclared_difference_is_listed(small: SmallSet) -> None:
    control = {"optimizer": "SGD", "lr0": 0.01, "epochs": 50, "imgsz": 320}
    treatment = {"optimizer": "SGD", "lr0": 0.001, "epochs": 80, "imgsz": 640}
    (found,) = two_arms(small, control, treatment, "recipe.imgsz")
    assert found.data["undeclared"] == ["recipe.epochs", "recipe.lr0"]
    assert "recipe.lr0: 0.01 → 0.001" in found.message


def test_one_difference_needs_no_declaration(small: SmallSet) -> None:
    assert not two_arms(small, {"optimizer": "SGD", "imgsz": 320}, {"optimizer": "SGD", "imgsz": 640})
    assert two_arms(small, {"optimizer": "SGD", "imgsz": 320}, {"optimizer": "SGD", "imgsz": 640, "cos_lr": True})


def test_where_results_are_written_is_no_difference(small: SmallSet) -> None:
    assert not two_arms(small, {"optimizer": "SGD"}, {"optimizer": "SGD", "name": "b", "plots": False}, "data")


def test_more_images_make_auto_take_another_optimizer_and_that_is_listed(small: SmallSet) -> None:
    few, more = of_size(small, 800), replace(of_size(small, 40_000), name="more")
    arms = (Arm("control", (Stage("small", "m.pt", {}),)), Arm("treatment", (Stage("more", "m.pt", {}),)))
    study = small.study(arms=arms, gate={"differ": ("data",)})
    (found,) = run(Subject({"small": few, "more": more}, study), select=["recipe.confounded"]).findings
    assert found.data["undeclared"] == ["recipe.optimizer"]
    assert "auto: AdamW" in found.message and "auto: MuSGD" in found.message


def test_training_against_off_the_shelf_is_not_confounded(small: SmallSet) -> None:
    arms = (Arm("control", weights="yolov8n.pt"), Arm("treatment", (Stage("small", "yolov8n.pt", {"epochs": 6}),)))
    assert not run(small.subject(arms=arms), select=["recipe.confounded"]).findings


def test_another_backend_has_arguments_of_its_own(small: SmallSet) -> None:
    subject = small.subject(recipe={"steps": 3}, control={"steps": 4}, backend="toy")
    assert not run(subject, select=["recipe.unknown"]).findings


def test_heads_that_fit_at_640_are_below_the_cell_at_416(small: SmallSet) -> None:
    rng = np.random.default_rng(0)
    sides = rng.uniform(8.5, 12, 300)  # pixels in an image of 640
    x, y = rng.uniform(0, 600, (2, 300))
    images = tuple(Image(f"{i}.jpg", small.root / f"{i}.jpg", 640, 480, split="train") for i in range(30))
    boxes = np.column_stack([x, y, x + sides, y + sides])
    dataset = Dataset(
        "small", small.root, small.yaml, "yolo", ("head",), images, Labels.build(np.arange(300) % 30, [0] * 300, boxes)
    )
    at_416 = findings(small, "objects.tiny", {"imgsz": 416}, dataset)
    assert at_416 and at_416[0].data["share"] > 0.9
    assert "train at imgsz 640" in at_416[0].hint
    assert not findings(small, "objects.tiny", {"imgsz": 640}, dataset)
