"""Keys of `engine:` in study.yaml, and the values that they take."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from liftgate.study.gate_keys import Keys
from liftgate.study.value_types import Text

# Options of sbatch that a study may set: none of them runs a command.
SbatchOption = Literal["account", "comment", "constraint", "exclude", "gres", "nice", "partition", "qos", "reservation"]
Positive = Annotated[float, Field(gt=0, le=1e9)]


def _each_once(gpus: list[int]) -> list[int]:
    if len(set(gpus)) < len(gpus):
        raise ValueError(f"a GPU is given twice: {gpus}", "two tasks on one GPU: share it by workers on a cluster")
    return gpus


class EngineKeys(Keys):
    """Where trainings and predictions run. It changes no result, so it is no part of the study's hash.

    `engine: local` alone is short for `{use: local}`. Default: one after another, in the process of `liftgate run`.
    """

    use: Literal["local", "slurm", "ray"] = Field(
        default="local",
        description="local: processes of this machine; slurm: jobs of a cluster, by submitit; ray: tasks of a Ray "
        "cluster, or of Ray on this machine alone.",
    )
    workers: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None,
        description="Tasks at once. Default of local and of ray without `address`: one, or one on each of `gpus`; of a "
        "cluster: the cluster decides.",
    )
    gpus: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(_each_once)] | None = Field(
        default=None, description="Of local, and of ray without `address`: the GPUs of the pool, one task on each."
    )
    gpus_per_task: Annotated[int, Field(ge=0, le=64)] | None = Field(
        default=None, description="Of slurm: GPUs of a job. Default: those of `device`, or 1."
    )
    cores: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Cores of a task; of local: the threads that its numerical libraries use."
    )
    images_per_task: Annotated[int, Field(ge=1)] = Field(
        default=5000,
        description="Where several tasks run at once, predictions on more images than this are split into tasks of at "
        "most so many, give or take a batch.",
    )
    detections_per_task: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Where several tasks run at once, an evaluation of more detections than this is matched in tasks "
        "of about so many, with the same numbers. Default: in the process of `liftgate run`, which is as fast.",
    )
    memory_gb: Positive | None = Field(default=None, description="Of slurm: memory of a job.")
    hours: Positive | None = Field(
        default=None, description="Of slurm: time limit of a job; a longer training pauses and goes on. Default: 24."
    )
    region: Text | None = Field(
        default=None, description="Where it is. Confidential data run only on an engine whose region `regions` lists."
    )
    cluster: Literal["slurm", "local"] = Field(
        default="slurm", description="Of slurm: `local` runs its jobs on this machine without a cluster, to try it."
    )
    address: Annotated[str, Field(pattern=r"^[A-Za-z0-9._\[\]:-]+:[0-9]+$|^auto$")] | None = Field(
        default=None,
        description="Of ray: HOST:PORT of a cluster that runs already. Default: one of this machine alone.",
    )
    store: Annotated[str, Field(pattern=r"^[a-z0-9]+://.+$", max_length=500)] | None = Field(
        default=None,
        description="s3://BUCKET/PREFIX or another URL of fsspec, where driver and workers share no folder: results, "
        "curves and side-cars go through it; images are at the same path on every machine. Keys and endpoint come from "
        "the environment (AWS_…). Default: a shared folder.",
    )
    options: dict[SbatchOption, Annotated[str, Field(max_length=200)] | int] = Field(
        default={}, description="Of slurm: options of sbatch."
    )


def _engine(value: object) -> object:
    return {"use": value} if isinstance(value, str) else value


Engine = Annotated[EngineKeys, BeforeValidator(_engine)]
