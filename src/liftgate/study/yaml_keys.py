"""Every key of study.yaml as pydantic models, with the descriptions for the reference and for editors.

`study_parser.py` converts these models to the frozen records that other packages use.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
    model_validator,
)

from liftgate.study.conditions import with_metric_of
from liftgate.study.engine_keys import Engine
from liftgate.study.gate_keys import GateKeys, Keys
from liftgate.study.value_types import (
    ArmName,
    Ceiling,
    ConditionText,
    Device,
    EpochMetric,
    Expected,
    Fraction,
    Groups,
    Metric,
    Name,
    Recipe,
    Scalar,
    Text,
    When,
    one_or_more,
)
from liftgate.study.vocabulary import EXPORT_FORMATS, EXPORT_PRECISIONS, VERBS


class DatasetKeys(Keys):
    """One entry of `datasets`: images and labels in one place."""

    path: Text = Field(
        description="data.yaml (YOLO), COCO JSON, Pascal VOC folder or another format that is read (docs/formats.md); "
        "relative to study.yaml."
    )
    images: Text | None = Field(
        default=None, description="Folder of the images, where the label file does not name it (COCO)."
    )
    groups: Groups | None = Field(
        default=None,
        description="What must stay together and what a statistic counts as one: a regular expression with "
        "(?P<group>…) on the file name, a CSV with columns image,group, or folder, exif, name-time. "
        "Without it every image is a group of its own.",
    )
    split: Text | None = Field(default=None, description="CSV with columns image,split: a frozen split.")
    ratios: Annotated[list[Fraction], Field(min_length=3, max_length=3)] | None = Field(
        default=None,
        description="Make a split by group: shares of train, val and test, for example [0.7, 0.15, 0.15]. The first "
        "run freezes it: an image keeps its split when labels are corrected and images added.",
    )
    split_seed: Annotated[int, Field(ge=0)] = Field(default=0, description="Seed of the split that `ratios` makes.")
    rename: dict[Text, Text] = Field(
        default={},
        description="Classes by other names, so that they are the same throughout the study: {Blue Cone: blue_cone}. "
        "Two that get one name are one class.",
    )
    keep: Annotated[list[Text], Field(min_length=1)] | None = Field(
        default=None,
        description="Only these classes (by the names of `rename`); the boxes of all others are left out.",
    )
    lock: list[Name] = Field(default=[], description="Splits in the lockbox: every opening is counted and recorded.")
    openings: dict[Name, Annotated[int, Field(ge=1)]] = Field(
        default={},
        description="How often a locked split may be opened, declared before. "
        "Default: once for each gate on that split.",
    )
    licence: Text | None = Field(default=None, description="Licence of the images, as the report shows it.")
    origin: Literal["real", "synthetic"] = Field(default="real", description="Photographed or made.")
    confidential: bool = Field(default=False, description="true: nothing of it leaves this machine.")


class PartKeys(Keys):
    """One dataset of a stage's mix."""

    dataset: Name = Field(description="Name of the dataset whose training images are seen.")
    repeat: Annotated[int, Field(ge=1)] = Field(default=1, description="How often each of them is seen per epoch.")
    take: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Only so many of them, the same for every arm and seed (fewer are a part of more). Default: all.",
    )


class DecisionKeys(Keys):
    """A decision point of a stage, judged on val while it trains.

    Conditions are `METRIC SIGN NUMBER`, for example `mAP50 > 0.40`; `careful_if: "> 0.30"` is about the metric of
    `continue_if`. `forecast mAP50 > 0.5` is about the last epoch of the recipe, as far as the curve tells (from epoch
    8 on): a run is stopped for it where even the kinder end of the 80% interval misses the number. A run that ends
    before its point is judged at its last epoch. After a stop the flow goes on where a later step names the arm
    (`when: {ARM: STOPPED}`); where none does, the study ends with exit code 12.
    """

    at: Annotated[int, Field(ge=1)] = Field(description="After which epoch.")
    continue_if: ConditionText = Field(description="Go on when this holds.")
    careful_if: ConditionText | None = Field(
        default=None, description="Otherwise go on when this holds, and note it with every verdict about the arm."
    )
    otherwise: Literal["stop", "continue"] = Field(default="stop", description="What happens when neither holds.")

    @model_validator(mode="before")
    @classmethod
    def _same_metric(cls, raw: Any) -> Any:
        careful, wanted = (raw.get("careful_if"), raw.get("continue_if")) if isinstance(raw, dict) else (None, None)
        if isinstance(careful, str) and isinstance(wanted, str):
            return {**raw, "careful_if": with_metric_of(careful, wanted)}
        return raw


