"""What the machine has against what the plan takes; silent where nothing is known."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from checks.small_set import SmallSet
from liftgate.checks.finding import Finding
from liftgate.checks.machine import Machine, Package, inspect_machine
from liftgate.checks.resource_needs import batch_memory, disk_need, largest_batch
from liftgate.checks.run import run
from liftgate.checks.subject import Subject
from liftgate.study.records import Arm, FlowStep, Stage

GIB = 1 << 30


def subject(small: SmallSet, recipe: dict[str, object], weights: str = "yolov8x.pt", **study: object) -> Subject:
    arms = (Arm("treatment", (Stage("small", weights, recipe),)),)
    return Subject({"small": small.read()}, small.study(arms=arms, flow=(FlowStep("train"),), **study))


def findings(subject: Subject, id_: str, **facts: object) -> list[Finding]:
    machine = Machine(**({"now": time.time()} | facts))  # type: ignore[arg-type]
    return list(run(replace(subject, _machine=[machine]), select=[id_]).findings)


def test_a_batch_that_cannot_fit_is_named_with_one_that_may(small: SmallSet) -> None:
    (found,) = findings(subject(small, {"batch": 64, "imgsz": 1280}), "environment.gpu_memory", gpu_memory=(24 * GIB,))
    assert "batch 64 at imgsz 1280" in found.message and "at most batch" in found.hint
    most = found.data["largest"]
    assert not findings(
        subject(small, {"batch": most, "imgsz": 1280}), "environment.gpu_memory", gpu_memory=(24 * GIB,)
    )
    assert findings(
        subject(small, {"batch": most + 1, "imgsz": 1280}), "environment.gpu_memory", gpu_memory=(24 * GIB,)
    )


@pytest.mark.parametrize(
    ("recipe", "weights", "study", "gpus"),
    [
        ({"batch": -1, "imgsz": 1280}, "yolov8x.pt", {}, (24 * GIB,)),  # the trainer chooses
        ({"batch": 0.7, "imgsz": 1280}, "yolov8x.pt", {}, (24 * GIB,)),
        ({"batch": 64, "imgsz": 1280}, "best.pt", {}, (24 * GIB,)),  # nobody knows what is in it
        ({"batch": 64, "imgsz": 1280, "freeze": 10}, "yolov8x.pt", {}, (24 * GIB,)),
        ({"batch": 64, "imgsz": 1280}, "yolov8x.pt", {"device": "cpu"}, (24 * GIB,)),
        ({"batch": 64, "imgsz": 1280}, "yolov8x.pt", {"backend": "toy"}, (24 * GIB,)),
        ({"batch": 64, "imgsz": 1280}, "yolov8x.pt", {}, ()),  # no GPU here: the training may be elsewhere
        ({"batch": 16, "imgsz": 640}, "yolov8n.pt", {}, (6 * GIB,)),  # what everybody does
        ({"batch": 16, "imgsz": 640}, "yolo11m.pt", {}, (16 * GIB,)),
    ],
)
def test_what_is_not_known_or_usual_is_not_told(
    recipe: dict[str, object], weights: str, study: dict[str, object], gpus: tuple[int, ...], small: SmallSet
) -> None:
    assert findings(subject(small, recipe, weights, **study), "environment.gpu_memory", gpu_memory=gpus) == []


def test_several_gpus_share_a_batch_and_a_later_stage_has_the_model_of_the_first(small: SmallSet) -> None:
    one = subject(small, {"batch": 64, "imgsz": 1280})
    (place,) = one.stages
    whole, half = batch_memory(one, place, 1), batch_memory(one, place, 2)
    assert whole is not None and half is not None and whole / 2 < half < whole
    assert largest_batch(one, place, 2, 24 * GIB) == 2 * largest_batch(one, place, 1, 24 * GIB)
    stages = (Stage("small", "yolov8x.pt", {}), Stage("small", None, {"batch": 64, "imgsz": 1280}))
    two = replace(one, study=small.study(arms=(Arm("treatment", stages),)))
    assert batch_memory(two, list(two.stages)[1], 1) == whole


def test_every_seed_leaves_its_checkpoints_and_only_trained_arms_count(small: SmallSet) -> None:
    few, more = (disk_need(subject(small, {}, seeds=tuple(range(n)))) for n in (1, 4))
    assert few is not None and more is not None
    assert more.peak == few.peak and more.runs == 4 and more.total > few.total
    nothing = subject(small, {})
    assert nothing.study is not None
    untrained = replace(nothing, study=replace(nothing.study, flow=(FlowStep("check"),)))
    assert disk_need(untrained) is None


def test_save_period_is_what_fills_a_disk(small: SmallSet) -> None:
    need = disk_need(subject(small, {"epochs": 300, "save_period": 1}))
    assert need is not None and need.total > 80e9
    (found,) = findings(subject(small, {"epochs": 300, "save_period": 1}), "environment.disk", free_disk=50 * GIB)
    assert found.severity == "warning", "one training fits"


@pytest.mark.parametrize(
    ("packages", "severity"),
    [
        ({"torch": Package("2.2.2"), "numpy": Package("1.26.4")}, None),
        ({"torch": Package("2.3.0"), "numpy": Package("2.0.0")}, None),
        ({"torch": Package("2.2.2"), "numpy": Package("2.0.0rc1")}, None),  # nobody has tried every candidate
        ({"torch": Package("2.2.2+cu118"), "numpy": Package("2.0.0")}, "error"),
        ({"torch": Package("not a version"), "numpy": Package("2.0.0")}, None),
        ({"torchvision": Package("0.18.0", ("torch==2.3.0",)), "torch": Package("2.4.0")}, "warning"),
        ({"torchvision": Package("0.18.0", ("torch (==2.3.0)",)), "torch": Package("2.3.0+cpu")}, None),
        ({"scipy": Package("1.1", ("numpy<2; extra == 'old'", "numpy<2; sys_platform == 'nowhere'"))}, None),
        ({"scipy": Package("1.1", ("}{", "numpy")), "numpy": Package("2.0.0")}, None),
        ({"liftgate": Package("1", ("ultralytics<8.5; extra == 'train'",)), "ultralytics": Package("9.0")}, "warning"),
    ],
)
def test_packages_that_do_not_work_together(
    packages: dict[str, Package], severity: str | None, small: SmallSet
) -> None:
    found = findings(subject(small, {}), "environment.versions", packages=packages)
    assert [finding.severity for finding in found] == ([severity] if severity else [])


def test_the_packages_that_these_tests_run_on_fit_together(small: SmallSet) -> None:
    packages = inspect_machine(small.root).packages
    assert "numpy" in packages
    assert findings(subject(small, {}), "environment.versions", packages=packages) == []


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin", ":Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3", ""])
def test_time_zones_that_exist_or_are_the_c_librarys_affair(
    zone: str | None, small: SmallSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TZ", raising=False)
    if zone is not None:
        monkeypatch.setenv("TZ", zone)
    assert inspect_machine(small.root).unknown_zone is None


def test_a_clock_that_is_hours_off_is_nobodys_fault(small: SmallSet) -> None:
    assert findings(subject(small, {}), "environment.clock", now=time.time() - 12 * 3600) == []
    (found,) = findings(subject(small, {}), "environment.clock", now=0.0)
    assert "1970-01-01" in found.message
