"""A rich ReportContent for tests and for looking at: invented numbers, every section filled.

`python tests/report/sample_report.py OUT.html` writes it.
"""

from __future__ import annotations

import io
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from liftgate.checks.finding import Finding
from liftgate.evaluation.records import Comparison, Evaluation, Verdict
from liftgate.hashing import content_hash
from liftgate.reporting import ReportContent, render
from liftgate.reporting.content import (
    ArmContent,
    BrowsedImage,
    Chart,
    ClaimContent,
    ConfidenceBin,
    ConfusionMatrix,
    CostRow,
    DrawnBox,
    Gallery,
    GateContent,
    IgnoredFinding,
    ImageBrowser,
    LineageNode,
    Panel,
    Picture,
    Series,
    SettingDifference,
    SliceRow,
    SliceTable,
    SplitRow,
    ThresholdCurve,
)
from liftgate.stats.interval import Interval
from liftgate.study.records import Claim, Gate

CLASSES = ("blue_cone", "yellow_cone", "orange_cone", "large_orange_cone", "unknown_cone")


def sample() -> ReportContent:
    """Case C, as if it had been asked properly: no difference, two ways of saying so."""
    return ReportContent(
        study="cones-two-stage",
        question="Does pre-training on cone-detector lift FSOCO-12 mAP50?",
        gates=(_lift(), _claims()),
        data=(
            SplitRow("big", "train", 19975, 214, 301412, "CC-BY-4.0"),
            SplitRow("bench", "train", 7120, 41, 36511, "group: the team that took the picture"),
            SplitRow("bench", "test", 689, 24, 3710, "locked: opened 1 of 2 times"),
        ),
        findings=(
            Finding(
                "recipe.lr_ignored",
                "error",
                "study.yaml:14 arm two_stage, stage 2",
                "optimizer is auto, so lr0 0.001 is not used: 0.01 will be",
                "set optimizer: SGD or AdamW beside lr0",
            ),
            Finding(
                "classes.absent",
                "warning",
                "FSOCO-12/data.yaml, split val",
                "large_orange_cone has 3 objects in val and 108 in train",
                "split again by group, or leave the class out of the gate",
            ),
            Finding("images.no_background", "info", "FSOCO-12/data.yaml", "all 9,777 images have objects", "add some"),
        ),
        ignored=(
            IgnoredFinding(
                Finding("licence.missing", "warning", "datasets.big", "no licence is stated", "state it"),
                "asked the authors on 3 March; answer pending",
            ),
        ),
        charts=_charts(),
        costs=(
            CostRow("single, seed 0", 36010.0, 10.0, "1 × A10G"),
            CostRow("two_stage, seed 0", 154812.0, 43.0, "1 × A10G"),
            CostRow("predictions and measuring", 95.2, None, "cached"),
            CostRow("all", 190917.2, 53.0, total=True),
        ),
        versions={
            "liftgate": "0.1.0",
            "ultralytics": "8.4.190",
            "torch": "2.15.0",
            "Python": "3.11.2",
            "device": "A10G",
        },
        hashes={"study": content_hash("study"), "ledger head": content_hash("head")},
        command="liftgate run study.yaml",
        notes=("One seed: this is about two checkpoints, not about the recipe.",),
    )