def _data_form(value: object) -> str:
    return "mix" if isinstance(value, list) else "name"


Data = Annotated[
    Annotated[Name, Tag("name")] | Annotated[Annotated[list[PartKeys], Field(min_length=1)], Tag("mix")],
    Discriminator(_data_form),
]


class StageKeys(Keys):
    """One stage of an arm: one training run from start weights on a dataset, or a mix of several, with a recipe."""

    data: Data = Field(
        description="Name of the dataset to train on, or a mix: `[{dataset: synthetic}, {dataset: real, repeat: 8}]`. "
        "Only training images are mixed; val and test never are."
    )
    val: Name | None = Field(
        default=None,
        description="The dataset whose val the run is validated on. A mix of several needs it; else it is `data`.",
    )
    weights: Text | None = Field(
        default=None,
        description="Start weights: an official name (yolov8n.pt), a file, or a model YAML (from scratch). "
        "The first stage needs them; a later one goes on from the weights of the stage before.",
    )
    weights_from: Literal["best", "last"] = Field(
        default="best", description="Which weights of the stage before it goes on from."
    )
    recipe: Recipe = Field(
        default={},
        description="Training arguments in the trainer's own names, as a mapping or as `key=value` words.",
    )
    select: EpochMetric | None = Field(
        default=None,
        description="Metric on val that the best epoch and early stopping go by. Default: the arm's, then the study's, "
        "then the trainer's own (Ultralytics: mAP50-95; for pose, of boxes plus keypoints).",
    )
    decide: list[DecisionKeys] = Field(default=[], description="Decision points.")
    expect: Expected = Field(
        default={},
        description="Expected trajectory, epoch → [low, high] of the metric in `select` (else mAP50), "
        "shown against the actual one: {25: [0.12, 0.15]}.",
    )


_ARM_BACKEND = "What trains and predicts this arm; it is measured as every other. Default: the study's `backend`."


class ModelKeys(Keys):
    """An arm without training: the model as it is."""

    weights: Text = Field(description="The model: an official name or a file.")
    imgsz: Annotated[int, Field(ge=32)] | None = Field(
        default=None,
        description="The one image size in pixels that it is measured at. Default: the size of `evaluation`; else, as "
        "the control of a trained arm, both the size that it was trained for and that of the other arm, of which the "
        "better one counts; by itself the size that it was trained for.",
    )
    backend: Text | None = Field(default=None, description=_ARM_BACKEND)


class TrainedKeys(Keys):
    """An arm with settings besides its stages."""

    stages: Annotated[list[StageKeys], Field(min_length=1)] = Field(description="Its stages.")
    select: EpochMetric | None = Field(default=None, description="`select` of every stage that has none of its own.")
    ablate: dict[Name, Annotated[list[Scalar], Field(min_length=1)]] = Field(
        default={},
        description="Training arguments and the values to try: {fliplr: [0, 0.5]} makes one more arm for each value "
        "that the recipe does not have already, ARM-fliplr-0, which differs from this one in that value alone, in "
        "every stage. (Set this arm's own value in its recipe, or a default is trained twice.) "
        "A gate with `ablation: ARM` compares each of them with this arm.",
    )
    remember: Annotated[list[Text], BeforeValidator(one_or_more)] | Literal[False] | None = Field(
        default=None,
        description="DATASET.SPLIT of what the start weights knew: measured with them and with the trained model; "
        "the difference is reported with every verdict. Default: val of earlier stages' data. false: not measured.",
        json_schema_extra={"anyOf": [{"type": ["array", "string"]}, {"const": False}]},
    )
    backend: Text | None = Field(default=None, description=_ARM_BACKEND)


def _arm_form(value: object) -> str:
    if isinstance(value, dict):
        return "trained" if "stages" in value else "model"
    return "stages"


