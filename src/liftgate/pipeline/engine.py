"""Engine of a study: whether its data may go there, the tasks that run there, and what `status` reads of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from liftgate.backends import packages
from liftgate.backends.base import PredictJob, TrainJob
from liftgate.engines.base import Engine, Resources
from liftgate.engines.dispatch import Dispatcher
from liftgate.engines.local import LocalEngine
from liftgate.engines.task import Task, installed_version
from liftgate.errors import Refused, Stopped
from liftgate.hashing import file_hash
from liftgate.pipeline.budget import SharedCeiling
from liftgate.pipeline.context import Context
from liftgate.pipeline.control.status_file import write_overview
from liftgate.pipeline.notice import Notice
from liftgate.study.records import EngineSpec, Study
from liftgate.training.job import JobFile
from liftgate.training.ranks import count_devices


def open_engine(spec: EngineSpec, folder: Path) -> Engine:
    """Return the engine that a study names.

    Args:
        spec: what the study says of it.
        folder: of the study's results.

    Raises:
        UsageError: it cannot be used on this machine.
    """
    if spec.use == "local":
        return LocalEngine(spec.workers or 1, spec.gpus or (), spec.cores)
    if spec.use == "ray":
        from liftgate.engines.ray_cluster import RayEngine

        return RayEngine(address=spec.address, workers=spec.workers or 1, gpus=spec.gpus or (), region=spec.region)
    from liftgate.engines.slurm import SlurmEngine

    return SlurmEngine(
        folder / "engine", cluster=spec.cluster, parallel=spec.workers, region=spec.region, options=spec.options
    )


def require_allowed(study: Study) -> None:
    """Refuse an engine where the study's confidential data may not be; this machine has them already.

    Raises:
        Refused: the engine is elsewhere, or nobody says where it is.
    """
    spec = study.engine
    here = spec is None or spec.use == "local" or (spec.use == "ray" and spec.address is None)
    here = here and (spec is None or spec.store is None or spec.store.startswith("file:"))
    if spec is None or here or not study.confidential or spec.region in study.regions:
        return
    names = ", ".join(study.confidential)
    where = study.place("engine", "region")
    if spec.region is None:
        hint = "`engine: {region: …}` says where it is, and `regions: […]` where confidential data may be"
        of = f"the engine {spec.use}" if spec.store is None else f"the store {spec.store}"
        what = f"{names} is confidential, and the region of {of} is not given"
        raise Refused(what, where=where, hint=hint)
    hint = "confidential data stay where `regions` allows them; `engine: local` keeps them on this machine"
    allowed = ", ".join(study.regions) or "this machine alone"
    raise Refused(f"{names} is confidential and may not be in {spec.region}", where=where, expected=allowed, hint=hint)


@contextmanager
def engine_tasks(context: Context) -> Iterator[Context]:
    """Yield the context with the tasks of the study's engine; without an engine, as it is.

    Tasks that still run when the block is left by an error pause at their epoch boundary. When the run has to end at
    once, or after a second Ctrl-C, they are ended at once.
    """
    spec = context.study.engine
    if spec is None:
        yield context
        return
    require_allowed(context.study)  # before anybody elsewhere is asked anything
    folder = context.workspace.folder
    store = None
    if spec.store is not None:
        from liftgate.engines.store import Store

        store = Store(spec.store)
        store.require_usable()
    engine = open_engine(spec, folder)
    tasks = Dispatcher(engine, store=store, on_change=lambda overview: write_overview(folder, overview))
    try:
        yield replace(context, tasks=tasks, over_budget=SharedCeiling(context).reason)
    except Stopped:
        tasks.cancel()  # what could pause has paused
        raise
    except Exception:
        tasks.pause(lambda event: context.notify(Notice("event", "engine", {"kind": event.kind, **event.to_body()})))
        raise
    except BaseException:
        tasks.cancel()
        raise
    finally:
        engine.close()


def make_task(context: Context, key: str, name: str, folder: Path, job: TrainJob | PredictJob, backend: str) -> Task:
    """Return the task of a training or prediction, with the hashes of what it reads.

    Args:
        context: the study.
        key: of the step.
        name: of the step.
        folder: the task's own folder.
        job: what to do.
        backend: what does it.
    """
    study = context.study
    spec = study.engine or EngineSpec()
    files = [path for path in (Path(job.weights), job.data) if path.is_file()]
    gpus = spec.gpus_per_task
    if gpus is None:
        gpus = 0 if study.device == "cpu" or backend == "toy" else count_devices(study.device)
    versions = {package: installed_version(package) for package in ("liftgate", *packages(backend))}
    return Task(
        key=key,
        name=name,
        folder=folder,
        work=JobFile("train" if isinstance(job, TrainJob) else "predict", backend, job),
        inputs={str(path): file_hash(path) for path in files},
        versions={package: version for package, version in versions.items() if version is not None},
        resources=Resources(gpus, spec.cores, spec.memory_gb, spec.hours),
    )


@dataclass(frozen=True, slots=True)
class EngineForecast:
    """What an engine means for a plan; None: unknown."""

    engine: str
    tasks: int
    """Trainings and predictions that would run"""
    slots: int | None
    """At once; None: as the cluster decides"""
    queued: int | None
    """This user's jobs that wait before them"""
    hours: float | None
    """Of all tasks together"""
    wall_hours: float | None
    """At least, until the last has ended, without waiting in a queue"""
    usd: float | None
    unknown: int
    """Tasks whose length is unknown, which makes the sums unknown"""


def forecast(study: Study, folder: Path, seconds: list[float | None]) -> EngineForecast | None:
    """Return what the study's engine means for tasks of these lengths; None: it has no engine.

    Args:
        study: the study.
        folder: of its results.
        seconds: expected seconds of each task; None: unknown.

    Raises:
        UsageError: the engine cannot be used on this machine.
    """
    if study.engine is None:
        return None
    engine = open_engine(study.engine, folder)
    slots = engine.capabilities().slots
    known = [one for one in seconds if one is not None]
    hours = sum(known) / 3600 if len(known) == len(seconds) else None
    rate = study.budget.usd_per_hour
    wall = None if hours is None else max(max(known, default=0.0) / 3600, hours / slots if slots else 0.0)
    return EngineForecast(
        engine=study.engine.use,
        tasks=len(seconds),
        slots=slots,
        queued=engine.queue_length(),
        hours=hours,
        wall_hours=wall,
        usd=None if hours is None or rate is None else hours * rate,
        unknown=len(seconds) - len(known),
    )
