"""What `bench` measured: plain records with JSON names that stay."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from liftgate.stats.interval import Interval, percent

RatioWord = Literal["faster", "slower", "no difference shown", "too noisy to say"]
SINGLE_STREAM = "single-stream"
"""MLPerf's scenario of one request after the other; its figure is the 90th percentile of latency at batch 1"""
OFFLINE = "offline"
"""MLPerf's scenario of all images at once; its figure is the throughput, here at the largest batch"""


@dataclass(frozen=True, slots=True)
class BatchSpeed:
    """Times of one model at one batch size, in milliseconds for each request of `batch` images."""

    batch: int
    n_calls: int
    n_blocks: int
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float | None
    """None: fewer than 100 calls, so that it would be one of the slowest calls, not a percentile"""
    ms_per_image: Interval
    """Median over calls; groups are blocks"""
    images_per_second: float
    pre_ms: float
    """Median time to fit the images into the input"""
    inference_ms: float
    post_ms: float
    """Median time to choose detections"""
    cpu_ms_per_image: float
    """Processor time, of all threads"""
    joules_per_image: float | None
    """Of the whole processor; None: not readable here"""
    calls_per_request: int = 1
    """More than 1: the model takes fewer images at once"""


@dataclass(frozen=True, slots=True)
class ModelSpeed:
    """One model."""

    name: str
    format: str
    precision: str
    runtime: str
    input: str
    size_bytes: int
    """Of its files"""
    memory_mb: float
    """Resident, after warm-up"""
    peak_memory_mb: float
    load_seconds: float
    first_ms: float
    """The first request, which later ones are faster than"""
    warm_up_calls: int
    batches: tuple[BatchSpeed, ...]
    missing: tuple[str, ...] = ()
    """What the file does not say about itself, and what was taken instead"""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SpeedRatio:
    """Time of a model / time of the first model, from blocks measured in turns."""

    model: str
    reference: str
    batch: int
    ratio: Interval
    same_model: Interval
    """The same ratio of the first model in two processes: what the machine's noise does alone"""
    word: RatioWord


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured."""

    processor: str
    cores: int
    """That this process may use"""
    threads: int
    pinned_to: tuple[int, ...]
    """Numbers of the cores"""
    load: float | None
    """Of the system over the minute before; above the number of cores, times are those of a busy machine"""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What a model's detections are worth, for the picture."""

    model: str
    metric: str
    value: Interval


@dataclass(frozen=True, slots=True)
class BenchResult:
    """Everything that one `bench` measured."""

    machine: Machine
    models: tuple[ModelSpeed, ...]
    ratios: tuple[SpeedRatio, ...]
    blocks: int
    images: str
    """What the models were given, in words"""
    energy: str
    """How energy was measured, or why not"""
    conf: float
    accuracy: tuple[Accuracy, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values; docs/output.md lists the stable names."""
        record = asdict(self)
        record["models"] = [_model_row(model) for model in self.models]
        record["ratios"] = [
            {
                "model": one.model,
                "reference": one.reference,
                "batch": one.batch,
                "verdict": one.word,
                "ratio": one.ratio.estimate,
                **_bounds(one.ratio),
                "same_model": one.same_model.estimate,
                "same_model_interval": [one.same_model.low, one.same_model.high],
            }
            for one in self.ratios
        ]
        record["accuracy"] = [
            {"model": one.model, "metric": one.metric, "value": one.value.estimate, **_bounds(one.value)}
            for one in self.accuracy
        ]
        return record


def timing_basis(value: Interval) -> str:
    """Return level, method and sample of a time, whose groups are blocks.

    >>> timing_basis(Interval(9.0, 8.0, 10.0, 0.95, "t", 400, 10))
    '95% t, 400 images in 10 blocks'
    """
    counted = f"{value.n_images:,} images in {value.n_groups:,} block{'s' * (value.n_groups != 1)}"
    return f"{percent(value.level)} {value.method}, {counted}" if value.established else f"{counted}, no interval"


def _model_row(model: ModelSpeed) -> dict[str, object]:
    row = asdict(model)
    row["batches"] = [
        {
            **asdict(one),
            "ms_per_image": one.ms_per_image.estimate,
            **_bounds(one.ms_per_image),
            "scenario": SINGLE_STREAM if one.batch == 1 else OFFLINE if one is model.batches[-1] else None,
        }
        for one in model.batches
    ]
    return row


def _bounds(value: Interval) -> dict[str, object]:
    return {"interval": [value.low, value.high], "level": value.level, "method": value.method}
