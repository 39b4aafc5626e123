"""ReportContent: every number, text and picture of a report, complete before the first line is rendered.

`gather.py` fills it from the ledger; the renderers only draw it. `Verdict`, `Comparison`, `Evaluation` and `Finding`
are used as they are recorded. A section whose tuple is empty, or whose value is None, is left out: a report of a check
alone, of a baseline and of a whole study are the same page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from liftgate.checks.finding import Finding
from liftgate.evaluation.records import Comparison, Evaluation, Verdict
from liftgate.ledger.mistake_records import MistakesResult
from liftgate.ledger.results import MeasuredAt
from liftgate.ledger.worth_records import WorthEntry
from liftgate.reporting.run_content import CostRow, RunContent
from liftgate.stats.interval import Interval
from liftgate.study.records import Gate, VerdictWord

Role = Literal["control", "treatment", "measured"]


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """A rectangle to draw over an image."""

    xyxy: tuple[float, float, float, float]
    """Left, top, right, bottom in pixels of the image upright."""
    label: str
    """Name of the class."""
    score: float | None = None
    """Confidence of a detection; None: truth."""
    points: tuple[tuple[float, float], ...] = ()
    """Keypoints that are known, in pixels of the image upright"""


@dataclass(frozen=True, slots=True)
class Panel:
    """One arm's detections on an image, drawn beside those of the other arm."""

    arm: str
    boxes: tuple[DrawnBox, ...]
    note: str = ""
    """Such as `F1 0.50`"""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image with truth and predictions; `liftgate.reporting.pictures.picture` makes one."""

    name: str
    """Image id."""
    width: int
    height: int
    """Pixels of the image upright: the boxes' coordinates."""
    jpeg: bytes | None
    """A small copy of its pixels, any size; None: the file cannot be read."""
    truth: tuple[DrawnBox, ...]
    panels: tuple[Panel, ...]
    group: str | None = None
    note: str = ""
    """What happened on it, such as `2 found, 1 missed`."""


@dataclass(frozen=True, slots=True)
class Gallery:
    """Pictures that answer one question."""

    title: str
    """`Worst images of the treatment`, `Most improved`, `Most harmed`"""
    pictures: tuple[Picture, ...]
    note: str = ""
    """How they were chosen, with the confidence threshold of the boxes."""


@dataclass(frozen=True, slots=True)
class BrowsedImage:
    """An image of the browser, with what its filters go by."""

    picture: Picture
    classes: tuple[str, ...]
    """Of its objects and detections"""
    kinds: tuple[str, ...]
    """Types of the last arm's errors on it; empty: none, or not recorded"""
    change: str = ""
    """`gained`, `lost` or `same`: objects found by the treatment against the control; empty: one arm"""
    at_random: bool = False
    """Whether it was drawn without looking at what happened on it"""


@dataclass(frozen=True, slots=True)
class ImageBrowser:
    """Images of a gate to look through."""

    images: tuple[BrowsedImage, ...]
    n_images: int
    """All that were measured"""
    note: str
    """How they were chosen"""
    kinds_are: str = "Error"
    """What the kinds of its images are called"""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart."""

    label: str
    """Text of the legend: the arm, and the stage where it has several. The seeds of an arm share label and slot."""
    points: tuple[tuple[float, float | None], ...]
    """x ascending; None: no value there (NaN in the trace), the line breaks."""
    slot: int = 0
    """Line style (colour and dash), the same in every chart: 0 control, 1 treatment, 2 and up others"""
    mark: float | None = None
    """x of the point to mark: the best epoch"""
    note: str = ""
    """Which of the series of this label it is: `seed 0`"""


@dataclass(frozen=True, slots=True)
class Chart:
    """Values over epochs, or precision over recall; not smoothed."""

    title: str
    series: tuple[Series, ...]
    x_label: str = "epoch"
    y_label: str = ""


@dataclass(frozen=True, slots=True)
class ThresholdCurve:
    """Counts of one arm at every confidence threshold, of all classes together, at IoU 0.5."""

    arm: str
    conf: tuple[float, ...]
    n_right: tuple[int, ...]
    """Detections at or above the threshold that found an object"""
    n_detections: tuple[int, ...]
    n_objects: int
    precision: tuple[float | None, ...]
    recall: tuple[float | None, ...]
    f1: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class ConfidenceBin:
    """Detections of one range of confidence."""

    low: float
    high: float
    n: int
    precision: float | None
    """Share that is right; None: there are none"""


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """Which classes one arm takes for which, at one confidence threshold."""

    arm: str
    conf: float
    classes: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]
    """True class by predicted class; the last row: no object is there; the last column: not detected"""


@dataclass(frozen=True, slots=True)
class SliceRow:
    """One slice, such as a video, with the value of each arm."""

    name: str
    n_images: int
    n_groups: int
    values: tuple[float | None, ...]
    """Of each measured arm, in their order"""
    delta: Interval | None = None
    """treatment − control; None: one arm, or not compared in slices"""
    p_holm: float | None = None


@dataclass(frozen=True, slots=True)
class SliceTable:
    """One metric by slices of the images."""

    metric: str
    by: str
    """`group`, or the gate's `by:`"""
    arms: tuple[str, ...]
    rows: tuple[SliceRow, ...]
    """Worst of the last arm first"""
    n_slices: int = 0
    """All that there are; more than rows: the others are in the file of the evaluation"""


