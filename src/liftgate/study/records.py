"""The frozen records of a study. They contain the question, never a result; paths are as in the YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from liftgate.hashing import OMITTED_AT_DEFAULT, content_hash
from liftgate.study.vocabulary import ArmWord as ArmWord
from liftgate.study.vocabulary import ClaimWord as ClaimWord
from liftgate.study.vocabulary import EngineName as EngineName
from liftgate.study.vocabulary import Rule as Rule
from liftgate.study.vocabulary import Task as Task
from liftgate.study.vocabulary import Use as Use
from liftgate.study.vocabulary import VerdictWord as VerdictWord
from liftgate.study.vocabulary import WorthWord as WorthWord

_NOT_HASHED = ("source", "places", "engine", "regions")  # where a study is and runs changes no result


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """One entry of `datasets:`."""

    name: str
    path: str
    """data.yaml, COCO JSON or VOC folder, relative to study.yaml; COCO and VOC may need `images`."""
    images: str | None = None
    """Folder of the images, for label formats that do not name it (COCO)."""
    groups: str | None = None
    """Regex with (?P<group>…), CSV with columns image,group, `folder`, `exif` or `name-time`."""
    split: str | None = None
    """CSV with columns image,split (a frozen split); None: the splits of the source."""
    ratios: tuple[float, float, float] | None = None
    """Make a group-wise split train, val, test; None: keep the source's."""
    split_seed: int = 0
    keep: tuple[str, ...] | None = None
    """Only these classes; None: all."""
    lock: tuple[str, ...] = ()
    openings: Mapping[str, int] = field(default_factory=dict)
    """locked split → how often it may be opened; default: once for each gate on it"""
    licence: str | None = None
    origin: Literal["real", "synthetic"] = "real"
    confidential: bool = False
    rename: Mapping[str, str] = field(default_factory=dict, metadata=OMITTED_AT_DEFAULT)
    """class of the source → its name in this study; `keep` and gates use the new names"""


