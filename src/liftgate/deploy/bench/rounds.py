"""Measure models in turns: in every round one block of each, in random order, and of the first model two.

Times on a machine drift. Blocks of the same round are close in time, so that their ratio is compared and not their
times; and the first model against itself shows how far that ratio strays when nothing differs.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from liftgate.deploy.bench.contender import Contender, start
from liftgate.deploy.bench.energy import EnergyMeter
from liftgate.deploy.bench.ratios import block_ratio, judge_ratio
from liftgate.deploy.bench.records import BatchSpeed, Machine, ModelSpeed, SpeedRatio
from liftgate.deploy.bench.worker import Block, BlockCommand, OpenCommand, Opened
from liftgate.errors import DataError
from liftgate.progress import Progress, silent
from liftgate.stats.clustered import median_interval
from liftgate.stats.interval import Interval

_FEWEST_CALLS = 3
_FEWEST_FOR_P99 = 100


@dataclass(frozen=True, slots=True)
class BenchModel:
    """One model to measure."""

    name: str
    path: Path
    checkpoint: bool
    """Whether its own framework has to load it"""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """How the models are measured."""

    batches: tuple[int, ...]
    blocks: int
    seconds: float
    """Of one block"""
    threads: int
    cores: tuple[int, ...]
    images: tuple[str, ...]
    conf: float
    imgsz: int | None = None
    device: str | None = None
    seed: int = 0
    level: float = 0.95
    """Of the intervals"""


@dataclass(slots=True)
class _Lane:
    """One process, and what it measured."""

    model: BenchModel
    contender: Contender
    opened: Opened
    blocks: dict[int, list[Block]] = field(default_factory=dict)
    joules: dict[int, list[float | None]] = field(default_factory=dict)


def measure(
    models: Sequence[BenchModel], plan: BenchPlan, scratch: Path, meter: EnergyMeter, progress: Progress = silent
) -> tuple[tuple[ModelSpeed, ...], tuple[SpeedRatio, ...]]:
    """Measure models in turns and return their times and ratios; the first is the reference.

    The first ratio of each batch is that of the reference to itself.

    Args:
        models: at least one.
        plan: batches, blocks, threads, images.
        scratch: folder for the processes' homes.
        meter: reads energy.
        progress: called after every block.

    Raises:
        LiftgateError: a model cannot be loaded or run.
        DataError: no model takes one of the batches.
    """
    with ExitStack() as stack:
        lanes = []
        for number, model in enumerate((models[0], *models)):  # the first twice: against itself
            contender = stack.enter_context(start(model.name, scratch / str(number), plan.threads))
            opened = contender.open(_open_command(model, plan))
            own_name = model if number else replace(model, name=f"{model.name}, a second time")
            lanes.append(_Lane(own_name, contender, opened))
        _take_turns(lanes, plan, meter, progress)
    again, *own = lanes
    speeds = tuple(_speed(lane, plan) for lane in own)
    reference = own[0]
    ratios = [
        _ratio(lane, reference, again, batch, plan.level)
        for lane in (again, *own[1:])
        for batch in plan.batches
        if all(one.blocks[batch] for one in (lane, reference, again))
    ]
    return speeds, tuple(ratios)


def this_machine(threads: int, cores: Sequence[int]) -> Machine:
    """Return what the measurement ran on."""
    processor = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    try:
        load: float | None = os.getloadavg()[0]
    except OSError:
        load = None
    return Machine(processor, len(os.sched_getaffinity(0)), threads, tuple(cores), load)


def _open_command(model: BenchModel, plan: BenchPlan) -> OpenCommand:
    return OpenCommand(
        model=str(model.path),
        checkpoint=model.checkpoint,
        threads=plan.threads,
        cores=plan.cores,
        images=plan.images,
        conf=plan.conf,
        imgsz=plan.imgsz,
        device=plan.device,
    )


def _take_turns(lanes: Sequence[_Lane], plan: BenchPlan, meter: EnergyMeter, progress: Progress) -> None:
    random = np.random.default_rng(plan.seed)
    total, done = len(plan.batches) * plan.blocks, 0
    for batch in plan.batches:
        for lane in lanes:
            lane.blocks[batch], lane.joules[batch] = [], []
        for _ in range(plan.blocks):
            for index in random.permutation(len(lanes)):
                lane = lanes[index]
                before = meter.read()
                block = lane.contender.measure(BlockCommand(batch, plan.seconds, _FEWEST_CALLS))
                if block.calls_per_request:
                    lane.blocks[batch].append(block)
                    lane.joules[batch].append(meter.joules(before, meter.read()))
            done += 1
            progress("rounds", done, total)
    for lane in lanes:
        if not any(lane.blocks.values()):
            expected = f"a batch that {lane.opened.input} can be given"
            raise DataError("the model takes none of the batches", where=lane.model.path, expected=expected)


def _speed(lane: _Lane, plan: BenchPlan) -> ModelSpeed:
    opened = lane.opened
    measured = [batch for batch in plan.batches if lane.blocks[batch]]
    batches = [_batch_speed(batch, lane.blocks[batch], lane.joules[batch], plan.level) for batch in measured]
    skipped = [str(batch) for batch in plan.batches if not lane.blocks[batch]]
    notes = [*lane.model.notes, *opened.notes]
    if skipped:
        notes.append(f"batch {', '.join(skipped)} not measured: the input is {opened.input}")
    for one in batches:
        if one.calls_per_request > 1:
            notes.append(f"batch {one.batch} is {one.calls_per_request} calls: the input is {opened.input}")
    blocks = [block for rows in lane.blocks.values() for block in rows]
    return ModelSpeed(
        name=lane.model.name,
        format=opened.format,
        precision=opened.precision,
        runtime=opened.runtime,
        input=opened.input,
        size_bytes=opened.size_bytes,
        memory_mb=blocks[0].memory_mb,
        peak_memory_mb=max(block.peak_memory_mb for block in blocks),
        load_seconds=round(opened.load_seconds, 3),
        first_ms=opened.first_ms,
        warm_up_calls=opened.warm_up_calls,
        batches=tuple(batches),
        missing=opened.missing,
        notes=tuple(notes),
    )


def _batch_speed(batch: int, blocks: Sequence[Block], joules: Sequence[float | None], level: float) -> BatchSpeed:
    stages = [np.concatenate([getattr(one, name) for one in blocks]) for name in ("pre", "inference", "post")]
    total = np.sum(stages, axis=0)
    group = np.repeat(np.arange(len(blocks)), [len(one.pre) for one in blocks])
    n_images = len(total) * batch
    p50, p90, p95, p99 = np.percentile(total, (50, 90, 95, 99)).tolist()
    interval = median_interval(total / batch, group, level)
    known = [one for one in joules if one is not None]
    return BatchSpeed(
        batch=batch,
        n_calls=len(total),
        n_blocks=len(blocks),
        p50_ms=p50,
        p90_ms=p90,
        p95_ms=p95,
        p99_ms=p99 if len(total) >= _FEWEST_FOR_P99 else None,
        ms_per_image=replace(interval, n_images=n_images),
        images_per_second=1e3 * n_images / float(total.sum()),
        pre_ms=float(np.median(stages[0])),
        inference_ms=float(np.median(stages[1])),
        post_ms=float(np.median(stages[2])),
        cpu_ms_per_image=1e3 * sum(one.cpu_seconds for one in blocks) / n_images,
        joules_per_image=sum(known) / n_images if len(known) == len(joules) and known else None,
        calls_per_request=blocks[0].calls_per_request,
    )


def _ratio(lane: _Lane, reference: _Lane, again: _Lane, batch: int, level: float) -> SpeedRatio:
    base = [_block_median(one) for one in reference.blocks[batch]]

    def over_base(other: _Lane) -> Interval:
        blocks = (*other.blocks[batch], *reference.blocks[batch])
        n_images = batch * sum(len(one.pre) for one in blocks)
        return block_ratio([_block_median(one) for one in other.blocks[batch]], base, n_images, level)

    ratio, same = over_base(lane), over_base(again)
    return SpeedRatio(lane.model.name, reference.model.name, batch, ratio, same, judge_ratio(ratio, same))


def _block_median(block: Block) -> float:
    stages = np.array([block.pre, block.inference, block.post])
    return float(np.median(stages.sum(axis=0)))
