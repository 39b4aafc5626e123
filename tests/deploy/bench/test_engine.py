"""Requests of several images: in one call where the model takes them, else in several, else not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from liftgate.deploy.bench.engine import Engine
from liftgate.deploy.export.card import InputContract, OutputContract, UseSettings


def engine(batch: int | None) -> tuple[Engine, list[tuple[int, ...]]]:
    shapes: list[tuple[int, ...]] = []

    def run(tensor: NDArray[Any]) -> NDArray[Any]:
        shapes.append(tensor.shape)
        return np.zeros((len(tensor), 6, 10), np.float32)

    contract = InputContract(32, 64, batch=batch)
    output = OutputContract("anchors", (None, 6, 10), ("a", "b"))
    return Engine(run, contract, output, UseSettings(), "onnx", "fp32", "a runtime", 1), shapes


@pytest.mark.parametrize(
    ("takes", "batch", "calls"), [(None, 8, 1), (1, 8, 8), (2, 8, 4), (8, 8, 1), (8, 2, 0), (2, 1, 0), (1, 1, 1)]
)
def test_the_number_of_calls_follows_from_the_models_own_batch(takes: int | None, batch: int, calls: int) -> None:
    made, shapes = engine(takes)
    assert made.calls_for(batch) == calls
    if calls:
        times = made.request([np.zeros((50, 40, 3), np.uint8)] * batch)
        assert shapes == [(batch // calls, 3, 32, 64)] * calls
        assert min(times) > 0 and times.total == sum(times)
