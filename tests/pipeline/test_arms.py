"""Arms: mixes with repeats, which weights a stage goes on from, what the best epoch is chosen by, ablations."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from liftgate import api
from liftgate.data.formats.read import read
from liftgate.errors import DataError, LiftgateError, StudyError
from liftgate.ledger import Ledger
from liftgate.pipeline.mixing import mixed
from liftgate.study.records import Part, Stage
from liftgate.testing.backends import write_tree
from liftgate.testing.data import yolo_folder

Write = Callable[..., Path]
RECIPE = {"epochs": 3, "lr0": 0.5}


def stage(**changes: Any) -> dict[str, Any]:
    return {"weights": "start.yaml", "data": "scenes", "recipe": RECIPE, **changes}


@pytest.fixture
def two_sets(write_study: Write, tmp_path: Path) -> Write:
    """Return `write_study` with a second dataset `made` whose images are no copies of the first's."""
    write_tree(tmp_path / "made", train=10, held_out=6, size=(80, 80))
    datasets = {
        "scenes": {"path": "scenes/data.yaml", "licence": "CC0-1.0"},
        "made": {"path": "made/data.yaml", "origin": "synthetic", "licence": "CC0-1.0"},
    }
    return lambda **changes: write_study(**{"datasets": datasets, "gates": {}, "flow": ["train"], **changes})


def steps(path: Path, kind: str = "train") -> list[dict[str, Any]]:
    entries = Ledger(path.parent / "runs/colours/ledger.sqlite").entries("step")
    return [dict(entry.body) for entry in entries if entry.body["kind"] == kind]


def jobs(path: Path) -> list[dict[str, Any]]:
    return [json.loads(job.read_text())["job"] for job in sorted((path.parent / "runs/colours").glob("2*/train.json"))]


def tree_of(job: dict[str, Any]) -> tuple[dict[str, Counter[str]], dict[str, Any]]:
    """Return how often each image of the dataset stands in each split's list, and the data.yaml."""
    data = Path(job["data"])
    document = yaml.safe_load(data.read_text())
    ids = json.loads((data.parent / "manifest.json").read_text())["images"]
    splits = {name: document[name] for name in ("train", "val", "test") if name in document}
    lists = {
        name: Counter(ids[line.removeprefix("./")] for line in (data.parent / file).read_text().splitlines())
        for name, file in splits.items()
    }
    return lists, document


def test_a_mix_repeats_in_the_list_of_train_and_leaves_val_to_one_dataset(two_sets: Write) -> None:
    mix = [{"dataset": "made"}, {"dataset": "scenes", "repeat": 8, "take": 5}]
    path = two_sets(arms={"mixed": [stage(data=mix, val="scenes")]})
    api.run(path)
    (job,) = jobs(path)
    lists, document = tree_of(job)
    made = {image: times for image, times in lists["train"].items() if image.startswith("made/")}
    real = {image: times for image, times in lists["train"].items() if image.startswith("scenes/")}
    assert (len(made), set(made.values())) == (10, {1})
    assert (len(real), set(real.values())) == (5, {8})
    assert len(lists["val"]) == 12 and all(image.startswith("scenes/") for image in lists["val"])
    assert list(document["names"].values()) == ["red", "blue"]
    (step,) = steps(path)
    assert step["result"]["facts"]["images"] == {"train": 50, "val": 12}


def test_two_arms_that_take_as_many_images_take_the_same(two_sets: Write) -> None:
    mix = [{"dataset": "made"}, {"dataset": "scenes", "take": 6}]
    path = two_sets(
        arms={"a": [stage(data=mix, val="scenes")], "b": [stage(data=[{"dataset": "scenes", "take": 6}])]}, seeds=[3]
    )
    api.run(path)
    a, b = (tree_of(job)[0]["train"] for job in jobs(path))
    assert {image.removeprefix("scenes/") for image in a if image.startswith("scenes/")} == set(b)


def test_trained_on_one_set_alone_and_validated_on_another(two_sets: Write) -> None:
    path = two_sets(arms={"made_only": [stage(data="made", val="scenes")]})
    api.run(path)
    lists, _ = tree_of(jobs(path)[0])
    assert all(image.startswith("made/") for image in lists["train"])
    assert all(image.startswith("scenes/") for image in lists["val"])


def test_a_later_mix_that_does_not_fit_together_stops_the_study_before_anything_is_trained(two_sets: Write) -> None:
    path = two_sets(
        arms={"first": [stage()], "later": [stage(data=[{"dataset": "made"}, {"dataset": "scenes"}], val="scenes")]},
        flow=[{"step": "train", "arms": ["first"]}, {"step": "train", "arms": ["later"], "when": {"first": "STOPPED"}}],
    )
    shutil.copy(path.parent / "scenes/images/train000.png", next((path.parent / "made/images").glob("*train000.png")))
    with pytest.raises(DataError, match="same_image"):
        api.run(path)
    assert Ledger(path.parent / "runs/colours/ledger.sqlite").entries("run") == []


