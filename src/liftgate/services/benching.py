"""`bench`: time, memory and energy of models side by side, and their accuracy for the picture."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from liftgate.data.core.dataset import Dataset
from liftgate.deploy.bench.energy import EnergyMeter
from liftgate.deploy.bench.records import Accuracy, BatchSpeed, BenchResult, ModelSpeed, timing_basis
from liftgate.deploy.bench.rounds import BenchModel, BenchPlan, measure, this_machine
from liftgate.deploy.export.trusted import CHECKPOINTS, trusted_task
from liftgate.errors import UsageError
from liftgate.evaluation.truth import read_truth
from liftgate.files import write_text
from liftgate.progress import Progress, silent
from liftgate.services.prediction import predict, read_images, resolve_model

_MOST_IMAGES = 32
"""Images that are kept in memory and given to the models in turn"""
_BATCHES = (1, 2, 8)


def bench(
    models: str | Path | Sequence[str | Path],
    *,
    images: str | Path | None = None,
    batches: Sequence[int] = _BATCHES,
    blocks: int = 10,
    seconds: float = 0.5,
    threads: int | None = None,
    conf: float = 0.25,
    imgsz: int | None = None,
    device: str | None = None,
    truth: str | Path | None = None,
    split: str | None = None,
    groups: str | None = None,
    metric: str = "mAP50-95",
    picture: str | Path | None = None,
    open_anyway: str | None = None,
    progress: Progress = silent,
) -> BenchResult:
    """Measure models in turns on this machine: latency, throughput, memory, energy; the first is the reference.

    Args:
        models: exports (with a card or without) and .pt files.
        images: what they are given: a folder, an image or a data set; None: the truth's, else one image of noise.
        batches: images of one request: 1, 2 (stereo), 8.
        blocks: blocks of every model and batch; an interval needs five.
        seconds: of a block.
        threads: of one inference, each on a core of its own; None: as many as this process may use.
        conf: least confidence of a detection, as in use.
        imgsz: input size of a .pt; None: that of its training.
        device: of a .pt.
        truth: a data set to measure accuracy on; None: none is measured.
        split: of the truth; None: val, where it has one.
        groups: of the truth's images, as `evaluate` takes them.
        metric: of the accuracy.
        picture: an .svg to write accuracy over latency to; needs `truth`.
        open_anyway: reason to measure on images that a study has locked.
        progress: called after every round.

    Raises:
        UsageError: no such model or images, or a value that is not possible.
        Refused: loading a checkpoint could run code, or a study locks the truth.
        DataError: a model is damaged, or a registered one was changed.
    """
    given = [models] if isinstance(models, str | Path) else list(models)
    _require_sense(given, batches, blocks, seconds, conf, truth, picture)
    cores = _cores(threads)
    chosen = _bench_models(given)
    dataset = None if truth is None else read_truth(truth, groups=groups, split=split, progress=progress)
    accuracy: list[Accuracy] = []
    if dataset is not None:
        accuracy = [_accuracy(one, dataset, metric, imgsz, device, open_anyway, progress) for one in chosen]
    files, described = _images(images, dataset, progress)
    plan = BenchPlan(
        batches=tuple(batches),
        blocks=blocks,
        seconds=seconds,
        threads=len(cores),
        cores=cores,
        images=tuple(map(str, files)),
        conf=conf,
        imgsz=imgsz,
        device=device,
    )
    meter, machine = EnergyMeter.find(), this_machine(len(cores), cores)
    with tempfile.TemporaryDirectory(prefix="liftgate-bench-") as scratch:
        speeds, ratios = measure(chosen, plan, Path(scratch), meter, progress)
    result = BenchResult(machine, speeds, ratios, blocks, described, meter.description, conf, tuple(accuracy))
    if picture is not None:
        _draw(result, Path(picture))
    return result


def _require_sense(
    models: Sequence[str | Path],
    batches: Sequence[int],
    blocks: int,
    seconds: float,
    conf: float,
    truth: str | Path | None,
    picture: str | Path | None,
) -> None:
    if not models:
        raise UsageError("no model to measure")
    for name, possible, expected, got in (
        ("batches", batches and all(1 <= one <= 256 for one in batches), "sizes from 1 to 256", list(batches)),
        ("blocks", 1 <= blocks <= 1000, "1 to 1,000", blocks),
        ("seconds", 0 < seconds <= 600, "above 0, to 600", seconds),
        ("conf", 0 < conf < 1, "between 0 and 1", conf),
        ("batches", len(set(batches)) == len(batches), "each once", list(batches)),
    ):
        if not possible:
            raise UsageError(f"{name} is out of range", expected=expected, got=got)
    if picture is not None and truth is None:
        raise UsageError("a picture of accuracy needs a truth", hint="--truth data.yaml --split test")
    if picture is not None and Path(picture).suffix.lower() != ".svg":
        raise UsageError("the picture is an SVG", where=picture, expected="a name that ends with .svg")


def _cores(threads: int | None) -> tuple[int, ...]:
    there = sorted(os.sched_getaffinity(0))
    if threads is not None and not 1 <= threads <= len(there):
        raise UsageError("threads are pinned to cores", expected=f"1 to {len(there)}", got=threads)
    return tuple(there[: threads or len(there)])


def _bench_models(given: Sequence[str | Path]) -> list[BenchModel]:
    found = []
    for one in given:
        path = resolve_model(one)
        checkpoint = path.suffix.lower() in CHECKPOINTS
        notes = trusted_task(path)[1] if checkpoint else ()
        found.append(BenchModel(path.name, path, checkpoint, notes))
    count = Counter(one.name for one in found)
    named = [replace(one, name=f"{one.path.parent.name}/{one.name}") if count[one.name] > 1 else one for one in found]
    count = Counter(one.name for one in named)
    return [
        replace(one, name=f"{one.name} ({number})") if count[one.name] > 1 else one
        for number, one in enumerate(named, 1)
    ]


def _images(images: str | Path | None, truth: Dataset | None, progress: Progress) -> tuple[list[Path], str]:
    if images is None and truth is None:
        return [], "one image of noise, 640 × 480, which has few detections or many: --images gives real ones"
    dataset = read_images(images, progress=progress) if images is not None else truth
    assert dataset is not None
    step = -(-len(dataset.images) // _MOST_IMAGES)
    chosen = [image.path.absolute() for image in dataset.images[::step]]
    source = "" if images is None else f" of {Path(images).name}"
    return chosen, f"{len(chosen)} images{source}, as pixels in memory"


def _accuracy(
    model: BenchModel,
    truth: Dataset,
    metric: str,
    imgsz: int | None,
    device: str | None,
    open_anyway: str | None,
    progress: Progress,
) -> Accuracy:
    from liftgate.services.evidence import evaluate  # timing alone needs none of it

    size = imgsz if model.checkpoint else None
    found = predict(model.path, truth, imgsz=size, device=device, progress=progress)
    evaluation = evaluate(truth, found.predictions, open_anyway=open_anyway)
    value = evaluation.intervals.get(metric)
    if value is None:
        known = ", ".join(evaluation.intervals)
        raise UsageError("no such metric, or it is not defined on this truth", got=metric, expected=known)
    return Accuracy(model.name, metric, value)


def _draw(result: BenchResult, path: Path) -> None:
    from liftgate.reporting.pareto import ParetoPoint, pareto_picture

    values = {one.model: one for one in result.accuracy}
    smallest = min(one.batch for model in result.models for one in model.batches)
    points = [
        ParetoPoint(model.name, speed.ms_per_image, values[model.name].value)
        for model in result.models
        if (speed := _at(model, smallest)) is not None
    ]
    metric = result.accuracy[0].metric
    machine, again = result.machine, next((one for one in result.ratios if one.batch == smallest), None)
    left_out = [model.name for model in result.models if _at(model, smallest) is None]
    notes = [
        f"{machine.threads} thread{'s' * (machine.threads > 1)} of {machine.processor}",
        f"{metric}: {result.accuracy[0].value.basis}",
        f"ms: {timing_basis(points[0].latency)}",
    ]
    if left_out:
        notes.append(f"Not drawn, as they take no batch of {smallest}: {', '.join(left_out)}")
    if again is not None and again.word == "too noisy to say":
        times = f"{again.ratio.estimate:.2f} times its own time"
        notes.append(f"The first model took {times}: too noisy to say who is faster.")
    text = pareto_picture(
        points, title=f"{metric} over latency, batch {smallest}", x_label="ms per image", y_label=metric, notes=notes
    )
    write_text(path, text)


def _at(model: ModelSpeed, batch: int) -> BatchSpeed | None:
    return next((one for one in model.batches if one.batch == batch), None)