def _evaluation(shift: float, seed: int) -> Evaluation:
    rng = np.random.default_rng(seed)
    names = ("mAP50-95", "mAP50", "mAP75", "mAP_small", "AR_100", "recall", "precision", "best_confidence_median")
    values = (0.4846, 0.7612, 0.5102, 0.2211, 0.5570, 0.6542, 0.8401, 0.7714)
    metrics = {name: value + shift for name, value in zip(names, values, strict=True)}
    rates = {"recall", "precision"}
    intervals = {
        name: Interval(
            metrics[name],
            metrics[name] - 0.031,
            metrics[name] + 0.0287,
            0.95,
            "korn-graubard" if name in rates else "jackknife-t",
            689,
            24,
        )
        for name in ("mAP50-95", "mAP50", "mAP75", "recall", "precision")
    }
    per_class = {
        name: {
            "AP50-95": float(rng.uniform(0.3, 0.6)),
            "AP50": float(rng.uniform(0.5, 0.9)),
            "recall": float(rng.uniform(0.4, 0.9)),
            "precision": float(rng.uniform(0.6, 0.95)),
            "n_objects": int(rng.integers(8, 1900)),
            "n_detections": int(rng.integers(8, 1900)),
        }
        for name in CLASSES
    }
    per_class["unknown_cone"]["AP50"] = None
    fixed = {name: {**row, "n_objects": 100 + 7 * i} for i, (name, row) in enumerate(per_class.items())}
    return Evaluation(
        {**metrics, "mAP_large": None},
        intervals,
        fixed,
        {"conf": 0.25},
        content_hash("truth"),
        content_hash(seed),
        0.95,
        "jackknife-t",
        689,
        24,
    )


def _lift() -> GateContent:
    gate = Gate(
        "lift", "bench.test", metric="mAP50", treatment="two_stage", control="single", margin=0.01, differ=("stages",)
    )
    delta = Interval(-0.0014, -0.0152, 0.0124, 0.95, "jackknife-t", 689, 24, 3.1, 222.0)
    sentence = (
        "two_stage − single on mAP50 is −0.0014, between −0.0152 and +0.0124 (95%, 689 images in 24 groups): "
        "the margin of 0.01 is neither reached nor ruled out."
    )
    comparison = Comparison(
        "mAP50",
        0.7612,
        0.7598,
        delta,
        0.01,
        "MARGINAL",
        sentence,
        61,
        ("environment: torch 2.15.0 for single, 2.14.1 for two_stage",),
    )
    verdict = Verdict(
        "lift",
        gate.content_hash(),
        "MARGINAL",
        sentence,
        (comparison.to_dict(),),
        (
            "One seed: the verdict is about these two checkpoints, not about the recipe.",
            "The comparison is confounded: see what was compared.",
        ),
    )
    data = LineageNode("data", "bench", content_hash("bench"))
    split = LineageNode("split", "FSOCO-12 split.csv", content_hash("split"))
    sides = tuple(
        LineageNode(
            "evaluation",
            f"{arm} on bench.test",
            content_hash([arm, "evaluation"]),
            (
                LineageNode(
                    "predictions",
                    arm,
                    content_hash([arm, "predictions"]),
                    (
                        LineageNode(
                            "run",
                            f"20261103T0912_{arm}",
                            content_hash([arm, "run"]),
                            (LineageNode("recipe", "SGD, lr0 0.01", content_hash([arm, "recipe"])), split, data),
                        ),
                    ),
                ),
            ),
        )
        for arm in ("single", "two_stage")
    )
    return GateContent(
        gate,
        verdict,
        (
            ArmContent(
                "single",
                "control",
                "yolo12n.pt → bench, 300 epochs, SGD, lr0 0.01",
                _evaluation(0.0, 1),
                {"imgsz": "640", "conf": "0.001", "iou": "0.7", "max_det": "300"},
            ),
            ArmContent(
                "two_stage",
                "treatment",
                "yolo12n.pt → big, 200 epochs, SGD, lr0 0.01 → bench, 150 epochs, SGD, lr0 0.001",
                _evaluation(-0.0014, 2),
                {"imgsz": "640", "conf": "0.001", "iou": "0.7", "max_det": "300"},
            ),
        ),
        comparison,
        (),
        (
            SettingDifference("stages", "1", "2"),
            SettingDifference("environment.torch", "2.15.0", "2.14.1", declared=False),
        ),
        (
            Gallery(
                "Worst images of two_stage",
                tuple(_picture(i, one_arm=True) for i in range(4)),
                "Lowest F1 at confidence 0.25.",
            ),
            Gallery("Most improved", tuple(_picture(i) for i in range(4, 6)), "Largest gain in F1 at confidence 0.25."),
            Gallery("Most harmed", tuple(_picture(i) for i in range(6, 8)), "Largest loss in F1 at confidence 0.25."),
        ),
        (
            Chart(
                "Precision over recall at IoU 0.5",
                tuple(
                    Series(arm, tuple((r / 20, 0.98 - 0.5 * (r / 20) ** (4 - slot / 2)) for r in range(21)), slot)
                    for slot, arm in enumerate(("single", "two_stage"))
                ),
                "recall",
                "precision",
            ),
        ),
        trace=LineageNode(
            "verdict",
            "lift: MARGINAL",
            content_hash("verdict"),
            (
                LineageNode("gate", "lift", gate.content_hash()),
                LineageNode("comparison", "two_stage − single", content_hash("comparison"), sides),
            ),
        ),
        thresholds=tuple(_threshold_curve(arm, top) for arm, top in (("single", 0.82), ("two_stage", 0.8))),
        confidences={
            arm: tuple(ConfidenceBin(i / 10, (i + 1) / 10, 40 * (11 - i) + slot, 0.1 * i + 0.07) for i in range(10))
            for slot, arm in enumerate(("single", "two_stage"))
        },
        confusions=tuple(ConfusionMatrix(arm, 0.25, CLASSES[:3], _CONFUSED) for arm in ("single", "two_stage")),
        browser=ImageBrowser(
            tuple(
                BrowsedImage(
                    _picture(20 + i),
                    CLASSES[i % 2 : 4],
                    (("missed",), ("background", "missed"), ())[i % 3],
                    ("gained", "lost", "same")[i % 3],
                    i % 2 == 0,
                )
                for i in range(9)
            ),
            689,
            "Chosen: 5 drawn at random, then the worst.",
        ),
        slices=SliceTable(
            "mAP50",
            "group",
            ("single", "two_stage"),
            tuple(
                SliceRow(
                    f"team{i}",
                    12 + i,
                    3,
                    (0.5 + i / 50, 0.49 + i / 45),
                    None if i == 2 else Interval(-0.02 + i / 90, -0.06 + i / 90, 0.03 + i / 90, 0.95, "t", 12 + i, 6),
                )
                for i in range(8)
            ),
            24,
        ),
    )


