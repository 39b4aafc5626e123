"""Fixed names in a study: literal types, steps, verdicts, metrics, differences and reserved arguments."""

from __future__ import annotations

from typing import Literal, get_args

Task = Literal["detect", "pose"]
Rule = Literal["interval", "point"]
Use = Literal["research", "commercial"]
EngineName = Literal["local", "slurm", "ray"]
ClaimWord = Literal["better", "equal"]
"""Claim of a comparison; `equal` means within ± margin, by two one-sided tests"""
VerdictWord = Literal["PASS", "MARGINAL", "FAIL"]
ArmWord = Literal["FINISHED", "CAREFUL", "STOPPED"]
"""How the training of an arm ended"""
WorthWord = Literal["MORE", "UNSURE", "ENOUGH"]
"""Whether more data would bring at least the margin"""

VERBS = ("check", "probe", "mistakes", "baseline", "train", "worth", "export", "report")
"""Steps of `flow:`, in addition to the study's own gates."""

PLANNED_VERBS = ("compare", "shadow", "promote", "sample")
"""Steps of the design that this version does not have; a study with one of them is refused with that reason."""

DEFAULT_FOLDS = 5
"""Of `mistakes`"""

DEFAULT_SHARES = (0.25, 0.5, 1.0)
"""Of `worth`"""

EXPORT_FORMATS = ("onnx", "openvino", "torchscript", "ncnn", "tensorrt", "litert", "executorch")
EXPORT_PRECISIONS = ("fp32", "fp16", "int8")

VERDICTS: tuple[str, ...] = get_args(VerdictWord)

ARM_WORDS: tuple[str, ...] = get_args(ArmWord)
"""How the training of an arm ended: completed; completed, but only `careful_if` of a decision point held; stopped."""

WORTH_WORDS: tuple[str, ...] = get_args(WorthWord)
"""Whether more data would bring the `margin` of a worth step: the whole interval of the gain is at or above it, holds
it, or is below it."""

PCK = "PCK@0.05"
"""Share of keypoints within 5% of the box diagonal"""
METRICS = (
    "mAP50-95",
    "mAP50",
    "mAP75",
    "mAP_small",
    "mAP_medium",
    "mAP_large",
    "AR_1",
    "AR_10",
    "AR_100",
    "AR_small",
    "AR_medium",
    "AR_large",
    "recall",
    "precision",
    "best_confidence_median",
    "false_positives_per_image",
    "accuracy",
    "detection_rate",
    "false_alarm_rate",
    "AUC",
    "ms_per_image",
    "OKS-mAP50-95",
    "OKS-mAP50",
    "OKS-mAP75",
    "OKS-mAP_medium",
    "OKS-mAP_large",
    "OKS-AR",
    "OKS-AR50",
    "OKS-AR75",
    "OKS-AR_medium",
    "OKS-AR_large",
    PCK,
)
"""Metrics that a gate may name: COCO's twelve of boxes, rates at the gate's confidence threshold and IoU 0.5, and, for
`task: pose`, COCO's ten of keypoints and PCK (claims only). Those of SCREENING are of whole images and need the gate's
`threats`; ms_per_image is the time that predicting took, where it was recorded."""

SCREENING = ("accuracy", "detection_rate", "false_alarm_rate", "AUC")

EPOCH_METRICS = (
    "mAP50-95",
    "mAP50",
    "precision",
    "recall",
    "pose_mAP50-95",
    "pose_mAP50",
    "pose_precision",
    "pose_recall",
)
"""Metrics of an epoch on val, by the trainer's own formulas, for the best epoch and decision points."""

LOWER_IS_BETTER = ("false_positives_per_image", "false_alarm_rate", "ms_per_image")

NO_LEARNING_CURVE = (*SCREENING, *LOWER_IS_BETTER, "best_confidence_median")
"""Metrics that more data do not raise along a power law"""

GROUP_RULES = ("folder", "exif", "name-time")
"""Rules for groups, in addition to a regular expression and a CSV file."""

DIFFERENCES = ("stages", "data", "weights", "recipe", "select", "backend")
"""What two arms of a comparison may differ in; `recipe.NAME` names one training argument."""

RESERVED_ARGUMENTS = {
    "data": "the stage's own `data` names the dataset",
    "model": "the stage's own `weights` names the start weights",
    "pretrained": "the stage's own `weights` names the start weights",
    "seed": "`seeds` of the study sets how often each arm is run",
    "task": "`task` of the study sets it",
    "mode": "a stage is always training",
    "device": "`device` of the study is the same for all arms",
    "project": "Liftgate makes the run folder",
    "name": "Liftgate makes the run folder",
    "save_dir": "Liftgate makes the run folder",
    "exist_ok": "a run folder is never used twice",
    "resume": "`liftgate run` goes on by itself where it was stopped",
    "save": "best.pt and last.pt are always kept",
    "val": "every epoch is validated: the best checkpoint is chosen by it",
    "split": "the best checkpoint is chosen on val; test is for the verdict",
    "cfg": "a recipe is written in the study, where the study's hash covers it",
    "time": "it makes the number of epochs depend on the machine: `epochs` sets it, `budget` sets a ceiling",
}
"""Training arguments that a recipe may not set → the reason, or the key that sets them."""
