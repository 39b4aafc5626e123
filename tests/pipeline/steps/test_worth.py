"""What more data are worth as a step of the flow: nested shares are trained on, and the verb has the same figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import liftgate
from liftgate.cli import main
from liftgate.data.formats.yolo import read_manifest
from liftgate.errors import UsageError
from liftgate.ledger.chain import Ledger
from liftgate.ledger.worth_records import WorthEntry
from liftgate.pipeline.control.status import status_of
from liftgate.testing.backends import write_tree

STAGE = {"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": 3, "lr0": 1.0}}
STEP = {"step": "worth", "metric": "recall", "old_groups": True, "more": 24, "seconds_per_image": 90}
SIZES = {"train": 4, "val": 2, "test": 2}
"""Images of a group"""


def write(folder: Path, **changes: Any) -> Path:
    """Write a study of 6 groups of 4 training images, and 6 groups of 2 to measure on."""
    if not (folder / "scenes").exists():
        write_tree(folder / "scenes", train=24, held_out=12)
        places = [(f"{split}{i:03}", f"{split}{i // SIZES[split]}") for split in SIZES for i in range(24)]
        rows = [f"images/{name}.png,{group}" for name, group in places if split_has(folder, name)]
        (folder / "groups.csv").write_text("\n".join(["image,group", *rows]) + "\n")
    (folder / "start.yaml").write_text("nc: 2\n")
    study: Mapping[str, Any] = {
        "study": "sizes",
        "question": "Are more images worth their labels?",
        "backend": "toy",
        "datasets": {"scenes": {"path": "scenes/data.yaml", "groups": "groups.csv", "lock": ["test"]}},
        "arms": {"quick": [STAGE]},
        "budget": {"usd": 5, "usd_per_hour": 1},
        "flow": [STEP],
    }
    path = folder / "study.yaml"
    path.write_text(json.dumps({**study, **changes}))
    return path


def split_has(folder: Path, name: str) -> bool:
    return (folder / "scenes" / "images" / f"{name}.png").is_file()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write(tmp_path_factory.mktemp("worth"))
    liftgate.run(path)
    return path


def entry_of(study: Path) -> WorthEntry:
    return Ledger(study.parent / "runs" / "sizes" / "ledger.sqlite").records(WorthEntry)[-1]


def test_shares_are_nested_whole_groups_and_the_old_ones_a_part_of_every_group(ran: Path) -> None:
    trained: dict[int, list[set[int]]] = {}
    for tree in (ran.parent / "runs" / "sizes" / "trees").iterdir():
        names = read_manifest(tree)
        lists = {part: [names[line.removeprefix("./")] for line in (tree / f"{part}.txt").read_text().split()]
                 for part in ("train", "val")}  # fmt: skip
        assert len(lists["val"]) == 12, "all are validated and measured on the same"
        images = {int(Path(name).stem[-3:]) for name in lists["train"]}
        trained.setdefault(len({number // 4 for number in images}), []).append(images)
    assert {groups: sorted(map(len, found)) for groups, found in trained.items()} == {2: [8], 3: [12], 6: [6, 12, 24]}
    assert trained[2][0] < trained[3][0], "whole groups, the fewer a part of the more"
    few, half, whole = sorted(trained[6], key=len)
    assert few < half < whole
    assert [(row.kind, row.images, row.groups) for row in entry_of(ran).amounts] == [
        ("new", 8, 2), ("new", 12, 3), ("old", 6, 6), ("old", 12, 6), ("all", 24, 6),
    ]  # fmt: skip


def test_the_verb_says_what_the_step_recorded_and_asks_on(ran: Path) -> None:
    entry, found = entry_of(ran), liftgate.worth(ran)
    assert found.text == entry.text and (found.gain.low, found.gain.high) == entry.interval
    assert "24 more images of new groups" in entry.text and "0.6 hours of labelling" in entry.text
    assert "12 images, 6 groups" in entry.text and "24 more images of the groups at hand" in entry.text
    further = liftgate.worth(ran, 48, seconds_per_image=30)
    assert (further.more, further.hours) == (48, 0.4) and further.amounts == found.amounts
    other = liftgate.worth(ran, metric="precision")
    assert other.metric == "precision" and other.amounts != found.amounts
    with pytest.raises(UsageError, match="too far to say"):
        liftgate.worth(ran, 73)


def test_status_report_and_json_have_the_figures_of_the_ledger(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry, runs = entry_of(ran), ran.parent / "runs"
    assert entry.text in (runs / "REPORT.md").read_text()
    page = (runs / "sizes" / "report.html").read_text()
    assert "What more data would bring" in page and page.count("some of the groups") == 2
    assert "What more data of scenes would bring" in (runs / "sizes" / "report" / "report.md").read_text()
    capsys.readouterr()
    assert main(["status", str(ran)]) == 0
    assert entry.text in capsys.readouterr().out
    assert main(["run", str(ran), "--json"]) == 0  # all cached
    (said,) = json.loads(capsys.readouterr().out)["worth"]
    assert (said["text"], said["gain"], said["more"]) == (entry.text, entry.gain, 24)


def test_a_plan_has_every_share_with_its_cost_and_the_arm_is_trained_once(ran: Path, tmp_path: Path) -> None:
    later = write(ran.parent, seeds=[0, 1], flow=[STEP, "train"])
    lines = {line.step: line for line in liftgate.plan(later) if line.kind == "train"}
    write(ran.parent)
    assert [name for name, line in lines.items() if line.state == "cached"] == [
        f"train quick{part} seed 0" for part in (".share-25", ".share-50", ".old-share-25", ".old-share-50", "")
    ]
    todo = [line for line in lines.values() if line.state == "run"]
    assert len(todo) == 5 and all(line.usd for line in todo), "each with every seed, at what it costs"


def test_a_metric_without_an_interval_is_recorded_as_unknown(ran: Path) -> None:
    path = write(ran.parent, flow=[{**STEP, "metric": "mAP_large"}])
    liftgate.run(path)  # trains nothing anew
    entry = entry_of(path)
    try:
        assert entry.gain is None and entry.interval is None
        assert "would bring is not known: mAP_large of quick.share-25 on scenes.val has no interval" in entry.text
        with pytest.raises(UsageError, match="is not known"):
            liftgate.worth(path)
    finally:
        liftgate.run(write(ran.parent))
    (shown,) = status_of(ran.parent / "runs" / "sizes").worth
    assert shown.metric == "recall", "the answer of the newest run, though its step was cached"
    said = (ran.parent / "runs" / "REPORT.md").read_text()
    assert shown.text in said and "mAP_large" not in said


def test_before_the_step_has_run_the_verb_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did not come to the step `worth`"):
        liftgate.worth(write(tmp_path))


@pytest.mark.parametrize(
    ("margin", "word", "trains"), [(0.5, "ENOUGH", True), (0.001, "UNSURE", False)], ids=["enough", "unsure"]
)
def test_a_later_step_asks_whether_more_data_would_bring_enough(
    ran: Path, margin: float, word: str, trains: bool
) -> None:
    arms = {"quick": [STAGE], "costly": [{**STAGE, "recipe": {"epochs": 4, "lr0": 1.0}}]}
    asked = {**STEP, "arms": ["quick"], "margin": margin}
    flow = [asked, {"step": "train", "arms": ["costly"], "when": {"worth": "ENOUGH"}}]
    path = write(ran.parent, arms=arms, flow=flow)
    (waiting,) = [line for line in liftgate.plan(path) if line.step == "train costly"]
    assert waiting.state == "undecided"
    try:
        liftgate.run(write(ran.parent, arms=arms, flow=[asked]))  # trains nothing anew
        entry, path = entry_of(path), write(ran.parent, arms=arms, flow=flow)
        assert entry.word == word and entry.text.endswith(f"Against a margin of {100 * margin:g} points: {word}.")
        planned = {line.step: line.state for line in liftgate.plan(path) if "costly" in line.step}
        assert planned == ({"train costly seed 0": "run"} if trains else {"train costly": "skipped"})
    finally:
        liftgate.run(write(ran.parent))


def test_a_stopped_training_tells_nothing_by_any_metric(tmp_path: Path) -> None:
    arms = {f"good{number}": [{**STAGE, "recipe": {"epochs": 4, "lr0": 0.5 - 0.1 * number}}] for number in range(2)}
    arms["hopeless"] = [{**STAGE, "recipe": {"epochs": 4, "lr0": 1e-9}}]
    flow = [{"step": "train", "arms": [*arms][:2]}, {"step": "worth", "metric": "recall", "arms": ["hopeless"]}]
    path = write(tmp_path, arms=arms, flow=flow, early_kill={"rule": "median", "after": 2, "runs": 2})
    liftgate.run(path)
    assert entry_of(path).gain is None and "hopeless was stopped" in entry_of(path).text
    for metric in (None, "recall", "precision"):
        with pytest.raises(UsageError, match="hopeless was stopped before its last epoch"):
            liftgate.worth(path, metric=metric)


def test_another_metric_is_that_of_the_same_evaluations_whatever_a_gate_measured(ran: Path) -> None:
    before = liftgate.worth(ran, metric="precision")
    gate = {"arm": "quick", "on": "scenes.val", "claims": [{"metric": "recall", "at_least": 0.1}], "conf": 0.999}
    try:
        liftgate.run(write(ran.parent, gates={"sure": gate}, flow=[STEP, "train", "sure"]))
        assert liftgate.worth(ran, metric="precision").amounts == before.amounts
    finally:
        liftgate.run(write(ran.parent))


@pytest.mark.parametrize("metric", ["false_positives_per_image", "best_confidence_median", "AUC"])
def test_a_metric_that_data_do_not_raise_is_refused(ran: Path, metric: str) -> None:
    with pytest.raises(UsageError, match="follows no learning curve"):
        liftgate.worth(ran, metric=metric)


@pytest.mark.parametrize("verb", ["check", "plan", "run"])
def test_more_than_four_times_the_data_is_refused_before_anything_runs(
    tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, flow=[{**STEP, "more": 73}])
    assert main([verb, str(path)]) == 2
    said = capsys.readouterr().err
    assert "too far to say" in said and "flow.0" in said and "at most 72 more" in said
    assert not list((tmp_path / "runs").rglob("run.json"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flow": [{**STEP, "shares": [0.5, 1]}]}, "at least 3"),
        ({"flow": [{**STEP, "shares": [0.2, 0.4, 0.8]}]}, "end in 1"),
        ({"flow": [{**STEP, "shares": [0.1, 0.15, 1]}]}, "too few training groups"),
        ({"flow": [{**STEP, "on": "scenes.test"}]}, "is locked"),
        ({"flow": [{**STEP, "on": "scenes.train"}]}, "what they were trained on"),
        ({"flow": [{**STEP, "metric": "false_alarm_rate"}]}, "no learning curve"),
        ({"flow": [{**STEP, "metric": "PCK@0.05"}]}, "no learning curve"),
        ({"flow": [{**STEP, "margin": 0.01}, {**STEP, "metric": "mAP50", "margin": 0.01}]}, "a `margin` twice"),
        ({"flow": [STEP, {"step": "train", "when": {"worth": "ENOUGH"}}]}, "no step before"),
        ({"flow": [{**STEP, "margin": 0.01}, {"step": "train", "when": {"worth": "PASS"}}]}, "no word of `worth`"),
        ({"flow": [{"step": "train", "shares": [0.5, 0.7, 1]}]}, "only worth takes `shares`"),
        ({"arms": {"quick": [{**STAGE, "decide": [{"at": 2, "continue_if": "mAP50 > 0.1"}]}]}}, "decision points"),
        ({"arms": {"a": [STAGE], "b": [STAGE]}}, "by the recipe of one arm, got a, b"),
        ({"datasets": {"scenes": {"path": "scenes/data.yaml"}}}, "the dataset has none"),
        ({"datasets": {"scenes": {"path": "scenes/data.yaml", "groups": r"^(?P<group>\w+\d\d)\d"}}}, "too few groups"),
    ],
)
def test_a_question_that_cannot_be_answered_is_one_error(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        liftgate.plan(write(tmp_path, **changes))
    assert message in str(refused.value)