ArmKeys = Annotated[
    Annotated[Annotated[list[StageKeys], Field(min_length=1)], Tag("stages")]
    | Annotated[ModelKeys, Tag("model")]
    | Annotated[TrainedKeys, Tag("trained")],
    Discriminator(_arm_form),
]


class StepKeys(Keys):
    """A step of the flow with a condition."""

    step: Text = Field(
        description="check, probe, mistakes, baseline, train, worth, export, report, or the name of a gate.",
        json_schema_extra={"anyOf": [{"enum": list(VERBS)}, {"type": "string"}]},
    )
    when: When = Field(
        default=[],
        description="Only if these gates have one of these verdicts, {GATE: [FAIL, MARGINAL]}, or the training of "
        "these arms ended so, {ARM: STOPPED} (FINISHED, CAREFUL or STOPPED), or {worth: ENOUGH} (MORE, UNSURE, ENOUGH) "
        "of the step `worth` with a `margin`. A list of such mappings: one must hold.",
        json_schema_extra={"type": ["object", "array"]},
    )
    arms: Annotated[list[ArmName], Field(min_length=1)] | None = Field(
        default=None,
        description="For train, baseline and export: only these arms. For mistakes and worth: the one whose weights "
        "and recipe are trained on parts of the data, of one stage on one dataset.",
    )
    folds: Annotated[int, Field(ge=2)] | None = Field(
        default=None,
        description="For mistakes: the groups are dealt to so many folds, and the labels of each are compared with "
        "what a model sees that was trained on the others (default: 5). Locked splits take no part; no label changes.",
    )
    shares: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=3)] | None = Field(
        default=None,
        description="For worth: the arm is trained on these shares of the groups of its train, each a part of the "
        "next, with every seed (default: [0.25, 0.5, 1]); 1 is the arm itself.",
    )
    on: Text | None = Field(
        default=None, description="For worth: DATASET.SPLIT that is measured on, not locked (default: the arm's val)."
    )
    metric: Metric | None = Field(default=None, description="For worth: what more data would lift (default: mAP50).")
    old_groups: bool | None = Field(
        default=None,
        description="For worth, true: train on the same shares of the images of every group too, which tells new "
        "groups from more images of those at hand.",
    )
    more: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="For worth: images beyond those at hand, at most three times as many (default: once)."
    )
    margin: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None,
        description="For worth: the least gain that is worth more data, which `when: {worth: …}` of a later step asks.",
    )
    seconds_per_image: Annotated[float, Field(gt=0, lt=86400)] | None = Field(
        default=None, description="For worth: how long an image takes to label; the answer then has the hours."
    )
    formats: Annotated[list[Text], Field(min_length=1)] | None = Field(
        default=None, description=f"For export: of {', '.join(EXPORT_FORMATS)} (default: onnx)."
    )
    precisions: Annotated[list[Text], Field(min_length=1)] | None = Field(
        default=None,
        description=f"For export: of {', '.join(EXPORT_PRECISIONS)} (default: fp32). int8 calibrates on train of the "
        "arm's last data.",
    )


def _step_form(value: object) -> str:
    return "conditional" if isinstance(value, dict) else "name"


Step = Annotated[
    Annotated[
        Text,
        Tag("name"),
        WithJsonSchema({"anyOf": [{"enum": list(VERBS)}, {"type": "string", "description": "the name of a gate"}]}),
    ]
    | Annotated[StepKeys, Tag("conditional")],
    Discriminator(_step_form),
]


class BudgetKeys(Keys):
    """Ceilings: a run stops before it would pass one. Leave a key out for no ceiling."""

    usd: Ceiling | None = Field(
        default=None,
        description="Money; needs usd_per_hour. With gpu_hours it may be left out: then the hours decide.",
    )
    gpu_hours: Ceiling | None = Field(default=None, description="Hours of training.")
    usd_per_hour: Ceiling | None = Field(default=None, description="What an hour of this machine costs.")
    kwh: Ceiling | None = Field(
        default=None,
        description="Energy of the GPUs while they train, by nvidia-smi; refused without it.",
    )