_CONFUSED = ((812, 14, 3, 201), (22, 744, 9, 188), (1, 6, 7, 31), (64, 58, 3, 0))


def _threshold_curve(arm: str, top: float) -> ThresholdCurve:
    right = [int(1900 * top * (1 - (i / 101) ** 3)) for i in range(101)]
    found = [int(n * (1 + 2.5 * (1 - i / 101) ** 4)) for i, n in enumerate(right)]
    return ThresholdCurve(
        arm,
        tuple(i / 100 for i in range(101)),
        tuple(right),
        tuple(found),
        1900,
        tuple(n / m for n, m in zip(right, found, strict=True)),
        tuple(n / 1900 for n in right),
        tuple(2 * n / (m + 1900) for n, m in zip(right, found, strict=True)),
    )


def _claims() -> GateContent:
    gate = Gate(
        "good_enough",
        "car.test",
        arm="production",
        claims=(Claim("recall", 0.95), Claim("best_confidence_median", 0.55)),
        conf=0.25,
    )
    recall = Interval(0.92, 0.871, 0.9544, 0.95, "korn-graubard", 96, 12, 2.2, 43.0)
    confidence = Interval(0.71, 0.66, 0.75, 0.95, "jackknife-t", 96, 12)
    return GateContent(
        gate,
        Verdict(
            "good_enough",
            gate.content_hash(),
            "MARGINAL",
            "recall 0.92 [0.8710, 0.9544] (95%, 96 images in 12 groups): 0.95 is neither shown nor ruled out.",
            (),
            ("12 groups: 8 orange cones in all.",),
        ),
        (ArmContent("production", "measured", "yolov8n.pt, off the shelf", _evaluation(0.02, 5)),),
        None,
        (
            ClaimContent("recall", recall, 0.95, "MARGINAL", 780, 31, "at confidence 0.25, IoU 0.5"),
            ClaimContent("best_confidence_median", confidence, 0.55, "PASS"),
        ),
    )


