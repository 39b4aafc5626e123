"""Ultralytics' DDP on two processes of one CPU, over gloo: for the test of training on several devices without any.

Only what names a GPU is replaced (the device, the process group's backend, `device_ids`); the rest is the code that
two GPUs would run.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from liftgate.backends.base import TrainJob
from liftgate.backends.events import Emit, Json


class TwoCpus:
    """The Ultralytics backend, whose devices `0,1` are two processes of the CPU."""

    name = "two-cpus"

    def __init__(self) -> None:
        from liftgate.backends.ultralytics.backend import Ultralytics

        _without_gpus()
        self._inner = Ultralytics()

    def train(self, job: TrainJob, emit: Emit, should_stop: Callable[[], bool]) -> Json:
        if os.environ["RANK"] == "1" and os.environ.get("LIFTGATE_TEST_RANK_DIES"):
            raise SystemExit(7)
        return self._inner.train(job, emit, should_stop)


def _without_gpus() -> None:
    import torch
    from torch import distributed
    from ultralytics.engine import validator

    from liftgate.backends.ultralytics.trainer import TRAINERS, DetectTrainer

    class OnCpu(DetectTrainer):  # type: ignore[misc]
        def __init__(self, overrides: dict[str, Any]) -> None:
            super().__init__(overrides=overrides | {"device": "cpu"})
            self.world_size = int(os.environ["WORLD_SIZE"])

        def _setup_ddp(self) -> None:
            distributed.init_process_group("gloo", rank=int(os.environ["RANK"]), world_size=self.world_size)

    together, backend = torch.nn.parallel.DistributedDataParallel, validator.AutoBackend
    torch.nn.parallel.DistributedDataParallel = lambda model, device_ids, **how: together(model, **how)
    validator.AutoBackend = lambda **how: backend(**how | {"device": torch.device("cpu")})
    validator.get_torch_device_backend = lambda kind: SimpleNamespace(current_device=lambda: 0)
    TRAINERS["detect"] = OnCpu