def test_a_mix_is_part_of_the_key_and_the_reason_to_run_again(two_sets: Write) -> None:
    arms = {"a": [stage(data=[{"dataset": "scenes", "take": 6}])]}
    path = two_sets(arms=arms)
    api.run(path)
    (line,) = [line for line in api.plan(path, overrides={"arms.a.0.data.0.take": "7"}) if line.kind == "train"]
    assert (line.state, line.why) == ("run", "data changed")


def test_too_few_images_for_a_part_is_said_before_anything_is_written(two_sets: Write) -> None:
    path = two_sets(arms={"a": [stage(data=[{"dataset": "scenes", "take": 1000}])]})
    with pytest.raises(StudyError, match="expected 1000 training images, got 24"):
        api.run(path)


def test_the_same_image_in_two_parts_is_refused(two_sets: Write, tmp_path: Path) -> None:
    for image in ("train000.png", "val000.png"):
        (tmp_path / "made/images/train001.png").write_bytes((tmp_path / "scenes/images" / image).read_bytes())
        mix = [{"dataset": "made"}, {"dataset": "scenes", "take": 24}]
        with pytest.raises(LiftgateError, match="same_image"):
            api.run(two_sets(arms={"a": [stage(data=mix, val="scenes")]}))


def test_keypoints_stay_what_they_are_in_a_mix_and_other_skeletons_are_refused(tmp_path: Path) -> None:
    row = "0 0.5 0.5 0.4 0.4 0.4 0.4 2 0.6 0.6 1\n"
    keys = {"kpt_shape": [2, 3], "flip_idx": [1, 0]}
    labels = {"train/a.png": row, "train/b.png": row, "val/c.png": row}
    folders = {"made": tmp_path / "made", "real": tmp_path / "real"}
    for number, folder in enumerate(folders.values()):
        yolo_folder(folder, labels, names=["car"], size=(64 + number, 48), **keys)
    datasets = {name: read(folder / "data.yaml", name=name) for name, folder in folders.items()}
    one = Stage("real", mix=(Part("made"), Part("real", repeat=8, take=1)))
    made = mixed(one, datasets.__getitem__)
    assert made.dataset.keypoints is not None and made.dataset.keypoints == datasets["real"].keypoints
    assert len(made.dataset.labels) == 4 and sorted(made.repeats.values()) == [8]
    other = yolo_folder(tmp_path / "other", labels, names=["car"], size=(70, 48), kpt_shape=[2, 3], flip_idx=[0, 1])
    datasets["made"] = read(other, name="made")
    with pytest.raises(LiftgateError, match="flip_idx"):
        mixed(one, datasets.__getitem__)


def test_a_later_stage_goes_on_from_the_best_or_the_last_weights(two_sets: Write) -> None:
    first = stage()
    path = two_sets(
        arms={"from_best": [first, {"data": "made"}], "from_last": [first, {"data": "made", "weights_from": "last"}]}
    )
    api.run(path)
    starts = {Path(job["weights"]).name for job in jobs(path) if job["weights"].endswith(".pt")}
    assert starts == {"best.pt", "last.pt"}
    assert len(steps(path)) == 3, "the first stage is the same, and is trained once"


def test_select_reaches_the_trainer_and_is_part_of_the_key(two_sets: Write) -> None:
    path = two_sets(arms={"a": [stage()], "b": [stage(select="recall")]}, select="precision")
    api.run(path)
    assert [job["select"] for job in jobs(path)] == ["precision", "recall"]
    for step in steps(path):
        curve, best = step["result"]["curve"], step["result"]["facts"]["best_epoch"]
        scores = [epoch["metrics"][step["inputs"]["select"]] for epoch in curve]
        assert scores[best - 1] == max(scores)


def test_an_ablation_is_trained_compared_and_confounded_by_nothing(two_sets: Write) -> None:
    path = two_sets(
        arms={"base": {"stages": [stage()], "ablate": {"lr0": [0.5, 0.1], "batch": [2]}}},
        gates={"helps": {"ablation": "base", "metric": "mAP50", "on": "scenes.val"}},
        flow=["train", "helps"],
    )
    verdicts = api.run(path).verdicts
    assert list(verdicts) == ["helps-lr0-0.1", "helps-batch-2"]
    for verdict in verdicts.values():
        assert not verdict["comparison"]["confounded"]
        assert verdict["comparison"]["level"] == 0.975
