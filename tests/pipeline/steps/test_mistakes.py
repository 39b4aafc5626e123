"""Label mistakes as a step of the flow: each fold is judged by a model that has not seen its groups."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import liftgate
from liftgate.cli import main
from liftgate.data.formats.yolo import read_manifest
from liftgate.errors import UsageError
from liftgate.ledger.chain import Ledger
from liftgate.ledger.last_run import read_last_run
from liftgate.ledger.mistake_records import MistakesEntry, MistakesResult
from liftgate.ledger.results import RunEntry
from liftgate.pipeline.notice import Notice
from liftgate.testing.backends import write_tree
from pipeline.gated import wait_until

GROUPS = r"^(?P<group>\w+\d\d)\d"
"""train000 … train009 are one group, and so on"""
STAGE = {"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": 3, "lr0": 1.0}}
STEP = {"step": "mistakes", "folds": 2}


def write(folder: Path, **changes: Any) -> Path:
    """Write a study of 24 + 12 open images in five groups, and 12 locked ones, with one wrong class."""
    if not (folder / "scenes").exists():
        write_tree(folder / "scenes", train=24, held_out=12)
        label = folder / "scenes" / "labels" / "train005.txt"
        first, *rest = label.read_text().splitlines()
        label.write_text("\n".join([f"{1 - int(first[0])}{first[1:]}", *rest]) + "\n")
    (folder / "start.yaml").write_text("nc: 2\n")
    study: Mapping[str, Any] = {
        "study": "labels",
        "question": "Are the labels right?",
        "backend": "toy",
        "datasets": {"scenes": {"path": "scenes/data.yaml", "groups": GROUPS, "lock": ["test"]}},
        "arms": {"quick": [STAGE]},
        "budget": {"usd": 5, "usd_per_hour": 1},
        "flow": [STEP],
    }
    path = folder / "study.yaml"
    path.write_text(json.dumps({**study, **changes}))
    return path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write(tmp_path_factory.mktemp("mistakes"))
    liftgate.run(path)
    return path


def ledger_of(study: Path) -> Ledger:
    return Ledger(study.parent / "runs" / "labels" / "ledger.sqlite")


def result_of(study: Path) -> MistakesResult:
    (step,) = read_last_run(ledger_of(study)).of_kind("mistakes")
    return MistakesResult.from_body(step.result)


def group_of(name: str) -> str:
    return Path(name).stem[:-1]


def test_no_fold_is_judged_by_a_model_that_saw_one_of_its_groups(ran: Path) -> None:
    trees = sorted((ran.parent / "runs" / "labels" / "trees").iterdir())
    assert len(trees) == 2
    held_out: list[str] = []
    for tree in trees:
        names = read_manifest(tree)
        split = {
            part: [names[line.removeprefix("./")] for line in (tree / f"{part}.txt").read_text().split()]
            for part in ("train", "val", "held_out")
        }
        assert all(split.values())
        seen = {group_of(name) for part in ("train", "val") for name in split[part]}
        assert not seen & {group_of(name) for name in split["held_out"]}
        held_out += split["held_out"]
    assert len(held_out) == len(set(held_out)) == 36, "every open image is judged once"
    assert not any("test" in Path(name).stem for name in held_out)


def test_a_wrong_class_is_among_the_ranked_places_and_no_label_was_changed(ran: Path) -> None:
    found = result_of(ran)
    assert (found.dataset, found.arm, found.folds, found.n_images, found.n_groups) == ("scenes", "quick", 2, 36, 5)
    assert found.n_found > found.n_labels / 2 and not found.notes
    assert found.n_locked == 12 and found.n_ranked >= len(found.rows) > 0
    assert [one.suspicion for one in found.rows] == sorted((one.suspicion for one in found.rows), reverse=True)
    wrong = [one for one in found.rows if one.kind == "class" and one.image.endswith("train005.png")]
    assert wrong and wrong[0].label != wrong[0].model and wrong[0].group == "train00"
    first = (ran.parent / "scenes" / "labels" / "train005.txt").read_text()
    assert first.startswith({"red": "0", "blue": "1"}[wrong[0].label]), "the label is as wrong as it was"
    (entry,) = ledger_of(ran).records(MistakesEntry)
    assert entry == found.entry()


@pytest.mark.parametrize(
    ("keeps", "recipe", "note"),
    [(True, {"epochs": 1, "lr0": 1e-9}, "do not mean clean labels"), (False, {"epochs": 1}, "0 labels are too few")],
    ids=["models that see little", "no labels"],
)
def test_no_mistakes_are_not_clean_labels_where_the_models_see_little(
    tmp_path: Path, keeps: bool, recipe: dict[str, float], note: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, arms={"quick": [{**STAGE, "recipe": recipe}]})
    for label in () if keeps else (tmp_path / "scenes" / "labels").iterdir():
        label.write_text("")
    liftgate.run(path)
    found = result_of(path)
    assert found.n_found < found.n_labels / 2 or found.n_labels == 0
    assert f"and finds {found.n_found} of them" in found.text and any(note in one for one in found.notes)
    assert note in (tmp_path / "runs" / "labels" / "report" / "report.md").read_text()
    capsys.readouterr()
    for verb in ("status", "run"):
        assert main([verb, str(path)]) == 0
        assert f"note: {next(one for one in found.notes if note in one)}" in capsys.readouterr().out
    known = found.n_labels > 0
    assert ("class" in found.flagged) == known and ("suspected mistakes are not known" in found.text) != known


def test_status_report_tables_and_json_have_the_figures_of_the_ledger(
    ran: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, runs = result_of(ran), ran.parent / "runs"
    page, paper = (runs / "labels" / "report.html").read_text(), (runs / "labels" / "report")
    assert "Suspected mistakes in labels" in page and f"{sum(found.flagged.values())} suspected label mistakes" in page
    assert "Suspected mistakes in the labels of scenes" in (paper / "report.md").read_text()
    assert found.text in (runs / "REPORT.md").read_text()
    for text in ((runs / "REPORT.md").read_text(), (runs / "labels" / "REPORT.md").read_text()):
        assert "quick on 2 folds of its data, seed 0: 2 finished" in text and "| quick.fold" not in text
    assert '<th scope="row">quick on 2 folds, seed 0</th>' in page and ">quick.fold-1-of-2 seed 0</th>" not in page
    rows = list(csv.DictReader((paper / "mistakes-scenes-quick.csv").read_text().splitlines()))
    assert [row["suspicion"] for row in rows] == [str(one.suspicion) for one in found.rows]
    capsys.readouterr()
    assert main(["status", str(ran)]) == 0
    assert found.text in capsys.readouterr().out
    assert main(["status", str(ran), "--json"]) == 0
    (status,) = json.loads(capsys.readouterr().out)["studies"]
    assert status["mistakes"][0]["flagged"] == found.flagged
    assert main(["run", str(ran), "--json"]) == 0  # all cached
    assert json.loads(capsys.readouterr().out)["mistakes"] == [json.loads(json.dumps(found.to_body()))]


def test_a_review_of_the_study_shows_what_was_found_and_mends_only_a_copy(
    ran: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, review = result_of(ran), tmp_path / "review"
    label = ran.parent / "scenes" / "labels" / "train005.txt"
    before = label.read_text()
    assert main(["check", str(ran), "--review", str(review)]) == 0
    record = json.loads((review / "review.json").read_text())
    assert record["flagged"] == found.flagged and len(record["items"]) == sum(found.flagged.values())
    assert (review / "review.html").read_text().count('"jpeg"') == len(record["items"]), "a picture of each"
    (wrong,) = [one for one in record["items"] if one["kind"] == "class" and one["image"].endswith("train005.png")]
    answers = tmp_path / "answers.csv"
    lines = [f"{record['review']},{one['id']},{'yes' if one == wrong else 'no'}" for one in record["items"]]
    answers.write_text("\n".join(["draw,question,answer", *lines]) + "\n")
    mended = tmp_path / "mended"
    assert main(["check", str(ran), "--review", str(review), "--reviewed", str(answers), "--mend", str(mended)]) == 0
    assert label.read_text() == before
    copies = list((mended / "labels").rglob("*train005*.txt"))
    assert copies and copies[0].read_text()[0] != before[0]
    capsys.readouterr()


def test_a_plan_has_every_fold_with_what_it_costs_before_one_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, flow=["train"])
    liftgate.run(path)
    write(tmp_path, flow=["train", STEP])
    lines = [line for line in liftgate.plan(path) if line.kind == "train" and line.state == "run"]
    assert [line.step for line in lines] == [f"train quick.fold-{n}-of-2 seed 0" for n in (1, 2)]
    whole = next(line for line in liftgate.plan(path) if line.step == "train quick seed 0")
    for line in lines:
        assert line.expected is not None and line.usd == pytest.approx(line.expected / 3600)
        assert whole.expected is not None and "by train quick seed 0" in line.basis
    assert main(["run", str(path), "--prepare"]) == 0
    assert "waiting   train quick.fold-1-of-2 seed 0" in capsys.readouterr().out


def test_after_a_kill_it_goes_on_in_the_epoch_after_which_the_fold_was_left(tmp_path: Path) -> None:
    path = write(tmp_path, arms={"quick": [{**STAGE, "recipe": {"epochs": 40, "lr0": 1.0}}]})
    runs = tmp_path / "runs" / "labels"

    def is_in_second_fold() -> bool:
        return any('"epoch"' in file.read_text() for file in runs.glob("2*fold-2-of-2*/events.jsonl"))

    killed = subprocess.Popen(
        [sys.executable, "-P", "-m", "liftgate", "run", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_until(is_in_second_fold, "an epoch of the second fold")
    killed.kill()
    killed.wait()
    begun: dict[str, str] = {}

    def note(notice: Notice) -> None:
        if notice.kind in ("started", "cached"):
            begun[notice.step] = f"{notice.kind} {notice.body['why']}"

    liftgate.run(path, notify=note)
    first, _, second, predicted, searched = begun.values()
    assert first.startswith("cached") and second.startswith("started goes on after epoch")
    assert predicted == searched == "started never ran"
    assert len(list(runs.glob("2*"))) == 2, "no fold was trained twice"
    assert len(ledger_of(path).records(RunEntry)) == 2 and len(ledger_of(path).records(MistakesEntry)) == 1


@pytest.mark.parametrize("verb", ["check", "plan", "run"])
def test_more_folds_than_open_groups_are_refused_before_anything_runs(
    tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, flow=[{"step": "mistakes", "folds": 6}])
    assert main([verb, str(path)]) == 2
    said = capsys.readouterr().err
    assert "more folds than groups of scenes that are not locked" in said and "2 to 5 folds" in said
    assert "flow.0" in said and "Traceback" not in said
    assert not list((tmp_path / "runs").rglob("run.json"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flow": [{"step": "mistakes", "folds": 1}]}, "expected greater than or equal to 2, got 1"),
        ({"flow": [{"step": "train", "folds": 3}]}, "only mistakes takes `folds`"),
        ({"arms": {"as_is": {"weights": "start.yaml"}}, "flow": [{**STEP, "arms": ["as_is"]}]}, "has no stages"),
        ({"arms": {"as_is": {"weights": "start.yaml"}}}, "got none that is trained"),
        ({"arms": {"a": [STAGE], "b": [STAGE]}}, "by the recipe of one arm, got a, b"),
        ({"arms": {"a": [STAGE, {"data": "scenes"}]}}, "has 2 stages"),
        ({"arms": {"a": [{**STAGE, "data": [{"dataset": "scenes", "take": 9}]}]}}, "a mix of data"),
        ({"flow": [{**STEP, "arms": ["quik"]}]}, "did you mean quick?"),
    ],
)
def test_a_step_that_cannot_be_done_is_one_error(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        liftgate.plan(write(tmp_path, **changes))
    assert message in str(refused.value)


def test_without_a_search_there_is_nothing_to_review(tmp_path: Path, write_study: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="searched for no label mistakes"):
        from liftgate.services.checking import review_mistakes

        review_mistakes(write_study(), None, tmp_path / "review")
