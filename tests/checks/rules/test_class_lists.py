"""Class names are compared between stages, data and gates before anything is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from checks.plants import checkpoint
from checks.small_set import SmallSet
from liftgate.checks.class_maps import rename_hint, spelled_alike
from liftgate.checks.finding import Finding
from liftgate.checks.run import run
from liftgate.checks.subject import Subject
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.filters import rename_classes
from liftgate.study.records import Arm, DatasetSpec, Gate, Part, Stage, Study

SPELLINGS = [
    ("Blue Cone", "blue_cone"),
    ("blue-cone", "blue_cone"),
    ("BLUE_CONE", "blue_cone"),
    ("blue cones", "blue_cone"),
    ("Köln", "koln"),
    ("berry", "berries"),
    ("glasses", "glass"),
]


def called(dataset: Dataset, name: str, *classes: str) -> Dataset:
    """The data set under another name, with other class names."""
    assert len(classes) == len(dataset.classes)
    return replace(dataset, name=name, classes=classes)


def subject(
    small: SmallSet, data: dict[str, tuple[str, ...]], arms: tuple[Arm, ...], on: str = "bench.test"
) -> Subject:
    read = small.read()
    gate = Gate("lift", on, metric="mAP50", treatment=arms[0].name, control=arms[-1].name, margin=0.01)
    specs = tuple(DatasetSpec(name, "data.yaml") for name in data)
    study = Study("s", "?", "detect", specs, arms, (gate,), (), source=small.root / "study.yaml")
    return Subject({name: called(read, name, *classes) for name, classes in data.items()}, study)


def findings(subject: Subject, id_: str = "classes.mismatch") -> list[Finding]:
    return [one for one in run(subject, select=[id_]).findings if one.data.get("rename") is not None]


@pytest.mark.parametrize(("old", "new"), SPELLINGS)
def test_names_that_differ_in_spelling_only_are_mapped(old: str, new: str) -> None:
    assert spelled_alike([old, "dog"], [new, "cat"]) == {old: new}
    assert spelled_alike([new, "dog"], [old, "cat"]) == {new: old}


@pytest.mark.parametrize(
    ("names", "others"),
    [(["a"], ["a"]), (["cat"], ["car"]), (["Cup"], ["cup", "cups"]), (["Cup", "cups"], ["cup"]), (["#"], ["?"])],
)
def test_what_is_the_same_other_or_ambiguous_is_not_mapped(names: list[str], others: list[str]) -> None:
    assert spelled_alike(names, others) == {}


def test_the_hint_is_yaml_that_keeps_the_renames_of_the_study() -> None:
    spec = DatasetSpec("big", "data.yaml", rename={"tyre": "Tire", "x": "y"})
    hint = rename_hint(spec, "big", {"Tire": "tire", "Nr. 1: {a}": "no", "é": "e"})
    wanted = {"tyre": "tire", "x": "y", "Nr. 1: {a}": "no", "é": "e"}
    assert yaml.safe_load(hint) == {"datasets": {"big": {"rename": wanted}}}


BENCH = ("blue_cone", "yellow_cone", "orange_cone")


@pytest.mark.parametrize(
    ("learned", "severity", "mapped"),
    [
        (("Blue Cone", "Yellow Cone", "Orange Cone"), "error", 3),
        (("blue_cone", "yellow_cone", "orange cone"), "error", 1),
        (("one", "two", "three"), "error", 0),
        (("blue_cone", "yellow_cone", "person"), "error", 0),
        (("Blue_Cone", "YELLOW_CONE", "orange_cone"), "warning", 2),
    ],
)
def test_a_gate_measures_classes_by_their_names(
    small: SmallSet, learned: tuple[str, ...], severity: str, mapped: int
) -> None:
    arms = (Arm("a", (Stage("big", "yolov8n.pt"),)), Arm("b", (Stage("bench", "yolov8n.pt"),)))
    (found,) = findings(subject(small, {"big": learned, "bench": BENCH}, arms))
    assert (found.severity, len(found.data["rename"])) == (severity, mapped)
    if mapped:
        assert yaml.safe_load(found.hint)["datasets"]["big"]["rename"] == found.data["rename"]


@pytest.mark.parametrize(
    ("earlier", "severity", "mapped"),
    [
        (("one", "two", "three"), "error", 0),
        (("Blue Cone", "Yellow Cone", "Orange Cone"), "error", 3),
        (("blue_cone", "Yellow Cones", "person"), "error", 1),
        (("Blue_Cone", "YELLOW_CONE", "orange_cone"), "warning", 2),
        (("blue_cone", "yellow_cone", "person"), "warning", 0),
    ],
)
def test_a_stage_should_teach_what_the_next_one_goes_on_with(
    small: SmallSet, earlier: tuple[str, ...], severity: str, mapped: int
) -> None:
    chain = Arm("chain", (Stage("big", "yolov8n.pt"), Stage("bench")))
    (found,) = findings(subject(small, {"big": earlier, "bench": BENCH}, (chain, Arm("b", (Stage("bench", "y.pt"),)))))
    assert (found.severity, len(found.data["rename"])) == (severity, mapped)
    assert found.where.startswith("arm chain, stage 2")
    assert ("would count as forgotten" in found.message) == (severity == "error" and mapped > 0)


def test_equal_names_and_stages_with_weights_of_their_own_find_nothing(small: SmallSet) -> None:
    same = Arm("a", (Stage("big", "y.pt"), Stage("bench")))
    assert not findings(subject(small, {"big": BENCH, "bench": BENCH}, (same,)))
    anew = Arm("a", (Stage("big", "y.pt"), Stage("bench", "y.pt")))
    assert not findings(subject(small, {"big": ("one", "two", "three"), "bench": BENCH}, (anew,)))


def test_parts_of_a_mix_spell_their_classes_alike(small: SmallSet) -> None:
    mixed = Arm("a", (Stage("bench", "y.pt", mix=(Part("big"), Part("bench"))),))
    (spelled,) = findings(subject(small, {"big": ("Blue Cone", *BENCH[1:]), "bench": BENCH}, (mixed,)))
    assert (spelled.severity, spelled.data["rename"]) == ("error", {"Blue Cone": "blue_cone"})
    (others,) = findings(subject(small, {"big": ("person", *BENCH[1:]), "bench": BENCH}, (mixed,)))
    assert others.severity == "warning" and "background" in others.message


def test_classes_that_only_a_part_of_a_mix_has_are_trained_and_never_measured(small: SmallSet) -> None:
    mixed = Arm("a", (Stage("bench", "y.pt", mix=(Part("big"), Part("bench"))),))
    merged = subject(small, {"big": ("gun", "knife", "blue_cone"), "bench": BENCH}, (mixed,))
    (found,) = run(merged, select=["classes.absent"]).findings
    assert found.where.startswith("arm a, stage 1") and found.data["classes"] == ["gun", "knife"]
    assert "2 of 5 classes of the mix have no box in bench.val: gun, knife" in found.message
    same = subject(small, {"big": BENCH, "bench": BENCH}, (mixed,))
    assert not run(same, select=["classes.absent"]).findings


def test_the_proposed_map_mends_it(small: SmallSet) -> None:
    arms = (Arm("a", (Stage("big", "yolov8n.pt"),)), Arm("b", (Stage("bench", "yolov8n.pt"),)))
    asked = subject(small, {"big": ("Blue Cone", "yellow_cones", "orange_cone"), "bench": BENCH}, arms)
    (found,) = findings(asked)
    rename = yaml.safe_load(found.hint)["datasets"]["big"]["rename"]
    assert not findings(
        replace(asked, datasets={**asked.datasets, "big": rename_classes(asked.datasets["big"], rename)})
    )


@pytest.mark.parametrize(
    ("names", "control", "severity"),
    [
        (("person", "car"), False, "error"),
        (("person", "car"), True, "info"),
        (("Plates", "car"), True, "error"),
        (("person", "car", "dog"), True, "error"),
        (("plate", "cup", "Spoon"), True, None),
        (("plate", "cup", "car"), False, "warning"),
    ],
)
def test_an_off_the_shelf_model_knows_the_classes_that_it_is_measured_on(
    small: SmallSet, names: tuple[str, ...], control: bool, severity: str | None
) -> None:
    checkpoint(small, {"model": {"names": dict(enumerate(names))}})
    shelf, trained = Arm("shelf", (), weights="w.pt"), Arm("trained", (Stage("small", "w.pt"),))
    alone = {"treatment": None, "control": None, "arm": "shelf", "differ": (), "margin": 0.0}
    versus = {"treatment": "trained", "control": "shelf", "differ": ()}
    asked = small.subject(arms=(shelf, trained), gate=versus if control else alone)
    found = findings(asked, "weights.classes")
    assert [one.severity for one in found] == ([severity] if severity else [])


def test_threats_are_classes_of_the_data_before_anything_is_predicted(small: SmallSet) -> None:
    asked = small.subject(gate={"threats": ("Cups",)})
    (found,) = findings(asked)
    assert (found.severity, found.data["rename"]) == ("error", {"Cups": "cup"})
    assert not Path(small.root / "runs").exists()
