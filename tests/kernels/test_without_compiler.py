"""LIFTGATE_KERNELS=off: every kernel runs as plain Python, slowly, with the same numbers to the last bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from evaluation.test_pose import pose
from liftgate.checks.images import near_duplicates
from liftgate.data.formats.coco.results import read_results
from liftgate.evaluation.average_precision import average_precision
from liftgate.evaluation.matching import match
from liftgate.kernels import compiler
from liftgate.kernels.ordering import descending_keys, stable_order
from oracle import coco_sets

RNG = np.random.default_rng


def matched_boxes(folder: Path) -> list[object]:
    gt, dt = coco_sets.awkward(3, images=6)
    table = match(coco_sets.dataset(gt), coco_sets.predictions(dt, gt))
    return [table.hit, table.skip, table.found, table.rank]


def matched_poses(folder: Path) -> list[object]:
    data, model = pose()
    table = match(data, model, similarity="oks", sigmas=(0.05, 0.05, 0.05))
    return [table.hit, table.skip, table.found]


def weighted_average_precision(folder: Path) -> list[object]:
    gt, dt = coco_sets.awkward(5, images=6)
    table = match(coco_sets.dataset(gt), coco_sets.predictions(dt, gt))
    weights = RNG(0).multinomial(6, np.full(6, 1 / 6), size=3).T.astype(np.float64)
    return [average_precision(table, np.arange(6), weights, size=size) for size in ("all", "small")]


def ordered(folder: Path) -> list[object]:
    return [stable_order(descending_keys(RNG(0).normal(size=500).round(1)))]


def near_hashes(folder: Path) -> list[object]:
    hashes = RNG(0).integers(0, 2**64, 300, dtype=np.uint64)
    hashes[200:] = hashes[:100] ^ np.uint64(0b101)
    return [near_duplicates.near_pairs(hashes, 3)]


def scanned(folder: Path) -> list[object]:
    rows = [{"image_id": i % 3, "category_id": 1, "score": 0.1 * i, "bbox": [0.1, 2, 3, 4 + i]} for i in range(9)]
    (folder / "results.json").write_text(json.dumps(rows))
    return list(astuple(read_results(folder / "results.json", scan_from=0)))


@pytest.mark.parametrize(
    "work", [matched_boxes, matched_poses, weighted_average_precision, ordered, near_hashes, scanned]
)
def test_the_same_numbers_without_machine_code(
    work: Callable[[Path], list[object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_duplicates, "ALL_PAIRS_LIMIT", 0)
    fast = work(tmp_path)
    monkeypatch.setenv("LIFTGATE_KERNELS", "off")
    monkeypatch.setattr(compiler, "load_kernel", lambda *_: pytest.fail("a kernel was compiled"))
    slow = work(tmp_path)
    assert len(fast) == len(slow)
    for one, other in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(one, other)  # type: ignore[arg-type]
