"""An evaluation that is matched in parts has the bytes of one that is matched at once, on any number of parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.test_agent import handlers as handlers
from engines.test_store import ElsewhereEngine, may_mount
from liftgate.data.core.dataset import Dataset, Keypoints
from liftgate.data.core.predictions import Predictions
from liftgate.engines.agent import run_attempt
from liftgate.engines.base import Capabilities, Engine, JobState, Submission
from liftgate.engines.dispatch import Dispatcher
from liftgate.engines.store import Store
from liftgate.errors import DataError
from liftgate.evaluation.evaluate import evaluate
from liftgate.evaluation.spec import EvaluationSpec
from liftgate.hashing import content_hash
from liftgate.pipeline.steps.matching import SplitMatching
from liftgate.study.records import EngineSpec
from oracle import coco_sets


class InProcess(Engine):
    """An engine that runs each attempt at once, in this process, and then does to its folder what the test says."""

    def __init__(self, damage: Callable[[int, Path], None] = lambda number, folder: None) -> None:
        self.damage = damage
        self.names: list[str] = []

    def capabilities(self) -> Capabilities:
        return Capabilities("in process", 2, survives_driver=False, lag_seconds=0.0)

    def submit(self, submissions: Sequence[Submission]) -> list[str]:
        for one in submissions:
            self.names.append(one.name)
            run_attempt(one.folder, one.attempt)
            self.damage(len(self.names), one.folder)
        return [one.attempt for one in submissions]

    def poll(self, handles: Sequence[str]) -> list[JobState]:
        return ["ended"] * len(handles)

    def cancel(self, handles: Sequence[str]) -> None:
        pass


def matcher(folder: Path, engine: InProcess, detections: int, tasks: Dispatcher | None = None) -> SplitMatching:
    spec = EngineSpec(detections_per_task=detections)
    return SplitMatching(
        tasks or Dispatcher(engine), spec, "evaluate", "key", folder, on_event=lambda event: None, stop=lambda: False
    )


def awkward(seed: int) -> tuple[Dataset, Predictions]:
    """Crowds, ties, images without detections or objects, classes without truth, and a class on one image only."""
    gt, dt = coco_sets.awkward(seed, digits=17)
    last = {"category_id": gt["categories"][-1]["id"], "image_id": gt["images"][-1]["id"]}
    dt = [row for row in dt if row["image_id"] != gt["images"][0]["id"]]
    gt["annotations"].append({**last, "id": 10_000, "bbox": [5.0, 5.0, 40.0, 40.0], "area": 1600.0, "iscrowd": 0})
    dt.append({**last, "bbox": [6.0, 5.0, 40.0, 40.0], "score": 0.7})
    groups = [f"g{number % 6}" for number in range(len(gt["images"]))]
    return coco_sets.dataset(gt, groups), coco_sets.predictions(dt, gt)


def poses(seed: int) -> tuple[Dataset, Predictions]:
    truth, found = awkward(seed)
    rng = np.random.default_rng(seed)

    def points(boxes: Any) -> Any:
        x, y = (
            boxes[:, i, None] + rng.random((len(boxes), 3)) * (boxes[:, 2 + i] - boxes[:, i])[:, None] for i in (0, 1)
        )
        return np.stack([x, y, rng.integers(0, 3, x.shape).astype(float)], axis=2)

    labels = replace(truth.labels, keypoints=points(truth.labels.boxes))
    truth = replace(truth, labels=labels, keypoints=Keypoints(("a", "b", "c")))
    return truth, replace(found, keypoints=points(found.boxes))


SPECS = {"boxes": EvaluationSpec(errors=True), "poses": EvaluationSpec(sigmas=(0.05, 0.1, 0.2), errors=True)}


@pytest.mark.parametrize("parts", [1, 2, 7])
@pytest.mark.parametrize("kind", ["boxes", "poses"])
def test_an_evaluation_in_parts_is_that_of_the_whole(tmp_path: Path, kind: str, parts: int) -> None:
    truth, found = (awkward if kind == "boxes" else poses)(parts)
    spec, engine = SPECS[kind], InProcess()
    in_parts = evaluate(truth, found, spec, matcher=matcher(tmp_path / "work", engine, -(-len(found) // parts)))
    whole = evaluate(truth, found, spec)
    assert json.dumps(in_parts.to_dict()) == json.dumps(whole.to_dict())
    assert content_hash(in_parts.to_dict()) == content_hash(whole.to_dict())
    assert len(engine.names) == parts * (1 if kind == "boxes" else 2)
    assert (whole.metrics["mAP50"] or 0) > 0
    assert not (tmp_path / "work").exists()


def test_an_image_with_more_detections_than_a_part_stays_whole_and_nothing_at_all_is_a_part(tmp_path: Path) -> None:
    truth, found = awkward(3)
    engine = InProcess()
    in_parts = evaluate(truth, found, matcher=matcher(tmp_path / "work", engine, 1))
    assert in_parts.to_dict() == evaluate(truth, found).to_dict()
    assert len(engine.names) == len(set(found.image.tolist()))
    nothing = coco_sets.predictions([], {"images": [], "categories": []})
    nothing = replace(nothing, images=found.images, classes=found.classes)
    assert evaluate(truth, nothing, matcher=matcher(tmp_path / "none", engine, 1)).to_dict() == (
        evaluate(truth, nothing).to_dict()
    )


@pytest.mark.parametrize("damage", ["lost", "torn", "of another attempt"])
def test_a_part_whose_result_is_lost_or_damaged_is_matched_again_alone(tmp_path: Path, damage: str) -> None:
    truth, found = awkward(5)

    def spoil(number: int, folder: Path) -> None:
        if number != 2:
            return
        if damage == "lost":
            (folder / "result.json").unlink()
        elif damage == "torn":
            content = (folder / "matches.npz").read_bytes()
            (folder / "matches.npz").write_bytes(content[: len(content) // 2])
        else:
            (folder / "matches.npz").write_bytes((folder.parent / "boxes-1-of-3" / "matches.npz").read_bytes())

    engine = InProcess(spoil)
    in_parts = evaluate(truth, found, matcher=matcher(tmp_path / "work", engine, -(-len(found) // 3)))
    assert in_parts.to_dict() == evaluate(truth, found).to_dict()
    assert [name.rpartition("part ")[2] for name in engine.names] == ["1 of 3", "2 of 3", "3 of 3", "2 of 3"]


def test_a_part_that_is_changed_after_its_task_ended_is_refused_and_the_next_command_matches_it_again(
    tmp_path: Path,
) -> None:
    truth, found = awkward(5)

    class Disturbed(Dispatcher):
        def wait(self, key: str, **rest: Any) -> Any:
            result = super().wait(key, **rest)
            path = Path(next(iter(result.outputs)))
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
            return result

    engine, folder = InProcess(), tmp_path / "work"
    with pytest.raises(DataError, match="part of an evaluation was changed"):
        evaluate(truth, found, matcher=matcher(folder, engine, 10, Disturbed(engine)))
    assert not folder.exists()
    assert evaluate(truth, found, matcher=matcher(folder, engine, 10)).to_dict() == evaluate(truth, found).to_dict()


def test_a_killed_driver_takes_the_parts_that_were_matched_and_none_of_other_predictions(tmp_path: Path) -> None:
    truth, found = awkward(5)

    class Killed(BaseException):
        pass

    class Dying(Dispatcher):
        def wait(self, key: str, **rest: Any) -> Any:
            super().wait(key, **rest)
            raise Killed

    engine, folder, per_task = InProcess(), tmp_path / "work", -(-len(found) // 3)
    with pytest.raises(Killed):
        evaluate(truth, found, matcher=matcher(folder, engine, per_task, Dying(engine)))
    (folder / "boxes-2-of-3" / "matches.npz").unlink()
    engine.names.clear()
    again = evaluate(truth, found, matcher=matcher(folder, engine, per_task))
    assert again.to_dict() == evaluate(truth, found).to_dict()
    assert engine.names == ["evaluate, boxes, part 2 of 3"]

    with pytest.raises(Killed):
        evaluate(truth, found, matcher=matcher(folder, engine, per_task, Dying(engine)))
    other = replace(found, scores=found.scores[::-1].copy())
    assert (
        evaluate(truth, other, matcher=matcher(folder, engine, per_task)).to_dict() == evaluate(truth, other).to_dict()
    )


@pytest.mark.skipif(not may_mount(), reason="this user may not mount")
def test_a_worker_without_the_drivers_folder_matches_through_the_store(tmp_path: Path) -> None:
    truth, found = awkward(5)
    hidden = tmp_path / "runs"
    hidden.mkdir()
    engine = ElsewhereEngine(hidden)
    tasks = Dispatcher(engine, store=Store(f"file://{tmp_path}/store"))
    in_parts = evaluate(truth, found, matcher=matcher(hidden / "work", InProcess(), -(-len(found) // 2), tasks))
    engine.close()
    assert in_parts.to_dict() == evaluate(truth, found).to_dict()