class EarlyKillKeys(Keys):
    """Hopeless runs are stopped early (the median rule), and the stop is recorded.

    A run of another arm is hopeless when its best epoch so far is below the median of what the finished runs on the
    same data had on average until then. A gate about an arm that was stopped is skipped.
    """

    rule: Literal["median"] = Field(description="median: the only rule so far.")
    after: Annotated[int, Field(ge=1)] = Field(default=10, description="Epochs that every run has.")
    runs: Annotated[int, Field(ge=1)] = Field(default=3, description="Finished runs of other arms needed to judge.")


class EvaluationKeys(Keys):
    """How predictions are made; the same for every arm. What is left out is the trainer's own default."""

    imgsz: Annotated[int, Field(ge=32)] | None = Field(
        default=None,
        description="Image size in pixels. Default: the size that the arm was trained at; for a model as it is, see "
        "`imgsz` of the arm.",
    )
    conf: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        default=None, description="Detections below this confidence are not kept at all; keep it low for mAP."
    )
    iou: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="IoU above which non-maximum suppression drops a detection."
    )
    max_det: Annotated[int, Field(ge=1)] | None = Field(default=None, description="Most detections per image.")
    batch: Annotated[int, Field(ge=1)] | None = Field(default=None, description="Images at a time.")


class StudyKeys(Keys):
    """A study: the whole question in one file."""

    study: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$")] = Field(
        description="Name of the study; its runs are in runs/NAME next to study.yaml."
    )
    question: Text = Field(description="The question in one sentence, as the report asks it.")
    task: Literal["detect", "pose"] = Field(default="detect", description="Boxes, or boxes with keypoints.")
    datasets: Annotated[dict[Name, DatasetKeys], Field(min_length=1)] = Field(description="Datasets by name.")
    arms: Annotated[dict[Name, ArmKeys], Field(min_length=1)] = Field(
        description="Arms by name: a list of stages, `{stages: […], …}`, or `{weights: …}` for a model as it is."
    )
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], Field(min_length=1)] = Field(
        default=[0], description="Every arm is trained once for each seed."
    )
    gates: dict[Name, GateKeys] = Field(default={}, description="Gates by name.")
    answer: Name | None = Field(
        default=None,
        description="The gate whose verdict answers the question: headline, status and exit code follow it. Default: "
        "the worst verdict among the gates of the last decision, that is of the last gates of the flow with nothing "
        "else between them. Where the verdict of another gate makes it superfluous (`when:`), that verdict answers.",
    )
    flow: Annotated[list[Step], Field(min_length=1)] = Field(
        description="What is done, in order: check, probe, mistakes, baseline, train, worth, export, report and "
        "the names of gates."
    )
    select: EpochMetric | None = Field(
        default=None, description="`select` of every stage that has none of its own, by its arm or by itself."
    )
    early_kill: EarlyKillKeys | None = Field(default=None, description="Stop hopeless runs early; default: never.")
    budget: BudgetKeys = Field(default=BudgetKeys(), description="Ceilings of money and time.")
    use: Literal["research", "commercial"] | None = Field(
        default=None,
        description="What the trained model is for: `check` reports where a licence of the data does not allow it.",
    )
    ignore: dict[Text, Text] = Field(default={}, description="Findings to ignore: id → the reason, which is recorded.")
    evaluation: EvaluationKeys = Field(default=EvaluationKeys(), description="How predictions are made, for every arm.")
    backend: Text = Field(
        default="ultralytics",
        description="What trains and predicts: ultralytics (AGPL-3.0), libreyolo (MIT), toy, or package.module:Class "
        "of your own. An arm may name another.",
    )
    device: Device | None = Field(
        default=None, description="cpu, 0, or several GPUs that train one run together: [0, 1]; default: it chooses."
    )
    engine: Engine | None = Field(
        default=None, description="Where trainings and predictions run; default: here, one after another."
    )
    regions: list[Text] = Field(
        default=[],
        description="Regions where confidential data may be, besides this machine: an engine elsewhere is refused.",
    )
    log: list[Literal["tensorboard", "mlflow", "wandb"]] = Field(
        default=[],
        description="Where the numbers of every epoch go, besides the ledger: tensorboard (files in the run's folder), "
        "mlflow, wandb. A study with confidential data may not send them to another machine.",
    )