@dataclass(frozen=True, slots=True)
class Part:
    """One dataset of a mix: its training images, all or `take` of them, each seen `repeat` times per epoch."""

    dataset: str
    repeat: int = 1
    take: int | None = None
    """The same images for every arm and seed; fewer are a part of more."""

    def __str__(self) -> str:
        taken = self.dataset if self.take is None else f"{self.take} of {self.dataset}"
        return taken if self.repeat == 1 else f"{taken} × {self.repeat}"


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision point: whether a run continues after epoch `at`, by its metrics until then."""

    at: int
    continue_if: str
    """`mAP50 > 0.40`, see study/conditions.py"""
    careful_if: str | None = None
    otherwise: Literal["stop", "continue"] = "stop"


@dataclass(frozen=True, slots=True)
class Expectation:
    """Expected range of the watched metric after an epoch."""

    epoch: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Stage:
    """One training run: start weights + dataset + recipe."""

    data: str
    """Name of the dataset; of a mix, the one whose val is used for validation"""
    weights: str | None = None
    """Official name, file or model YAML; None: weights of the previous stage."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """Training arguments in Ultralytics' own names."""
    mix: tuple[Part, ...] = ()
    """Parts of the training data; empty: all of `data`"""
    weights_from: Literal["best", "last"] = "best"
    """Which weights of the previous stage it starts from"""
    select: str | None = None
    """Metric on val for the best epoch and early stopping; None: the trainer's own"""
    decide: tuple[Decision, ...] = ()
    expect: tuple[Expectation, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the datasets whose training images it uses."""
        return tuple(part.dataset for part in self.mix) or (self.data,)

    @property
    def watched(self) -> str:
        """The metric of `expect`: `select`, else mAP50."""
        return self.select or "mAP50"

    @property
    def described_data(self) -> str:
        """Training and validation data in words: `synthetic + 100 of real × 8, validated on real`."""
        mixed = " + ".join(str(part) for part in self.mix)
        if not mixed:
            return self.data
        return mixed if self.sources == (self.data,) else f"{mixed}, validated on {self.data}"


@dataclass(frozen=True, slots=True)
class Arm:
    """A chain of stages; none: the off-the-shelf model `weights`."""

    name: str
    stages: tuple[Stage, ...] = ()
    weights: str | None = None
    """The model of an arm without stages."""
    remember: tuple[str, ...] | None = None
    """`dataset.split` of old data that forgetting is measured on; None: val of earlier stages' data; (): not at all"""
    imgsz: int | None = field(default=None, metadata=OMITTED_AT_DEFAULT)
    """Of an arm without stages: the one image size that it is measured at; None: chosen, see `measured_sizes`"""
    backend: str | None = field(default=None, metadata=OMITTED_AT_DEFAULT)
    """What trains and predicts it; None: the study's"""


@dataclass(frozen=True, slots=True)
class Claim:
    """One line of a gate against fixed numbers: `metric` of the arm is at least, or at most, a number."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    """For metrics where lower is better; exactly one of the two is given"""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Least score of a flagged image: a number, or a rule by which it is chosen on another split."""

    at: float | None = None
    on: str | None = None
    """`dataset.split` that it is chosen on, and then frozen"""
    by: Literal["f1", "recall", "false_alarms"] = "f1"
    target: float | None = None
    """Least detection rate (`recall`) or highest false-alarm rate (`false_alarms`)"""


@dataclass(frozen=True, slots=True)
class Gate:
    """A rule written before the numbers exist: a comparison of two arms, claims about one arm, or about its exports."""

    name: str
    on: str
    """`dataset.split`"""
    rule: Rule = "interval"
    level: float = 0.95
    metric: str | None = None
    treatment: str | None = None
    control: str | None = None
    margin: float = 0.0
    claim: ClaimWord = "better"
    differ: tuple[str, ...] = ()
    """The one declared difference between the arms, e.g. `recipe.imgsz`, `data`, `weights`, `stages`."""
    arm: str | None = None
    claims: tuple[Claim, ...] = ()
    """All must hold; the verdict is the worst of them."""
    conf: float | None = None
    """Confidence threshold of rates (recall, precision, false positives per image); None: 0.25."""
    forget_at_most: float | None = None
    """How much the score on old data may fall; None: reported without a verdict"""
    threats: tuple[str, ...] = ()
    """Classes that image-level metrics (accuracy, detection_rate, false_alarm_rate, AUC) screen for"""
    threshold: Threshold | None = None
    """Least score of a flagged image; only with `threats`"""
    published: str | None = field(default=None, metadata=OMITTED_AT_DEFAULT)
    """Where the rule of a point gate was published, which is then replayed even on under five groups"""
    by: str | None = field(default=None, metadata=OMITTED_AT_DEFAULT)
    """Rule that gives each image its slice; None: no slices"""
    winner_of: tuple[str, ...] = field(default=(), metadata=OMITTED_AT_DEFAULT)
    """Claims: arms of which the best on val is judged; `arm` is None until it is known which one that is"""
    formats: tuple[str, ...] = field(default=(), metadata=OMITTED_AT_DEFAULT)
    """Formats in which the arm's model has to be equal to its weights; empty: the gate is not about exports"""
    precisions: tuple[str, ...] = field(default=(), metadata=OMITTED_AT_DEFAULT)
    """Of each of these formats"""
    label_errors: float | None = field(default=None, metadata=OMITTED_AT_DEFAULT)
    """Comparison: the largest share of the labels of each class that may be wrong; None: they are taken as right"""

    @property
    def is_comparison(self) -> bool:
        """Whether it compares two arms."""
        return self.control is not None

    @property
    def arm_names(self) -> tuple[str, ...]:
        """The arms that it is about; of a winner that is not known yet, all that it may be."""
        named = (self.arm, self.treatment, self.control)
        return tuple(name for name in named if name is not None) or self.winner_of

    def content_hash(self) -> str:
        """Return the hash of the gate: any change makes it a new gate. Which arm won is a result and no part of it."""
        return content_hash(replace(self, arm=None) if self.winner_of else self)


@dataclass(frozen=True, slots=True)
class WorthSpec:
    """What a worth step trains on and is measured by."""

    shares: tuple[float, ...]
    """Of the groups, ascending; the last is 1"""
    on: str
    """`dataset.split` that every amount is measured on"""
    metric: str
    old_groups: bool = False
    """Whether the same shares of the images of every group are trained on too"""
    more: int | None = None
    """Images beyond those at hand; None: as many again"""
    seconds_per_image: float | None = None
    """How long an image takes to label; None: unknown"""
    margin: float | None = None
    """Least gain that is worth more data, which conditions ask about; None: nothing is asked"""


@dataclass(frozen=True, slots=True)
class FlowStep:
    """One step of `flow:`: a verb (check, baseline, train, …) or the name of a gate, with its condition."""

    name: str
    when: Mapping[str, tuple[VerdictWord | ArmWord | WorthWord, ...]] = field(default_factory=dict)
    """gate, arm or `worth` → its allowed verdicts, outcomes or words; all must hold"""
    arms: tuple[str, ...] | None = None
    """For train, baseline and export: only these arms; None: all that fit. For mistakes and worth: the one to train."""
    any_of: tuple[Mapping[str, tuple[VerdictWord | ArmWord | WorthWord, ...]], ...] = ()
    """Several conditions like `when`; one must hold"""
    formats: tuple[str, ...] = field(default=(), metadata=OMITTED_AT_DEFAULT)
    """For export; empty: onnx"""
    precisions: tuple[str, ...] = field(default=(), metadata=OMITTED_AT_DEFAULT)
    """For export; empty: fp32"""
    folds: int | None = field(default=None, metadata=OMITTED_AT_DEFAULT)
    """For mistakes: parts of the data, each judged by a model that has not seen it; None: 5"""
    worth: WorthSpec | None = field(default=None, metadata=OMITTED_AT_DEFAULT)
    """For worth"""


@dataclass(frozen=True, slots=True)
class Budget:
    """Ceilings; None: no ceiling. `usd` needs `usd_per_hour`."""

    usd: float | None = None
    gpu_hours: float | None = None
    usd_per_hour: float | None = None
    kwh: float | None = None
    """Energy of the GPUs while they train"""


@dataclass(frozen=True, slots=True)
class EarlyKill:
    """Stop a run that is hopeless compared with those that finished before it (the median rule)."""

    after: int = 10
    """Epochs before the first check: every run has at least these"""
    runs: int = 3
    """Finished runs of other arms on the same data that are needed to judge"""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Where trainings and predictions run; None: what the engine chooses."""

    use: EngineName = "local"
    """Its name"""
    workers: int | None = None
    """Tasks at once"""
    gpus: tuple[int, ...] | None = None
    """Of local: the GPUs of the pool"""
    gpus_per_task: int | None = None
    cores: int | None = None
    """Of each task"""
    images_per_task: int = 5000
    """Predictions on more images are split, where several tasks run at once"""
    detections_per_task: int | None = None
    """Matching of more detections is split, where several tasks run at once; None: never"""
    memory_gb: float | None = None
    hours: float | None = None
    """Time limit of a job: a longer training pauses and goes on in another"""
    region: str | None = None
    cluster: Literal["slurm", "local"] = "slurm"
    address: str | None = None
    """Of ray: a cluster that runs already"""
    store: str | None = None
    """URL of an object store through which driver and workers see each other; None: they share a folder"""
    options: Mapping[str, str | int] = field(default_factory=dict)
    """Of sbatch: partition, account …"""


@dataclass(frozen=True, slots=True)
class Study:
    """A whole study."""

    name: str
    question: str
    task: Task
    datasets: tuple[DatasetSpec, ...]
    arms: tuple[Arm, ...]
    gates: tuple[Gate, ...]
    flow: tuple[FlowStep, ...]
    seeds: tuple[int, ...] = (0,)
    budget: Budget = Budget()
    use: Use | None = None
    """What the trained model is for; None: unknown"""
    ignore: Mapping[str, str] = field(default_factory=dict)
    """finding id → the reason why it is ignored"""
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    """imgsz, conf, iou, max_det, batch of predictions; the same for every arm."""
    backend: str = "ultralytics"
    device: str | None = None
    early_kill: EarlyKill | None = None
    answer: str | None = None
    """The gate that answers the question; None: the gates of the last decision, by their worst word"""
    log: tuple[str, ...] = ()
    """Further loggers of every epoch: tensorboard, mlflow, wandb"""
    engine: EngineSpec | None = field(default=None, compare=False)
    """None: this process, one task after another"""
    regions: tuple[str, ...] = field(default=(), compare=False)
    """Where confidential data may be, besides this machine"""
    source: Path | None = field(default=None, compare=False)
    """study.yaml, absolute"""
    places: Mapping[tuple[str | int, ...], str] = field(default_factory=dict, compare=False, repr=False)
    """Path of a key → file:line, for messages"""

    def line(self, *path: str | int) -> str:
        """Return file:line of a key, or of the entry that it belongs to; empty if unknown."""
        if path[:1] == ("arms",) and ("arms", path[1], "stages") in self.places:
            path = ("arms", path[1], "stages", *path[2:])
        return next((self.places[path[:depth]] for depth in range(len(path), 1, -1) if path[:depth] in self.places), "")

    def place(self, *path: str | int) -> str:
        """Return the place of a key: `study.yaml:5, datasets.bench.path`."""
        key = ".".join(map(str, path))
        return f"{line}, {key}" if (line := self.line(*path)) else key

    @property
    def folder(self) -> Path:
        """Folder that the study's paths are relative to."""
        return self.source.parent if self.source else Path()

    def dataset(self, name: str) -> DatasetSpec:
        """Return the data set of that name."""
        return next(spec for spec in self.datasets if spec.name == name)

    def arm(self, name: str) -> Arm:
        """Return the arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)

    def backend_of(self, arm: Arm) -> str:
        """Return what trains and predicts an arm."""
        return arm.backend or self.backend

    @property
    def backends(self) -> tuple[str, ...]:
        """Every backend that an arm needs, each once."""
        return tuple(dict.fromkeys(self.backend_of(arm) for arm in self.arms))

    @property
    def confidential(self) -> tuple[str, ...]:
        """Names of the datasets that are confidential."""
        return tuple(spec.name for spec in self.datasets if spec.confidential)

    def content_hash(self) -> str:
        """Return the hash of the study: gates, recipes, data as declared; not its path, and not where it runs."""
        parts = {name: getattr(self, name) for name in self.__slots__ if name not in _NOT_HASHED}
        if self.answer is None:  # a study without the key keeps the hash that it had before there was one
            del parts["answer"]
        return content_hash(parts)
