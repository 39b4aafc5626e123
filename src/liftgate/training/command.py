"""Write the `yolo` command that repeats a training without Liftgate, to verify it by hand."""

from __future__ import annotations

import shlex

from liftgate.backends.base import TrainJob


def training_command(job: TrainJob) -> str:
    """Return a shell script that repeats a training with Ultralytics' own command line.

    >>> from pathlib import Path
    >>> job = TrainJob("a b.pt", Path("/d/data.yaml"), {"epochs": 3, "freeze": [0, 1]}, 0, "detect", Path("/runs/x"))
    >>> print(training_command(job).splitlines()[-1])
    yolo detect train 'model=a b.pt' data=/d/data.yaml seed=0 deterministic=True plots=True epochs=3 'freeze=[0, 1]' \
project=/runs name=x-by-hand exist_ok=True
    """
    given: dict[str, object] = {"model": job.weights, "data": job.data, "seed": job.seed}
    given |= {"deterministic": True, "plots": True}
    if job.device is not None:
        given["device"] = job.device
    recipe = {name: job.recipe[name] for name in sorted(job.recipe)}
    # A new name, so that running it does not overwrite the run that it repeats.
    where = {"project": job.out.parent, "name": f"{job.out.name}-by-hand", "exist_ok": True}
    arguments = [f"{name}={_text(value)}" for name, value in (given | recipe | where).items()]
    lines = [
        "#!/bin/sh",
        "# The same training without Liftgate: needs `pip install ultralytics` of the version in preflight.json.",
        "# On the CPU it gives the same bits. On a GPU add amp=False, or amp=bf16 where Liftgate's args.yaml has it.",
        *([f"# best.pt here goes by mAP50-95; Liftgate's went by {job.select}."] if job.select else []),
        "set -eu",
        " ".join(["yolo", job.task, "train", *map(shlex.quote, arguments)]),
    ]
    return "\n".join(lines) + "\n"


def _text(value: object) -> str:
    return "None" if value is None else str(value)
