"""The learnability probe: what hangs together is learned; what does not stops the run before it costs nights."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from liftgate import api
from liftgate.errors import FindingsError, Stopped
from liftgate.ledger import Ledger
from liftgate.pipeline.notice import Notice
from liftgate.pipeline.steps import probing
from liftgate.testing.backends import write_tree

Write = Callable[..., Path]
FLOW = {"flow": ["probe", "train", "lift"]}
REASON = "these labels are meant to be wrong"


@pytest.fixture(autouse=True)
def apart(write_study: Write, tmp_path: Path) -> None:
    """Train on images with one box each: where rectangles overlap the toy backend sees one object."""
    scenes = tmp_path / "scenes"
    write_tree(scenes, train=170, held_out=12)
    assert write_study is not None  # first it writes its own
    listed = scenes / "train.txt"
    single = [line for line in listed.read_text().split() if len(label_of(scenes, line).read_text().split()) == 5]
    listed.write_text("".join(f"{line}\n" for line in single[:48]))
    for line in single[48:]:
        label_of(scenes, line).unlink()


def label_of(scenes: Path, line: str) -> Path:
    return (scenes / "labels" / Path(line).name).with_suffix(".txt")


def ledger(path: Path) -> Ledger:
    return Ledger(path.parent / "runs/colours/ledger.sqlite")


def steps(path: Path, kind: str) -> list[dict[str, Any]]:
    return [dict(entry.body) for entry in ledger(path).entries("step") if entry.body["kind"] == kind]


def shuffle_boxes(scenes: Path, split: str = "train") -> None:
    """Give every image of a split the labels of another one."""
    labels = [label_of(scenes, line) for line in (scenes / f"{split}.txt").read_text().split()]
    texts = [label.read_text() for label in labels]
    for label, text in zip(labels, texts[7:] + texts[:7], strict=True):
        label.write_text(text)


def toss_classes(scenes: Path) -> None:
    """Let a coin decide the class of every box."""
    rng = np.random.default_rng(5)
    for label in sorted((scenes / "labels").glob("*.txt")):
        rows = [row.split(maxsplit=1) for row in label.read_text().splitlines()]
        label.write_text("".join(f"{rng.integers(2)} {rest}\n" for _, rest in rows))


def add_ghosts(scenes: Path) -> None:
    """Declare a third class that is marked where there is nothing."""
    document = yaml.safe_load((scenes / "data.yaml").read_text())
    (scenes / "data.yaml").write_text(yaml.safe_dump({**document, "names": {0: "red", 1: "blue", 2: "ghost"}}))
    for label in sorted((scenes / "labels").glob("*.txt")):
        label.write_text(label.read_text() + "2 0.03 0.05 0.06 0.1\n")


def test_sound_images_are_learned_by_heart_and_the_run_goes_on(write_study: Write) -> None:
    path = write_study(**FLOW)
    said: list[Notice] = []
    assert "lift" in api.run(path, notify=said.append).verdicts
    (probe,) = steps(path, "probe")
    found = probe["result"]["probe"]
    assert (found["n_images"], found["arms"]) == (24, ["short", "long"])
    assert found["ap50"] > 0.9 and set(found["per_class"]) == {"red", "blue"}
    assert any("memorised 24 images" in notice.body.get("message", "") for notice in said)


def test_the_probe_has_a_run_folder_that_says_how_to_repeat_it(write_study: Write) -> None:
    path = write_study(flow=["probe"], gates={})
    api.run(path)
    (folder,) = (path.parent / "runs/colours").glob("2*_probe-*")
    for name in ("run.json", "command.sh", "train.log", "predictions-val.json", "results/results.csv"):
        assert (folder / name).is_file(), name
    assert "probe" in (path.parent / "runs/colours/REPORT.md").read_text()


def test_boxes_of_other_images_are_not_learned_and_stop_the_run(write_study: Write, tmp_path: Path) -> None:
    path = write_study(**FLOW)
    shuffle_boxes(tmp_path / "scenes")
    with pytest.raises(FindingsError, match=r"AP50 0\.\d+ of the 0\.7 that count as learned") as caught:
        api.run(path)
    assert caught.value.exit_code == 3
    assert "start.yaml on scenes" in str(caught.value) and "probe.not_learned" in str(caught.value)
    assert not steps(path, "train"), "nothing was trained"
    (found,) = ledger(path).entries("check")[-1].body["findings"]
    assert (found["id"], found["severity"]) == ("probe.not_learned", "error")
    assert len(found["data"]["scores"]) == found["data"]["epochs"] == 40


def test_what_was_found_is_cached_and_a_reason_lets_the_study_run_all_the_same(
    write_study: Write, tmp_path: Path
) -> None:
    shuffled = write_study(**FLOW)
    shuffle_boxes(tmp_path / "scenes")
    for _ in range(2):
        with pytest.raises(FindingsError):
            api.run(shuffled)
    api.run(write_study(**FLOW, ignore={"probe.not_learned": REASON}))
    assert len(steps(shuffled, "probe")) == 1
    assert steps(shuffled, "train")
    (ignored,) = ledger(shuffled).entries("check")[-1].body["ignored"]
    assert ignored["reason"] == REASON


def test_classes_by_the_toss_of_a_coin_are_not_learned(write_study: Write, tmp_path: Path) -> None:
    path = write_study(flow=["probe"], gates={})
    toss_classes(tmp_path / "scenes")
    api.run(path)  # half of them are right by chance: a warning, no error
    (found,) = ledger(path).entries("check")[-1].body["findings"]
    assert (found["id"], found["severity"]) == ("probe.not_learned", "warning")


def test_the_class_that_is_never_learned_is_named(write_study: Write, tmp_path: Path) -> None:
    path = write_study(flow=["probe"], gates={})
    add_ghosts(tmp_path / "scenes")
    api.run(path)
    findings = {one["id"]: one for one in ledger(path).entries("check")[-1].body["findings"]}
    assert findings["probe.class_never_learned"]["data"]["classes"] == ["ghost"]
    assert "ghost (AP50 0.00, 24 objects)" in findings["probe.class_never_learned"]["message"]


def test_findings_of_check_and_probe_stand_together(write_study: Write, tmp_path: Path) -> None:
    path = write_study(flow=["check", "probe"], gates={})
    add_ghosts(tmp_path / "scenes")
    api.run(path)
    families = {one["id"].partition(".")[0] for one in ledger(path).entries("check")[-1].body["findings"]}
    assert {"probe", "images"} <= families


def test_a_probe_ends_when_its_time_is_over_and_is_no_error_then(
    write_study: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "MAX_SECONDS", 0.0)
    path = write_study(flow=["probe"], gates={})
    shuffle_boxes(tmp_path / "scenes")
    api.run(path)
    (found,) = ledger(path).entries("check")[-1].body["findings"]
    assert found["severity"] == "warning" and "its time ended first" in found["message"]
    assert found["data"]["epochs"] < found["data"]["epochs_asked"] == 40


def test_a_stopped_probe_goes_on_in_its_folder(write_study: Write) -> None:
    path = write_study(flow=["probe"], gates={})
    seen: list[Notice] = []

    def after_an_epoch() -> bool:
        return any(notice.body.get("kind") == "epoch" for notice in seen)

    with pytest.raises(Stopped):
        api.run(path, notify=seen.append, should_stop=after_an_epoch)
    api.run(path)
    assert len(list((path.parent / "runs/colours").glob("2*_probe-*"))) == 1
    assert steps(path, "probe")[0]["result"]["probe"]["epochs"] == 40


def test_another_data_set_is_another_probe(write_study: Write, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "scenes", tmp_path / "others")
    document = yaml.safe_load((tmp_path / "others/data.yaml").read_text())
    (tmp_path / "others/data.yaml").write_text(yaml.safe_dump({**document, "path": str(tmp_path / "others")}))
    shuffle_boxes(tmp_path / "others")
    stage = {"weights": "start.yaml", "data": "others", "recipe": {"epochs": 1}}
    sets = {name: {"path": f"{name}/data.yaml", "licence": "CC0-1.0"} for name in ("scenes", "others")}
    arms = {"a": [stage], "b": [{**stage, "data": "scenes"}, {"data": "others"}], "c": [{**stage, "data": "scenes"}]}
    path = write_study(flow=["probe"], gates={}, arms=arms, datasets=sets)
    assert [line.step for line in api.plan(path)] == [
        f"{word}probe start.yaml on {name}" for name in ("others", "scenes") for word in ("", "judge ")
    ]


_ABSENT = importlib.util.find_spec("ultralytics") is None


@pytest.mark.slow
@pytest.mark.train
@pytest.mark.skipif(_ABSENT, reason="needs the `train` extra")
@pytest.mark.parametrize("right", [True, False])
def test_a_real_detector_learns_of_what_hangs_together_and_only_of_that(
    write_study: Write, tmp_path: Path, right: bool
) -> None:
    from backends.tiny import write_model

    write_model(tmp_path / "tiny.yaml")
    stage = {"weights": "tiny.yaml", "data": "scenes", "recipe": {"epochs": 1, "imgsz": 96}}
    path = write_study(flow=["probe"], gates={}, backend="ultralytics", arms={"one": [stage]})
    if not right:
        shuffle_boxes(tmp_path / "scenes")
    try:
        api.run(path)
    except FindingsError:
        assert not right
    found = steps(path, "probe")[0]["result"]["probe"]
    ids = {one["id"] for one in ledger(path).entries("check")[-1].body["findings"]}
    # It learns shuffled boxes by heart too, as networks do: what it knows of other images tells the two apart.
    assert found["ap50"] >= 0.7 or not right
    assert (found["others_ap50"] > 0.3) is right
    assert bool(ids & {"probe.by_heart_only", "probe.not_learned"}) is not right
