"""Run `liftgate demo --case NAME`: what two projects found out too late, planted on small data and found at once."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from liftgate import api
from liftgate.checks.fixes.dataset_fixes import fix_dataset, write_fixed
from liftgate.data.formats.read import read
from liftgate.demo.flat_scenes import draw_dataset
from liftgate.demo.walkthrough import (
    DemoResult,
    busy_note,
    print_findings,
    print_verdict,
    require_demo_folder,
    require_extras,
)
from liftgate.files import write_text
from liftgate.pipeline.context import never
from liftgate.pipeline.notice import Notice, ignore_notice
from liftgate.progress import Progress, silent

CASES = ("improve", "kill-switch", "monthly")
_COUNTS = {"train": 70, "val": 16, "test": 40}
_LUGGAGE = {"knife": (230, 90, 90), "bottle": (180, 90, 140), "tool": (120, 120, 200)}
_VEHICLES = {"van": (220, 100, 100), "car": (160, 100, 150)}
_MADE = {"van": (155, 100, 155), "car": (222, 100, 98)}
"""Colours of the made vehicles: the renderer had mixed up the two models"""
_POINTS = {
    "kpt_shape": [2, 3],
    "kpt_names": {cls: ["left_lamp", "right_lamp"] for cls in range(len(_VEHICLES))},
    "flip_idx": [0, 1],
}
Say = Callable[[str], None]


def run_case(
    case: str,
    folder: Path,
    say: Say,
    *,
    notify: Callable[[Notice], None] = ignore_notice,
    should_stop: Callable[[], bool] = never,
    progress: Progress = silent,
) -> DemoResult:
    """Tell one case in `folder`; nothing that is printed is fixed beforehand.

    Args:
        case: one of `CASES`.
        folder: missing, empty, or of an earlier run of the case.
        say: prints text.
        notify: called with the notices of the study.
        should_stop: called during the run; True pauses it.
        progress: called during the work.

    Raises:
        UsageError: `folder` has something else in it.
    """
    if case == "monthly":
        packages = ("sklearn", "ultralytics", "torch", "onnx", "onnxruntime", "python_multipart")
        require_extras("demo,train,export,serve", packages)
        from liftgate.demo.monthly import run_monthly  # what it imports is in these extras

        return run_monthly(folder, say, notify=notify, should_stop=should_stop, progress=progress)
    begun = time.monotonic()
    require_demo_folder(folder)
    if note := busy_note():
        say(f"{note}\n")
    study = (_tell_improve if case == "improve" else _tell_kill_switch)(folder, say, progress)
    result = api.run(study, notify=notify, should_stop=should_stop, progress=progress)
    for verdict in result.verdicts.values():
        print_verdict(verdict, say)
    if case == "improve":
        _tell_thresholds(study, say)
    seconds = time.monotonic() - begun
    say(f"\n   {seconds:.0f} s in all. The report: {result.report}\n   The study: {study}")
    return DemoResult(result.verdicts, result.report, study, seconds)


def _tell_improve(folder: Path, say: Say, progress: Progress) -> Path:
    say(
        "A detector of luggage is stuck: low mAP50 whatever the learning rate. The project changed hyper-parameters\n"
        "for 200 epochs, and it became worse.\n\n1. Before the next 200 epochs: liftgate check"
    )
    delivered = draw_dataset(folder / "delivered", _COUNTS, _LUGGAGE, seed=1, transposed=True)
    print_findings(api.check(delivered, progress=progress), folder, say)
    say("\n2. The boxes the right way round, in a copy: liftgate check --fix DIR --fix labels.geometry")
    if not (folder / "corrected" / "data.yaml").is_file():
        write_fixed(fix_dataset(read(delivered), ("labels.geometry",)), folder / "corrected")
    print_findings(api.check(folder / "corrected" / "data.yaml", progress=progress), folder, say)
    say("\n3. Had the recipe been the reason? Both trained alike, measured on the same corrected test images")
    return _write_study(folder, "improve.yaml")


def _tell_thresholds(study: Path, say: Say) -> None:
    """Evaluate one model's predictions at two thresholds: the second thing that the project did not see."""
    (predictions,) = sorted(
        (study.parent / "runs" / "transposed" / "predictions").glob("corrected-test-*[0-9a-f].json")
    )
    truth = study.parent / "corrected" / "data.yaml"
    rows = {conf: api.evaluate(truth, predictions, split="test", conf=conf) for conf in (0.60, 0.50)}
    say("\n4. One model, two thresholds: the project compared one evaluation at 0.25 with another at 0.10. Here:")
    for conf, row in rows.items():
        recall, false = row.metrics["recall"], row.metrics["false_positives_per_image"]
        say(f"   confidence {conf:.2f}: recall {recall:.3f}, {false:.2f} false positives per image")
    say("   It is the same model. `compare` and a gate take one threshold for both, and name it beside the number.")


def _tell_kill_switch(folder: Path, say: Say, progress: Progress) -> Path:
    say(
        "Made images of vehicles, to lift a model of real ones. The project's gate passed, and the made images had\n"
        "cost 2.3 points; years of its figures were too low by one line of a data.yaml.\n\n"
        "1. That line, before any training: liftgate check"
    )
    poses = draw_dataset(folder / "poses", {"train": 40, "val": 10}, _VEHICLES, seed=2, keys=_POINTS)
    print_findings(api.check(poses, select=["pose"], progress=progress), folder, say)
    say("   Half of the images would have taught left as right. `liftgate check --fix DIR` writes the right line.")
    draw_dataset(folder / "real", {**_COUNTS, "train": 30}, _VEHICLES, seed=3)
    draw_dataset(folder / "made", {"train": 60, "val": 10}, _MADE, seed=4)
    say("\n2. The gate alone, and what it is credited with: a (made and real images) minus b (the same real ones)")
    return _write_study(folder, "kill_switch.yaml")


def _write_study(folder: Path, name: str) -> Path:
    """Copy the study beside the data; one that was changed stays as it is."""
    study = folder / "study.yaml"
    write_text(folder / "start.yaml", "{}\n")
    if not study.exists():
        with resources.as_file(resources.files("liftgate.demo") / "files" / name) as source:
            shutil.copyfile(source, study)
    return study
