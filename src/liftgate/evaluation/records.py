"""Records of results: Evaluation, Comparison, Comparisons and Verdict, which convert to JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NotRequired, TypedDict

from liftgate import display
from liftgate.evaluation.metric_names import LESS_IS_BETTER
from liftgate.stats.interval import Interval, percent, sample
from liftgate.study.vocabulary import ClaimWord, VerdictWord


class ImageCounts(TypedDict):
    """One image at the confidence threshold."""

    id: str
    group: str | None
    tp: int
    fp: int
    fn: int
    best_confidence: float
    errors: NotRequired[Mapping[str, int]]
    """Error type → number, of those that are on it; where error types were asked for"""
    oks: NotRequired[float]
    """Share of the ten OKS thresholds that its objects reach; where there are keypoints and objects"""


class ImageChange(TypedDict):
    """One image under two models: F1 of each, or 1 (right) and 0 (wrong) for image-level metrics."""

    id: str
    group: str | None
    control: float
    treatment: float
    change: float


@dataclass(frozen=True, slots=True, repr=False)
class Evaluation:
    """Metrics of one predictions file against one truth."""

    metrics: Mapping[str, float | None]
    """Point values by name (`mAP50-95`, `mAP50`, `mAP75`, `recall`, …); None: undefined, such as AP without truth."""
    intervals: Mapping[str, Interval]
    per_class: Mapping[str, Mapping[str, float | int | None]]
    """class → AP50-95, AP50, recall, precision, n_objects, n_detections"""
    settings: Mapping[str, Any]
    """Everything that the numbers depend on beside the data: conf, IoU, max_det, sigmas, and the predictions' own."""
    truth: str
    """`Dataset.truth_hash()`"""
    predictions: str
    """`Predictions.content_hash()`"""
    level: float
    method: str
    n_images: int
    n_groups: int
    images: tuple[ImageCounts, ...] = ()
    """Worst first"""
    curves: Mapping[str, Any] = field(default_factory=dict)
    """Points to draw: precision over recall at IoU 0.5, F1 over confidence."""
    as_ultralytics: Mapping[str, float | None] = field(default_factory=dict)
    """By Ultralytics' formulas (`ultralytics_mAP50`, …): to compare with its output; no verdict uses them."""
    calibration: Mapping[str, Any] = field(default_factory=dict)
    """ece, n_detections; per bin of confidence: confidence, precision, n"""
    screening: Mapping[str, Any] = field(default_factory=dict)
    """Of image-level metrics: threats, threshold, how it was chosen, and counts of flagged images"""

    slices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """slice → metrics, intervals, methods, n_images, n_groups"""
    errors: Mapping[str, Any] = field(default_factory=dict)
    """Count and cost of each error type, confusion matrix and classes, at the confidence threshold"""
    pck: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    """normaliser=fraction → `all` and each keypoint"""

    @property
    def flagged_images(self) -> str:
        """How many images were flagged, in words; empty: not of whole images, or not counted by an older version."""
        counts = self.screening
        if "n_found" not in counts:
            return ""
        threats = counts["threats_found"].items()
        each = ", ".join(f"{name} {row['n_flagged']} of {row['n_images']}" for name, row in threats)
        return (
            f"{counts['n_found']} of {counts['n_with_threat']} images with a threat flagged ({each}), and "
            f"{counts['n_false_alarms']} of {counts['n_without_threat']} without one"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; docs/output.md lists the stable names."""
        record = asdict(replace(self, images=()))  # without images: asdict copies every value, which is slow for many
        record["images"] = [dict(row) for row in self.images]
        record["intervals"] = {name: [i.low, i.high] for name, i in self.intervals.items()}
        record["interval_details"] = {name: asdict(i) for name, i in self.intervals.items()}
        return record  # asdict has converted the intervals of `pck` already

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Evaluation:
        """Return the evaluation that `to_dict` wrote."""
        values = {f.name: record[f.name] for f in fields(cls) if f.name in record}
        values["intervals"] = {name: Interval(**i) for name, i in record["interval_details"].items()}
        values["images"] = tuple(record["images"])
        values["pck"] = {
            option: {name: Interval(**i) for name, i in rows.items()} for option, rows in record.get("pck", {}).items()
        }
        return cls(**values)

    def to_pandas(self) -> Any:
        """Return one row per metric as a pandas DataFrame."""
        return display.data_frame(_evaluation_rows(self), "pandas")

    def to_polars(self) -> Any:
        """Return one row per metric as a polars DataFrame."""
        return display.data_frame(_evaluation_rows(self), "polars")

    def __repr__(self) -> str:
        return _evaluation_line(self)

    def _repr_html_(self) -> str:
        title = f"Evaluation of {sample(self.n_images, self.n_groups)}"
        return display.html_table(title, _evaluation_rows(self), self.method)


@dataclass(frozen=True, slots=True)
class LabelErrors:
    """How many labels may be wrong, and what an interval and a verdict were without that doubt."""

    rate: float
    """Largest share of the labels of each class that may be wrong: missing, superfluous, misplaced, of another class"""
    source: str
    """Where the rate is from, in words"""
    n_wrong: int = 0
    """Labels that were taken to be wrong, all in one model's favour"""
    low: float | None = None
    """Of the interval without the doubt"""
    high: float | None = None
    verdict: VerdictWord | None = None
    """Without the doubt; None: of an evaluation"""

    @property
    def text(self) -> str:
        """The doubt in a sentence."""
        favour = "its favour or against it" if self.verdict is None else "one model's favour"
        start = (
            f"Up to {percent(round(self.rate, 4))} of the labels of each class may be wrong ({self.source}): the "
            f"interval allows for {self.n_wrong:,} wrong labels, all in {favour}"
        )
        if self.verdict is None:
            return f"{start}."
        without = "" if self.low is None or self.high is None else f" [{self.low:+.4f}, {self.high:+.4f}],"
        return f"{start}; without them{without} {self.verdict}."


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """Paired difference treatment − control of one metric on the same images."""

    metric: str
    control: float | None
    treatment: float | None
    delta: Interval
    margin: float
    verdict: VerdictWord
    reason: str
    """The verdict in one sentence."""
    groups_needed: int | None
    """Groups that would settle a MARGINAL verdict with 80% chance if the measured difference is the true one; None: the
    verdict is settled, or the number is unknown"""
    differences: tuple[str, ...] = ()
    """What differs between the arms beyond the declared difference; not empty: the comparison is confounded."""
    per_class: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    images: tuple[ImageChange, ...] = ()
    """Images that changed most: id, group, control and treatment F1 at the confidence threshold, change."""
    caveats: tuple[str, ...] = ()
    """Limits beyond the sample size, such as settings that were not recorded."""
    percentile: tuple[float, float] | None = None
    """Percentile interval over bootstrap draws of groups; for display only, as it is too narrow with few groups."""
    probability_better: float | None = None
    """Share of the t distribution around the gain above 0; of several seeds the share of the pairs of runs"""
    claim: ClaimWord = "better"
    """`equal`: within ± margin; the interval is then of level 1 − 2α (two one-sided tests)"""
    p_value: float | None = None
    """Two-sided, of no difference at all"""
    p_adjusted: float | None = None
    """The p-value adjusted for the number of treatments that are compared"""
    slices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """slice → control, treatment, delta, interval, level, method, n_images, n_groups, p_holm"""
    settled_by: str = ""
    """What would settle a MARGINAL verdict where it is not a number of groups alone, in words"""
    label_errors: LabelErrors | None = None
    """Wrong labels that the interval allows for; None: the labels are taken as they are"""

    @property
    def less_is_better(self) -> bool:
        """Whether a negative difference is the gain."""
        return self.metric in LESS_IS_BETTER

    @property
    def reached_at(self) -> tuple[float, ...]:
        """The difference at which the margin is reached; for a claim of equality both bounds."""
        if self.claim == "equal":
            return (-self.margin, self.margin)
        return (-self.margin if self.less_is_better else self.margin,)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; docs/output.md lists the stable names."""
        return {
            "metric": self.metric,
            "control": self.control,
            "treatment": self.treatment,
            "delta": self.delta.estimate,
            "interval": [self.delta.low, self.delta.high],
            "level": self.delta.level,
            "method": self.delta.method,
            "margin": self.margin,
            "verdict": self.verdict,
            "reason": self.reason,
            "n_images": self.delta.n_images,
            "n_groups": self.delta.n_groups,
            "groups_informative": self.delta.groups_informative,
            "groups_effective": self.delta.groups_effective,
            "largest_group_share": self.delta.largest_group_share,
            "groups_needed": self.groups_needed,
            "differences": list(self.differences),
            "confounded": bool(self.differences),
            "per_class": {name: dict(row) for name, row in self.per_class.items()},
            "images": [dict(row) for row in self.images],
            "note": self.delta.note,
            "design_effect": self.delta.design_effect,
            "n_effective": self.delta.n_effective,
            "caveats": list(self.caveats),
            "percentile": None if self.percentile is None else list(self.percentile),
            "probability_better": self.probability_better,
            "claim": self.claim,
            "p_value": self.p_value,
            "p_adjusted": self.p_adjusted,
            "slices": {name: dict(row) for name, row in self.slices.items()},
            "delta_details": asdict(self.delta),
        } | ({} if self.label_errors is None else {"label_errors": asdict(self.label_errors)})

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Comparison:
        """Return the comparison that `to_dict` wrote."""
        values = {f.name: record[f.name] for f in fields(cls) if f.name in record}
        values["delta"] = Interval(**record["delta_details"])
        values["label_errors"] = LabelErrors(**doubt) if (doubt := record.get("label_errors")) else None
        values["differences"], values["images"] = tuple(record["differences"]), tuple(record["images"])
        return cls(**values)

    def to_pandas(self) -> Any:
        """Return the metric, then one row per class, as a pandas DataFrame."""
        return display.data_frame(_comparison_rows(self), "pandas")

    def to_polars(self) -> Any:
        """Return the metric, then one row per class, as a polars DataFrame."""
        return display.data_frame(_comparison_rows(self), "polars")

    def __repr__(self) -> str:
        return _comparison_line(self)

    def _repr_html_(self) -> str:
        return display.html_table(f"{self.verdict}: {self.reason}", _comparison_rows(self), str(self.delta))


@dataclass(frozen=True, slots=True, repr=False)
class Comparisons:
    """Several treatments against one control, with intervals that hold all at once."""

    metric: str
    treatments: Mapping[str, Comparison]
    adjustment: str
    """The adjustment for multiple comparisons, in words"""

    @property
    def verdict(self) -> VerdictWord:
        """The best verdict of the treatments: whether any of them passes."""
        words = [one.verdict for one in self.treatments.values()]
        return "PASS" if "PASS" in words else "MARGINAL" if "MARGINAL" in words else "FAIL"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; each of `comparisons` is as `Comparison.to_dict` writes it."""
        return {
            "metric": self.metric,
            "verdict": self.verdict,
            "adjustment": self.adjustment,
            "comparisons": {name: one.to_dict() for name, one in self.treatments.items()},
        }

    def to_pandas(self) -> Any:
        """Return one row per treatment as a pandas DataFrame."""
        return display.data_frame(_treatment_rows(self), "pandas")

    def to_polars(self) -> Any:
        """Return one row per treatment as a polars DataFrame."""
        return display.data_frame(_treatment_rows(self), "polars")

    def __repr__(self) -> str:
        words = ", ".join(f"{name} {one.verdict}" for name, one in self.treatments.items())
        return f"Comparisons({self.metric}: {words}; {self.adjustment})"

    def _repr_html_(self) -> str:
        return display.html_table(f"{self.metric}: {self.verdict}", _treatment_rows(self), self.adjustment)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict of a gate, with its evidence and what would settle it."""

    gate: str
    gate_hash: str
    word: VerdictWord
    sentence: str
    """One sentence with the result, its size, its interval and the sample."""
    evidence: tuple[Mapping[str, Any], ...]
    """The comparison, or one row per claim: metric, value, interval, threshold, word, images and groups needed."""
    caveats: tuple[str, ...] = ()
    """What limits the verdict: one seed, few groups, confounding, a test set that was opened before."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def _evaluation_rows(evaluation: Evaluation) -> list[display.Row]:
    """Return one row per metric, with interval, method and sample."""
    return [_row(name, value, evaluation.intervals.get(name)) for name, value in evaluation.metrics.items()]


def _comparison_rows(comparison: Comparison) -> list[display.Row]:
    """Return the metric itself, then one row per class."""
    delta = comparison.delta
    first = _row(comparison.metric, delta.estimate, delta)
    overall = {"of": "all", "control": comparison.control, "treatment": comparison.treatment, **first, "p_holm": None}
    overall["delta"] = overall.pop("value")
    rest = {key: None for key in overall if key not in ("of", "control", "treatment", "delta", "p_holm")}
    return [overall, *({"of": name, **rest, **row} for name, row in comparison.per_class.items())]


def _treatment_rows(comparisons: Comparisons) -> list[display.Row]:
    """Return one row per treatment, its verdict last."""
    rows: list[display.Row] = []
    for name, one in comparisons.treatments.items():
        row = {"treatment": name, **_row(one.metric, one.delta.estimate, one.delta)}
        row["delta"] = row.pop("value")
        rows.append(row | {"p_adjusted": one.p_adjusted, "margin": one.margin, "verdict": one.verdict})
    return rows


def _evaluation_line(evaluation: Evaluation) -> str:
    """`Evaluation(mAP50-95 0.505 [0.454, 0.555], …; 100 images, 100 groups, 95%)`."""
    shown = [name for name in ("mAP50-95", "mAP50", "recall", "precision") if evaluation.metrics.get(name) is not None]
    parts = ", ".join(_value(name, evaluation.metrics[name], evaluation.intervals.get(name)) for name in shown)
    sample = f"{evaluation.n_images} images, {evaluation.n_groups} groups, {percent(evaluation.level)}"
    return f"Evaluation({parts or 'nothing defined'}; {sample})"


def _comparison_line(comparison: Comparison) -> str:
    """`Comparison(PASS: …)`."""
    return f"Comparison({comparison.verdict}: {comparison.reason})"


def _row(name: str, value: float | None, interval: Interval | None) -> dict[str, display.Value]:
    names = ("low", "high", "level", "method", "n_images", "n_groups", "design_effect", "n_effective", "note")
    return {"metric": name, "value": value, **{key: getattr(interval, key, None) for key in names}}


def _value(name: str, value: float | None, interval: Interval | None) -> str:
    bounds = f" [{interval.low:.3f}, {interval.high:.3f}]" if interval is not None and interval.established else ""
    return f"{name} {value:.3f}{bounds}"