def _charts() -> tuple[Chart, ...]:
    def rising(slot: int, epochs: int, top: float) -> Series:
        points = tuple(
            (float(e), top * (1 - math.exp(-e / 9)) + 0.012 * math.sin(e * (slot + 2))) for e in range(1, epochs)
        )
        return Series(f"{('single', 'two_stage')[slot]}, seed 0", points, slot, max(points, key=lambda p: p[1])[0])

    def falling(slot: int, epochs: int) -> Series:
        points = tuple((float(e), None if e == 7 else 2.4 * math.exp(-e / (14 + slot)) + 1.1) for e in range(1, epochs))
        return Series(f"{('single', 'two_stage')[slot]}, seed 0", points, slot)

    return (
        Chart("mAP50 on val", (rising(0, 50, 0.76), rising(1, 38, 0.755))),
        Chart("mAP50-95 on val", (rising(0, 50, 0.48), rising(1, 38, 0.47))),
        Chart("box loss, train", (falling(0, 50), falling(1, 38))),
        Chart("class loss, train", (falling(0, 50), falling(1, 38))),
    )


def _picture(seed: int, one_arm: bool = False) -> Picture:
    import PIL.Image

    rng = np.random.default_rng(seed)
    width, height = 480, 320
    ground = np.linspace(150, 60, height)[:, None, None] * np.array([0.9, 1.0, 0.85]) * np.ones((1, width, 1))
    pixels = np.clip(ground + rng.normal(0, 6, ground.shape), 0, 255).astype(np.uint8)
    truth = []
    for _ in range(4):
        x, y = rng.integers(20, width - 90), rng.integers(60, height - 90)
        w, h = rng.integers(30, 60), rng.integers(40, 80)
        pixels[y : y + h, x : x + w] = rng.integers(60, 250, 3)
        truth.append(DrawnBox((float(x), float(y), float(x + w), float(y + h)), CLASSES[int(rng.integers(5))]))
    out = io.BytesIO()
    PIL.Image.fromarray(pixels).save(out, "JPEG", quality=80)

    def guesses(keep: int) -> tuple[DrawnBox, ...]:
        moved = [tuple(float(v + rng.normal(0, 3)) for v in box.xyxy) for box in truth[:keep]]
        return tuple(DrawnBox(m, t.label, float(rng.uniform(0.3, 0.98))) for m, t in zip(moved, truth, strict=False))  # type: ignore[arg-type]

    arms = ("two_stage",) if one_arm else ("single", "two_stage")
    panels = tuple(Panel(arm, guesses(keep), f"{keep} of 4 found") for arm, keep in zip(arms, (2, 4), strict=False))
    return Picture(
        f"team{seed}/frame_{seed:05d}.jpg", width, height, out.getvalue(), tuple(truth), panels, f"team{seed}"
    )


def harmed() -> ReportContent:
    """The same with a FAIL whose interval lies below zero, and nothing else but the verdict."""
    full = sample()
    lift = full.gates[0]
    assert lift.comparison
    delta = Interval(-0.021, -0.034, -0.0081, 0.95, "jackknife-t", 689, 24)
    comparison = replace(lift.comparison, delta=delta, verdict="FAIL", groups_needed=None, differences=())
    verdict = replace(lift.verdict, word="FAIL", sentence="two_stage harms mAP50.", caveats=())
    return ReportContent("harm", "Does it harm?", (GateContent(lift.gate, verdict, (), comparison),))


def two_seeds() -> ReportContent:
    """The comparison again: its treatment was trained with two seeds, its control not at all."""
    full = sample()
    lift = full.gates[0]
    control, treatment = lift.arms
    seeds = {3: _evaluation(0.0, 2), 8: _evaluation(0.01, 3)}
    arms = (control, replace(treatment, evaluation=seeds[3], by_seed=seeds))
    return replace(full, gates=(replace(lift, arms=arms),))


if __name__ == "__main__":
    render(sample(), Path(sys.argv[1]))
    render(harmed(), Path(sys.argv[1]).with_suffix(".harm.html"))