@dataclass(frozen=True, slots=True)
class SettingDifference:
    """A setting in which the two arms differ."""

    field: str
    """`recipe.mosaic`, `data`, `weights`, …"""
    control: str
    treatment: str
    declared: bool | None = True
    """False: the gate does not allow it, so the comparison is confounded; None: the gate lists nothing."""


@dataclass(frozen=True, slots=True)
class ArmContent:
    """One arm of a gate, with its evaluations."""

    name: str
    role: Role
    description: str
    """One line: `yolov8-tiny.yaml → digits, 10 epochs, AdamW lr0 0.003`, or `yolov8n.pt, off the shelf`."""
    evaluation: Evaluation | None = None
    """Of its first seed."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of its predictions: imgsz, conf, iou, max_det, device, …"""
    by_seed: Mapping[int, Evaluation] = field(default_factory=dict)
    """seed → evaluation; empty: the arm was not trained."""

    def of_seed(self, seed: int) -> Evaluation | None:
        """Return the evaluation to compare with those of a seed: an untrained model is the same for all seeds."""
        return self.by_seed.get(seed) if self.by_seed else self.evaluation


@dataclass(frozen=True, slots=True)
class ClaimContent:
    """One line of a gate against fixed numbers."""

    metric: str
    value: Interval
    at_least: float
    word: VerdictWord
    images_needed: int | None = None
    groups_needed: int | None = None
    """Number that would settle it; None: settled, or unknown."""
    note: str = ""
    side: str = "at least"
    """Or `at most`: then less is better; or `within ±`: then the value is a difference"""

    @property
    def is_difference(self) -> bool:
        """Whether the value is a difference of two models, which has to be small."""
        return self.side == "within ±"


@dataclass(frozen=True, slots=True)
class LineageNode:
    """A node of the tree from a verdict back to recipe, split and data."""

    kind: str
    name: str
    hash: str
    """64 hex digits."""
    made_from: tuple[LineageNode, ...] = ()


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a treatment adds to a control: treatment − control."""

    comparison: Comparison
    control: str
    """Name of the arm; empty: recorded before it was"""


@dataclass(frozen=True, slots=True)
class GateContent:
    """One gate with its verdict, its arms and their evaluations."""

    gate: Gate
    verdict: Verdict
    arms: tuple[ArmContent, ...] = ()
    """Control first, then treatment; or the one arm that was measured."""
    comparison: Comparison | None = None
    claims: tuple[ClaimContent, ...] = ()
    differences: tuple[SettingDifference, ...] = ()
    galleries: tuple[Gallery, ...] = ()
    charts: tuple[Chart, ...] = ()
    """Curves of this gate's evaluations, such as precision over recall."""
    trace: LineageNode | None = None
    late: bool = False
    """Whether it was recorded after a verdict of its name"""
    measured_at: tuple[MeasuredAt, ...] = ()
    """Settings of the arms' measurement, in the order of `arms`; empty: not recorded"""
    names: tuple[tuple[str, str], ...] = ()
    """Arms that the answer names, each with how it was made, in plain words"""
    thresholds: tuple[ThresholdCurve, ...] = ()
    confidences: Mapping[str, tuple[ConfidenceBin, ...]] = field(default_factory=dict)
    """arm → its detections by confidence"""
    confusions: tuple[ConfusionMatrix, ...] = ()
    slices: SliceTable | None = None
    browser: ImageBrowser | None = None
    contributions: tuple[Contribution, ...] = ()
    """Of claims about a treatment: what it adds to its controls, which limits the verdict"""
    forgetting: tuple[Comparison, ...] = ()
    """After − before the training, on older data"""


@dataclass(frozen=True, slots=True)
class IgnoredFinding:
    """A finding that the study ignores, and why."""

    finding: Finding
    reason: str


@dataclass(frozen=True, slots=True)
class SplitRow:
    """One split of one dataset, as it was used."""

    dataset: str
    split: str
    n_images: int
    n_groups: int
    n_objects: int
    note: str = ""
    """Licence, origin, `locked, opened 1 of 3 times`"""


@dataclass(frozen=True, slots=True)
class ReportContent:
    """A whole report."""

    study: str
    question: str
    gates: tuple[GateContent, ...] = ()
    """The gate that answers the question first, then the last of the study and those before it"""
    data: tuple[SplitRow, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Most severe first."""
    ignored: tuple[IgnoredFinding, ...] = ()
    checked: bool = True
    """False: the checks did not run."""
    charts: tuple[Chart, ...] = ()
    """Training curves."""
    label_samples: tuple[Gallery, ...] = ()
    """Training images with their labels, drawn at random: one gallery for each dataset"""
    runs: tuple[RunContent, ...] = ()
    """The trainings, in the order of the flow"""
    mistakes: tuple[MistakesResult, ...] = ()
    """Suspected mistakes in labels, of each dataset that was searched"""
    worth: tuple[WorthEntry, ...] = ()
    """What more data would bring"""
    costs: tuple[CostRow, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    """liftgate, backend, torch, Python, device, …"""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """`study`, `ledger head`, …: 64 hex digits each."""
    command: str = ""
    """Command that writes this report again"""
    run_command: str = ""
    """Command that goes on with the study"""
    unanswered: str = ""
    """Why the question has no answer yet, although gates may have been judged; empty: the first gate answers it"""
    missing: tuple[str, ...] = ()
    """What the study left and is no longer there, or is not finished, and what is not shown because of it"""
    notes: tuple[str, ...] = ()
    """Remarks about the run as a whole"""
